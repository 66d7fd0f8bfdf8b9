"""What the frames around tell of a joint: robust fits through tracks, and filters against jitter.

Pure functions on tracks (T, K, 2), image pixels, NaN where missing, and on how sure each joint is (T, K).
"""

from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Floats
from pose_refine.skeletons import SIGMAS

SPAN = 0.1  # seconds, standard deviation of the Gaussian over time
WIDTHS = 1.0, 6.0  # frames, the least and the most that this may be
REACH = 8  # frames on either side that count
DEGREE = 2  # of the polynomials: constant acceleration is not bent
SCORE_POWER = 4  # a joint weighs by its probability to this power: those in doubt say where it is not
LEAST = 0.02  # probability below which that makes no difference
ROUNDS = (8.0, 4.0, 2.0, 1.5)  # OKS units at which a joint's weight falls to a quarter, round by round
MISSED = 1.0  # OKS units a frame of width: a fit that misses frames which it is not shown by more is no longer sure
JITTER = 1.0  # OKS units: a filter that moves a joint further is wrong about it
MIN_CUTOFF, BETA, SPEED_CUTOFF = 1.0, 8.0, 1.0  # One Euro's: Hz; Hz per (size of the person a second); Hz


def unit_of(poses: Floats) -> Floats:
    """The OKS unit, 2 sigma sqrt(area), in pixels, (..., 19): of poses (..., 19, 2), with half the box as area."""
    there = ~np.isnan(poses)
    sides = np.where(there, poses, -np.inf).max(-2) - np.where(there, poses, np.inf).min(-2)
    area = np.where(np.isfinite(sides), np.maximum(sides, 1), 1).prod(-1) / 2
    unit: Floats = (2 * SIGMAS * np.sqrt(area)[..., None]).astype(np.float32)
    return unit


def width_of(fps: float) -> float:
    """Standard deviation of the Gaussian over time, frames."""
    return float(np.clip(SPAN * fps, *WIDTHS))


def nearness(count: int, width: float) -> tuple[AnyArray, AnyArray]:
    """For (at, frame) of `count` frames how many frames apart they are, and how much the frame counts there."""
    apart = np.arange(count) - np.arange(count)[:, None]
    return apart, np.exp(-np.square(apart / width) / 2) * (np.abs(apart) <= REACH)


def local_fit(track: Floats, weight: AnyArray, width: float, *, hole: bool = False) -> AnyArray:
    """At every frame the value of a weighted least-squares polynomial through the frames around it.

    Args:
        track: (T, K, 2); what is missing must have weight 0.
        weight: (T, K), how much each joint counts.
        width: Standard deviation of the Gaussian over time, frames.
        hole: Without the frame itself: what the others would say it is.

    Returns:
        (T, K, 2); NaN where there is nothing to go by.
    """
    apart, near = nearness(len(track), width)
    near = near * (apart != 0) if hole else near
    powers = (apart / width)[..., None] ** np.arange(DEGREE + 1)  # (at, s, d)
    basis = near[..., None] * powers
    total = near @ weight
    products = np.einsum("tsd,tse->tdes", basis, powers) @ weight  # (at, d, e, k)
    ridge = np.diag([0.0] + [1e-3] * DEGREE)  # what few frames do not say is taken to be at rest
    normal = products.transpose(0, 3, 1, 2) + np.maximum(total, 1e-12)[..., None, None] * ridge
    normal[total == 0] = np.eye(DEGREE + 1)
    values = weight[..., None] * np.nan_to_num(track)
    right = np.einsum("tsd,skc->tkdc", basis, values)
    fitted = np.linalg.solve(normal, right)[:, :, 0]
    fitted[total == 0] = np.nan
    return fitted


def robust_fit(track: Floats, score: Floats, unit: Floats, width: float) -> tuple[AnyArray, AnyArray]:
    """The local fit that most of the frames around agree on, and how sure those are.

    Where frames are few for how fast a joint moves, those around do not tell where it is: the fit is the less sure, the
    more it misses each of the others when it is not shown that one. How much it may miss grows with the width: at many
    frames a second motion is slow, and it is errors that are missed.

    Joints far from it lose their weight, in rounds from mild to strict (graduated non-convexity with Geman and
    McClure's weights; Black and Rangarajan 1996): what is wrong for a few frames does not draw it aside.

    Args:
        track: (T, K, 2), NaN where missing.
        score: (T, K), P(joint is right).
        unit: (T, K), OKS unit in pixels.
        width: Standard deviation of the Gaussian over time, frames.

    Returns:
        (T, K, 2), NaN where there is nothing to go by; and (T, K) in [0, 1], the mean score of those that agree, times
        how well they foretell each other.
    """
    missing = np.isnan(track[..., 0])
    prior = np.where(missing, 0, np.clip(np.nan_to_num(score), LEAST, 1).astype(np.float64) ** SCORE_POWER)
    weight = prior
    for scale in ROUNDS:
        distance = np.linalg.norm(track - local_fit(track, weight, width), axis=-1) / unit
        weight = prior / np.square(1 + np.square(np.where(missing, 0, distance) / scale))
    apart, near = nearness(len(track), width)
    others = near * (apart != 0)
    missed = np.linalg.norm(track - local_fit(track, weight, width, hole=True), axis=-1) / (MISSED * width * unit)
    foretold = np.where(np.isnan(missed), 0, np.exp(-np.square(missed) / 2))
    sure = near @ (weight * np.where(missing, 0, np.nan_to_num(score))) / np.maximum(near @ weight, 1e-12)
    return local_fit(track, weight, width), sure * (others @ (prior * foretold)) / np.maximum(others @ prior, 1e-12)


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
