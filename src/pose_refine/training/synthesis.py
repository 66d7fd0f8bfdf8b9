"""Initial poses to train on: ground truth damaged on purpose, and real estimators' predictions, varied.

The four kinds of damage are those of PoseRefiner (Fieraru et al. 2018): T1 shift, T2 switch, T3 neighbour, T4 removal,
and its noise variant (extra false joints). The paper's exact ranges are not reproduced. The kinds of damage take and
return (B, K, 2) float32 in image pixels, NaN where there is no joint; every function leaves its input as it is, and is
drawn from `rng` alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pose_refine._types import AnyArray, Floats
from pose_refine.metrics.oks import RIGHT, similarity
from pose_refine.nn.encoding import DOUBT
from pose_refine.skeletons import NETWORK, SIGMAS


def oks_radius(area: Floats, similarity: float) -> Floats:
    """Distance at which a joint's keypoint similarity falls to `similarity`.

    d = sqrt(-2 area (2 sigma)^2 ln k), from COCO's OKS; the radii that PoseFix (Moon et al. 2019) sorts errors by.

    Args:
        area: (B,) squared pixels.
        similarity: k in (0, 1).

    Returns:
        (B, K) pixels, for the network's joints.
    """
    radius: Floats = (2 * SIGMAS * np.sqrt(-2 * np.log(similarity) * area)[:, None]).astype(np.float32)
    return radius


def shift(poses: Floats, area: Floats, rng: Generator, *, tail: float = 0.1) -> Floats:
    """T1: move each joint in a random direction, most of them a little, a share `tail` of them far.

    Small shifts are half-normal with each person's own precision (0.1 to 1.5 times the joint's OKS-0.85 radius); the
    tail is uniform up to the OKS-0.1 radius.
    """
    count, joints = poses.shape[:2]
    near = np.abs(rng.normal(size=(count, joints))) * rng.uniform(0.1, 1.5, (count, 1)) * oks_radius(area, RIGHT)
    far = rng.uniform(0, 1, (count, joints)) * oks_radius(area, 0.1)
    distance = np.where(rng.random((count, joints)) < tail, far, near)
    angle = rng.uniform(0, 2 * np.pi, (count, joints))
    moved: Floats = poses + (distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)).astype(np.float32)
    return moved


def switch(poses: Floats, rng: Generator, *, pair: float = 0.1, body: float = 0.0) -> Floats:
    """T2: exchange a joint with its mirror image: each pair with probability `pair`, all of them with `body`."""
    mirror = NETWORK.mirror
    chosen = rng.random(poses.shape[:2]) < pair
    chosen = chosen & (np.arange(len(mirror)) < mirror)  # one draw a pair: its lower index
    chosen |= chosen[:, mirror]
    chosen |= (rng.random(len(poses)) < body)[:, None]
    return np.where(chosen[..., None], poses[:, mirror], poses)


def neighbour(poses: Floats, others: Floats, reach: Floats, rng: Generator, *, share: float = 0.3) -> Floats:
    """T3: put a joint on the same joint, or on its mirror image, of another person close by.

    Args:
        poses: (B, K, 2).
        others: (B, M, K, 2) the nearest other people, NaN where there are none.
        reach: (B,) pixels: how near the other's joint must be.
        rng: Source of randomness.
        share: Probability that a joint with such a neighbour is replaced.
    """
    count, people, joints = others.shape[:3]
    candidates = np.concatenate([others, others[:, :, NETWORK.mirror]], 1)
    near = np.linalg.norm(candidates - poses[:, None], axis=-1) < reach[:, None, None]  # NaN is not near
    order = np.where(near, rng.random((count, 2 * people, joints)), 2.0)
    pick = order.argmin(1)
    chosen = np.take_along_axis(near, pick[:, None], 1)[:, 0] & (rng.random((count, joints)) < share)
    taken = np.take_along_axis(candidates, pick[:, None, :, None], 1)[:, 0]
    return np.where(chosen[..., None], taken, poses)


def remove(poses: Floats, rng: Generator, *, share: float | Floats = 0.3) -> Floats:
    """T4: leave each joint out with probability `share`, but never the last one of a person."""
    present = ~np.isnan(poses[..., 0])
    gone = (rng.random(poses.shape[:2]) < share) & present
    survivor = np.where(present, rng.random(poses.shape[:2]), -1).argmax(1)
    gone[np.arange(len(poses)), survivor] = False
    return np.where(gone[..., None], np.float32(np.nan), poses)


def noise(poses: Floats, rng: Generator, *, share: float = 0.05) -> Floats:
    """The noise variant: a false joint anywhere in 1.2 times the person's box, present before or not."""
    seen = ~np.isnan(poses).all(1, keepdims=True)  # nobody has no box
    filled = np.where(seen, poses, 0)
    low, high = np.nanmin(filled, 1, keepdims=True), np.nanmax(filled, 1, keepdims=True)
    false = low + (high - low) * rng.uniform(-0.1, 1.1, poses.shape)
    chosen = rng.random(poses.shape[:2]) < share
    return np.where(chosen[..., None] & seen, false, poses).astype(np.float32)


def fling(poses: Floats, size: int, rng: Generator) -> Floats:
    """One to three joints of each pose anywhere in an image of that size, or, in a third, in its corner."""
    order = np.where(np.isnan(poses[..., 0]), 2.0, rng.random(poses.shape[:2])).argsort(1).argsort(1)
    chosen = order < rng.integers(1, 4, (len(poses), 1))
    anywhere = np.where(rng.random((len(poses), 1, 1)) < 1 / 3, 1.0, rng.uniform(0, size, poses.shape))
    return np.where((chosen & ~np.isnan(poses[..., 0]))[..., None], anywhere, poses).astype(np.float32)


def exchange_halves(poses: Floats, others: Floats, rng: Generator) -> Floats:
    """Up to half of each pose from the nearest of the others (B, M, K, 2); NaN for people without any."""
    theirs = others[:, 0]
    known: AnyArray = ~np.isnan(theirs[..., 0])
    chosen = known & (rng.random(poses.shape[:2]) < rng.uniform(0.2, 0.5, (len(poses), 1)))
    mixed_up = np.where(chosen[..., None], theirs, poses)
    alone = ~np.isfinite(theirs).any((1, 2), keepdims=True)
    return np.where(~alone, mixed_up, np.float32(np.nan)).astype(np.float32)


def borrowed(poses: Floats, area: Floats, predicted: Floats, lenders: AnyArray, rng: Generator) -> Floats:
    """What an estimator might say of people whom it has not seen: its errors on others, in shares of their size.

    The network's trunk remembers COCO's photographs, not those of the other sets, for which most estimators gave no
    poses: so it learns and is judged on these, too.

    Args:
        poses: (B, K, 2) ground truth.
        area: (B,) squared pixels.
        predicted: (B, K, 3) x, y, score that the estimator gave, NaN where it gave none.
        lenders: (B,) whose errors may be taken.
        rng: Source of randomness.

    Returns:
        (B, K, 3); NaN for people whom it has seen.
    """
    seen = np.asarray(np.isfinite(predicted[..., 0]).any(1))
    known = np.flatnonzero(seen & lenders)
    if seen.all() or not len(known):
        return np.full_like(predicted, np.nan)
    lender, size = rng.choice(known, len(poses)), np.sqrt(area)[:, None, None]
    lent = predicted[lender].copy()
    lent[..., :2] = poses + (lent[..., :2] - poses[lender]) / size[lender] * size
    return np.where(seen[:, None, None], np.float32(np.nan), lent).astype(np.float32)


def remove_unsure(poses: Floats, scores: Floats, rng: Generator, *, most: float = 0.4) -> Floats:
    """What thresholding an estimator's scores does: the lowest-scored share of a pose, up to `most`, is missing."""
    ranks = np.where(np.isnan(scores), np.inf, scores).argsort(1).argsort(1)
    given = np.maximum((~np.isnan(poses[..., 0])).sum(1, keepdims=True), 1)
    gone = ranks < np.floor(given * rng.uniform(0, most, (len(poses), 1)))
    return np.where(gone[..., None], np.float32(np.nan), poses)


def coarsen(poses: Floats, extent: Floats, rng: Generator) -> Floats:
    """Round to the cells of a coarse output grid, 24 to 64 a person, as estimators without offsets do."""
    cell = (extent / rng.uniform(24, 64, len(poses)))[:, None, None]
    return (np.round(poses / cell) * cell).astype(np.float32)


@dataclass(frozen=True)
class Truth:
    """What the damage is done to, one row a sample.

    Attributes:
        poses: (B, K, 2) ground truth, NaN where not labelled.
        area: (B,) squared pixels, as OKS takes it.
        others: (B, M, K, 2) ground truth of the nearest other people, NaN where there are none.
        predicted: (B, E, K, 3) x, y, score of every estimator, NaN where it gave none.
        others_predicted: (B, M, E, K, 3) the same of the others.
    """

    poses: Floats
    area: Floats
    others: Floats
    predicted: Floats
    others_predicted: Floats


# Shares of each kind of initial pose. PERFECT keeps right joints right; REAL is what users have.
REAL, SYNTHETIC, PERFECT = 0.85, 0.08, 0.07
EXCHANGED = 0.04  # and of all samples, those with up to half a pose on the nearest neighbour
POSELESS = 0.18  # and of all samples, those that show no pose map at all
ALONE, UNSEEN = 0.25, 0.15  # shares of samples that are shown nobody else; and of the others, not found by anyone
TWICE = 0.05  # share of samples with the same person a second time among the others, as detectors do
# At these mean similarities to the truth a pose is believed in these shares of samples.
BELIEVED = ((0.3, 0.8), (0.1, 0.9))
REACH = np.float32(0.35)  # of sqrt(area): how near another person's joint must be to be mistaken for one's own


def from_truth(truth: Truth, rng: Generator) -> Floats:
    """Ground truth with T1 to T4 and noise, light or heavy a person."""
    poses = shift(truth.poses, truth.area, rng)
    poses = mixed(poses, switch(poses, rng, pair=0.1, body=0.1), 0.5, rng)
    poses = mixed(poses, neighbour(poses, truth.others, REACH * np.sqrt(truth.area), rng), 0.5, rng)
    poses = mixed(poses, noise(poses, rng), 0.3, rng)
    return mixed(poses, remove(poses, rng, share=rng.uniform(0, 0.4, (len(poses), 1)).astype(np.float32)), 0.5, rng)


def nearly_perfect(truth: Truth, rng: Generator) -> Floats:
    """Ground truth itself in a third, else moved by a fraction of the OKS-0.85 radius."""
    scale = np.where(rng.random((len(truth.poses), 1)) < 1 / 3, 0, rng.uniform(0, 0.5, (len(truth.poses), 1)))
    jitter = rng.normal(size=truth.poses.shape) * (scale * oks_radius(truth.area, RIGHT))[..., None]
    return (truth.poses + jitter).astype(np.float32)


def draw_estimators(truth: Truth, rng: Generator) -> AnyArray:
    """Two estimators a sample that gave a pose, as far as there are two: (B, 2), or (B, 0) where there are none."""
    available = ~np.isnan(truth.predicted[..., 0]).all(2)
    order = np.where(available, rng.random(available.shape), 2.0).argsort(1)
    return order[:, [0, min(1, order.shape[1] - 1)]] if order.shape[1] else order


def from_predictions(truth: Truth, estimators: AnyArray, rng: Generator) -> Floats:
    """A real estimator's pose: as it is, its error scaled, two mixed, unsure joints gone, coarsened; NaN if none."""
    count = len(truth.poses)
    if not estimators.shape[1]:
        return np.full_like(truth.poses, np.nan)
    first, second = (truth.predicted[np.arange(count), chosen] for chosen in estimators.T)
    per_joint = (rng.random((count, 1)) < 0.1) & (rng.random(first.shape[:2]) < 0.5)
    pose = np.where((per_joint & ~np.isnan(second[..., 0]))[..., None], second, first)
    poses, scores = pose[..., :2], pose[..., 2]
    factor = np.where(rng.random(count) < 0.3, rng.uniform(0.4, 1.6, count), 1.0)[:, None, None]
    scaled = truth.poses + factor * (poses - truth.poses)
    poses = np.where(np.isnan(scaled), poses, scaled).astype(np.float32)
    poses = mixed(poses, remove_unsure(poses, scores, rng), 1 / 3, rng)
    poses = mixed(poses, remove(poses, rng, share=0.15), 0.15, rng)
    poses = mixed(poses, switch(poses, rng, pair=0.1, body=0.3), 0.06, rng)
    poses = mixed(poses, neighbour(poses, truth.others, REACH * np.sqrt(truth.area), rng), 0.06, rng)
    return mixed(poses, coarsen(poses, np.sqrt(2 * truth.area), rng), 0.1, rng)


def shown_others(truth: Truth, estimators: AnyArray, real: AnyArray, rng: Generator) -> Floats:
    """The other people's poses as the network sees them: by the same estimator where `real` (B,), else shifted.

    Returns:
        (B, M, K, 2), NaN where there is nobody, or nobody was found.
    """
    count, people = truth.others.shape[:2]
    flat = truth.others.reshape(-1, *truth.others.shape[2:])
    others = shift(flat, truth.area.repeat(people), rng).reshape(truth.others.shape)
    again = shift(truth.poses, truth.area, rng)
    if estimators.shape[1]:
        first, second = estimators.T
        given = truth.others_predicted[np.arange(count), :, first, :, :2]
        others = np.where(real[:, None, None, None] & ~np.isnan(given).all((2, 3), keepdims=True), given, others)
        given = truth.predicted[np.arange(count), second, :, :2]
        again = np.where(np.isnan(given).all((1, 2), keepdims=True), again, given)
    others[:, :1] = np.where(rng.random((count, 1, 1, 1)) < TWICE, again[:, None], others[:, :1])
    gone = (rng.random((count, people)) < UNSEEN) | (rng.random((count, 1)) < ALONE)
    return np.where(gone[..., None, None], np.float32(np.nan), others).astype(np.float32)


def belief_in(poses: Floats, truth: Floats, area: Floats, rng: Generator) -> Floats:
    """How much the network is told to believe a pose: 1, or DOUBT, the more often the worse the pose is.

    So one network becomes two experts, one for good estimators and one for weak ones; which of them to follow is
    decided later, from what both find.

    Returns:
        (B,).
    """
    both = ~np.isnan(poses + truth).any(-1)
    mean = similarity(poses, truth, area).sum(1) / np.maximum(both.sum(1), 1)
    chance = np.interp(mean, *BELIEVED)
    return np.where(rng.random(len(poses)) < chance, 1.0, DOUBT).astype(np.float32)


def mixed(poses: Floats, changed: Floats, share: float, rng: Generator) -> Floats:
    """`changed` for a share of the people, `poses` for the others."""
    return np.where((rng.random(len(poses)) < share)[:, None, None], changed, poses).astype(np.float32)


def initial_poses(truth: Truth, rng: Generator) -> tuple[Floats, Floats, AnyArray]:
    """Draw one initial pose a sample.

    Returns:
        Poses (B, K, 2), each with at least one joint; those of the people nearby (B, M, K, 2); and (B,) bool: True
        where the pose is to be hidden from the network (its box is still that of the pose).
    """
    estimators = draw_estimators(truth, rng)
    real = from_predictions(truth, estimators, rng)
    synthetic, perfect = from_truth(truth, rng), nearly_perfect(truth, rng)
    kind = rng.choice(3, len(real), p=[REAL, SYNTHETIC, PERFECT])[:, None, None]
    poses = np.where(kind == 0, real, np.where(kind == 1, synthetic, perfect))
    empty = np.isnan(poses).all((1, 2), keepdims=True)
    poses = np.where(empty, synthetic, poses)
    halves = exchange_halves(poses, truth.others, rng)
    poses = mixed(poses, np.where(np.isnan(halves).all((1, 2), keepdims=True), poses, halves), EXCHANGED, rng)
    others = shown_others(truth, estimators, (kind == 0)[:, 0, 0], rng)
    return poses.astype(np.float32), others, rng.random(len(poses)) < POSELESS
