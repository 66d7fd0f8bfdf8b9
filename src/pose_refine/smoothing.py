"""What the frames around tell of a joint: robust fits through tracks, and filters against jitter.

Pure functions on tracks (T, K, 2), image pixels, NaN where missing, and on how sure each joint is (T, K).
"""

from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Floats
from pose_refine.skeletons import SIGMAS

WIDTH = 3.0  # frames, standard deviation of the Gaussian over time
REACH = 8  # frames on either side that count
DEGREE = 2  # of the polynomials: constant acceleration is not bent
TRUST = 4  # a joint weighs by its probability to this power: those in doubt say where it is not
LEAST = 0.02  # probability below which that makes no difference
ROUNDS = (8.0, 4.0, 2.0, 1.5)  # OKS units at which a joint's weight falls to a quarter, round by round
JITTER = 1.0  # OKS units: a filter that moves a joint further is wrong about it
MIN_CUTOFF, BETA, SPEED_CUTOFF = 1.0, 8.0, 1.0  # One Euro's: Hz; Hz per (size of the person a second); Hz


def unit_of(poses: Floats) -> Floats:
    """The OKS unit, 2 sigma sqrt(area), in pixels, (..., 19): of poses (..., 19, 2), with half the box as area."""
    there = ~np.isnan(poses)
    sides = np.where(there, poses, -np.inf).max(-2) - np.where(there, poses, np.inf).min(-2)
    area = np.where(np.isfinite(sides), np.maximum(sides, 1), 1).prod(-1) / 2
    unit: Floats = (2 * SIGMAS * np.sqrt(area)[..., None]).astype(np.float32)
    return unit


def local_fit(track: Floats, weight: AnyArray) -> AnyArray:
    """At every frame the value of a weighted least-squares polynomial through the frames around it.

    Args:
        track: (T, K, 2); what is missing must have weight 0.
        weight: (T, K), how much each joint counts.

    Returns:
        (T, K, 2); NaN where there is nothing to go by.
    """
    apart = np.arange(len(track)) - np.arange(len(track))[:, None]  # (at, s)
    near = np.exp(-np.square(apart / WIDTH) / 2) * (np.abs(apart) <= REACH)
    powers = (apart / WIDTH)[..., None] ** np.arange(DEGREE + 1)  # (at, s, d)
    basis = near[..., None] * powers
    total = np.einsum("ts,sk->tk", near, weight)
    products = np.einsum("tsd,tse->tdes", basis, powers) @ weight  # (at, d, e, k)
    ridge = np.diag([0.0] + [1e-3] * DEGREE)  # what few frames do not say is taken to be at rest
    normal = products.transpose(0, 3, 1, 2) + np.maximum(total, 1e-12)[..., None, None] * ridge
    normal[total == 0] = np.eye(DEGREE + 1)
    values = weight[..., None] * np.nan_to_num(track)
    right = np.einsum("tsd,skc->tkdc", basis, values)
    fitted = np.linalg.solve(normal, right)[:, :, 0]
    fitted[total == 0] = np.nan
    return fitted


def robust_fit(track: Floats, score: Floats, unit: Floats) -> tuple[AnyArray, AnyArray]:
    """The local fit that most of the frames around agree on, and how sure those are.

    Joints far from it lose their weight, in rounds from mild to strict (graduated non-convexity with Geman and
    McClure's weights; Black and Rangarajan 1996): what is wrong for a few frames does not draw it aside.

    Args:
        track: (T, K, 2), NaN where missing.
        score: (T, K), P(joint is right).
        unit: (T, K), OKS unit in pixels.

    Returns:
        (T, K, 2), NaN where there is nothing to go by; and (T, K) in [0, 1], the mean score of those that agree.
    """
    missing = np.isnan(track[..., 0])
    prior = np.where(missing, 0, np.clip(np.nan_to_num(score), LEAST, 1).astype(np.float64) ** TRUST)
    weight = prior
    for scale in ROUNDS:
        distance = np.linalg.norm(track - local_fit(track, weight), axis=-1) / unit
        weight = prior / np.square(1 + np.square(np.where(missing, 0, distance) / scale))
    return local_fit(track, weight), support(np.where(missing, 0, np.nan_to_num(score)), weight)


def support(score: Floats, weight: AnyArray) -> AnyArray:
    """(T, K) mean of the scores of the frames around, weighted as the fit weights them."""
    apart = np.arange(len(score)) - np.arange(len(score))[:, None]
    near = np.exp(-np.square(apart / WIDTH) / 2) * (np.abs(apart) <= REACH)
    mean: AnyArray = (near @ (weight * score)) / np.maximum(near @ weight, 1e-12)
    return mean


def steady(
    track: Floats, score: Floats, fit: AnyArray, sure: AnyArray, unit: Floats, smooth: bool
) -> tuple[Floats, Floats]:
    """Joints that jump away from what the frames around agree on come back; the others are smoothed, if wanted.

    A joint comes back where the frames around are surer of where it should be than it is itself: then it takes their
    place and their score. Where it does not jump, smoothing moves it to the fit if that is within half of JITTER, ever
    less of the way up to JITTER, and not at all beyond, where the motion is fast and not a polynomial's.

    Args:
        track: (T, K, 2), NaN where missing.
        score: (T, K), P(joint is right).
        fit: (T, K, 2) from `robust_fit`.
        sure: (T, K) from `robust_fit`.
        unit: (T, K), OKS unit in pixels.
        smooth: Whether to.

    Returns:
        New tracks (T, K, 2) and scores (T, K).
    """
    distance = np.linalg.norm(track - fit, axis=-1) / unit
    share = share_of(distance) * smooth
    back = ((distance > JITTER / 2) if smooth else (distance > JITTER)) & (sure > score)
    place = track + np.where(back, 1, np.nan_to_num(share))[..., None] * np.nan_to_num(fit - track)
    return place.astype(np.float32), np.where(back, sure, score).astype(np.float32)


def share_of(distance: AnyArray) -> AnyArray:
    """How much of the way to its filtered place a joint goes that is `distance` OKS units from it."""
    share: AnyArray = np.clip(2 - 2 * distance / JITTER, 0, 1)
    return share


class OneEuro:
    """The One Euro filter (Casiez, Roussel and Vogel 2012), causal: the faster a joint, the less it is smoothed.

    A joint that is unsure moves the filter the less. Speeds count in sizes of the person, so that the constants suit
    people near and far. As in `steady`, the filter has no say where it is further from a joint than JITTER.

    Args:
        fps: Frames a second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._place: Floats | None = None
        self._speed: AnyArray = np.zeros(())

    def __call__(self, joints: Floats) -> Floats:
        """The next frame's joints (19, 3) x, y, score, smoothed."""
        place, sure = joints[:, :2], np.clip(np.nan_to_num(joints[:, 2:], nan=1.0), LEAST, 1)
        if self._place is None:
            self._place, self._speed = place, np.zeros_like(place)
        last = np.where(np.isnan(self._place), place, self._place)
        speed = np.nan_to_num(place - last) * self._fps / size_of(place)
        self._speed = self._speed + smoothing_factor(SPEED_CUTOFF, self._fps) * (speed - self._speed)
        pace = np.linalg.norm(self._speed, axis=-1, keepdims=True)
        factor = smoothing_factor(MIN_CUTOFF + BETA * pace, self._fps) * np.sqrt(sure)
        self._place = (last + factor * np.nan_to_num(place - last)).astype(np.float32)
        share = share_of(np.linalg.norm(self._place - place, axis=-1) / unit_of(place))
        smooth = place + np.nan_to_num(share)[:, None] * np.nan_to_num(self._place - place)
        return np.concatenate([smooth, joints[:, 2:]], 1).astype(np.float32)


def smoothing_factor(cutoff: AnyArray | float, fps: float) -> Any:
    """How much of the way an exponential filter of that cut-off frequency (Hz) goes in one frame."""
    ratio = 2 * np.pi * cutoff / fps
    return ratio / (ratio + 1)


def size_of(pose: Floats) -> float:
    """The longer side of the box of a pose (K, 2), pixels; at least 1."""
    there = pose[~np.isnan(pose).any(-1)]
    return max(1.0, float(np.ptp(there, axis=0).max())) if len(there) else 1.0
