"""What a pose says by itself: which of its joints can belong to one body, and which way up that is."""

import numpy as np

from pose_refine._types import AnyArray, Floats
from pose_refine.skeletons import NETWORK, SIGMAS

# Lengths of a body in shares of its height (Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control of
# Human Movement, 2009); those within the head are rough.
_LENGTHS = {
    ("left_shoulder", "right_shoulder"): 0.259,
    ("left_hip", "right_hip"): 0.191,
    ("left_shoulder", "left_hip"): 0.288,
    ("left_shoulder", "left_elbow"): 0.186,
    ("left_elbow", "left_wrist"): 0.146,
    ("left_hip", "left_knee"): 0.245,
    ("left_knee", "left_ankle"): 0.246,
    ("left_shoulder", "upper_neck"): 0.130,
    ("upper_neck", "head_top"): 0.182,
    ("upper_neck", "nose"): 0.110,
    ("nose", "left_eye"): 0.030,
    ("left_eye", "left_ear"): 0.060,
}
SLACK = 0.1  # of a body's height: how far joints may be off and still be taken for one body's
TYPICAL, STRETCH = 0.35, 2.5  # pairs further apart than 2.5 times the .35 quantile of all pairs are not one body's
FRAME = 0.5  # of the longer side of a body's box: joints so near to it are shown too (tests/benchmarks/experiments.md)
ALIKE = 0.92  # mean similarity of two poses from which they are one person's, found twice
FEWEST = 3  # joints in common that can tell
FACE = 0.4  # of a body's height: what is shown of people of whom the head alone is known
TURNED = np.deg2rad(45)  # a body that leans more is cut turned
SIDES_AGREE, HEAD_AGREES = np.cos(np.deg2rad(40)), np.cos(np.deg2rad(60))
_NAMES = {
    "shoulders": ("left_shoulder", "right_shoulder"),
    "hips": ("left_hip", "right_hip"),
    "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "upper_neck", "head_top"),
}
_PARTS = {part: [NETWORK.joints.index(name) for name in names] for part, names in _NAMES.items()}


def _paths() -> Floats:
    """How far two joints of a body are apart along its limbs, (19, 19) in shares of its height."""
    index, mirror = NETWORK.joints.index, NETWORK.mirror
    paths = np.full((len(mirror), len(mirror)), np.inf)
    np.fill_diagonal(paths, 0)
    for (a, b), length in _LENGTHS.items():
        for i, j in ((index(a), index(b)), (mirror[index(a)], mirror[index(b)])):
            paths[i, j] = paths[j, i] = length
    for k in range(len(paths)):  # Floyd and Warshall
        paths = np.minimum(paths, paths[:, k : k + 1] + paths[k])
    return paths.astype(np.float32)


PATHS = _paths()
REACH = PATHS + np.float32(SLACK)  # how far two joints of a body can be apart


def one_body(keypoints: Floats) -> Floats:
    """The joints that can be one body's; the others, however far off, are NaN.

    Two joints are at most as far apart as the limbs between them are long. How large the person is, the pairs tell
    that are nearer to each other than most: joints that are far off are in few of these. Of two clusters of joints, as
    where half a pose is on a neighbour, the larger one is kept. An estimator's scores are not asked: they mean
    something else for each (tests/benchmarks/experiments.md).

    Args:
        keypoints: (N, 19, 2) the network's joints, image pixels, NaN where missing.

    Returns:
        (N, 19, 2).
    """
    present = ~np.isnan(keypoints[..., 0])
    pairs = present[:, :, None] & present[:, None] & ~np.eye(len(REACH), dtype=bool)
    apart = np.linalg.norm(keypoints[:, :, None].astype(np.float64) - keypoints[:, None], axis=-1) / REACH
    kept = present
    for _ in range(2):  # the first time to find the cluster, the second to measure it without the others
        close = pairs & (apart <= STRETCH * _typical(apart, pairs & kept[:, :, None] & kept[:, None])[:, None, None])
        kept = _cluster(close, kept)
    alone = present.sum(1) < 3  # of two joints, nobody knows which is wrong
    chosen = np.where(alone[:, None], present, kept)
    return np.where(chosen[..., None], keypoints, np.float32(np.nan))


def in_frame(keypoints: Floats, body: Floats) -> Floats:
    """The joints that a crop is cut by: the body's, and those beside it, whosever they are.

    Where an estimator has joined parts of two people, those that `one_body` leaves out are often right, and the one who
    is meant is larger than what it keeps. Far ones are not asked: they would shrink the body in its crop.

    Args:
        keypoints: (N, 19, 2) the network's joints, image pixels, NaN where missing.
        body: (N, 19, 2) what `one_body` keeps of them.

    Returns:
        (N, 19, 2), NaN where missing or further than FRAME from the body's box.
    """
    known = ~np.isnan(body)
    low, high = np.where(known, body, np.inf).min(1), np.where(known, body, -np.inf).max(1)
    reach = FRAME * (high - low).max(1)
    beyond = np.maximum(low[:, None] - keypoints, keypoints - high[:, None]).max(-1)
    return np.where((beyond <= reach[:, None])[..., None], keypoints, np.float32(np.nan))


def one_person(own: Floats, other: Floats) -> AnyArray:
    """Whether two poses are alike as those of one person whom a detector found twice, (...).

    Args:
        own: (..., 19, 2) image pixels, NaN where missing. A quarter of the longer side of their box, squared, is taken
            for the area of OKS, as in `geometry.OKS_UNITS`.
        other: (..., 19, 2).
    """
    known = ~np.isnan(own[..., :1])
    size = (np.where(known, own, -np.inf).max(-2) - np.where(known, own, np.inf).min(-2)).max(-1)
    similar, count = likeness(own, other, SIGMAS * np.maximum(size, 1)[..., None])
    alike: AnyArray = (count >= FEWEST) & (similar >= ALIKE)
    return alike


def likeness(own: Floats, other: Floats, unit: Floats) -> tuple[Floats, AnyArray]:
    """Mean keypoint similarity exp(-d^2 / 2) (OKS) of two poses, over the joints that both have.

    Args:
        own: (..., K, 2), NaN where missing.
        other: (..., K, 2).
        unit: (..., K) 2 sigma sqrt(area) of each joint, in the same pixels.

    Returns:
        (...) in [0, 1], 0 where they share no joint; and how many they share.
    """
    apart = np.linalg.norm(own - other, axis=-1) / unit
    both = ~np.isnan(apart)
    count = both.sum(-1)
    similar: Floats = np.where(both, np.exp(-np.square(apart) / 2), 0).sum(-1) / np.maximum(count, 1)
    return similar, count


def face_height(keypoints: Floats) -> Floats:
    """How tall the surroundings of a head are, FACE of the body's height, where nothing but joints of it is known: the
    box of two eyes shows nobody.

    Args:
        keypoints: (N, 19, 2) the network's joints, image pixels, NaN where missing.

    Returns:
        (N,) image pixels; 0 for people of whom anything else is known, or one joint alone.
    """
    head, rest = keypoints[:, _PARTS["head"]], np.delete(keypoints, _PARTS["head"], axis=1)
    paths = PATHS[np.ix_(_PARTS["head"], _PARTS["head"])]
    apart = np.linalg.norm(head[:, :, None] - head[:, None], axis=-1) / np.where(paths > 0, paths, np.nan)
    pairs = ~np.isnan(apart)
    only = np.isnan(rest).all((1, 2)) & pairs.any((1, 2))
    height = np.zeros(len(keypoints), np.float32)
    for row in np.flatnonzero(only):
        height[row] = FACE * np.median(apart[row][pairs[row]])
    return height


def _typical(apart: AnyArray, pairs: AnyArray) -> AnyArray:
    """The TYPICAL quantile of each person's pairs, (N,); 0 without any."""
    flat = np.sort(np.where(pairs, apart, np.inf).reshape(len(apart), REACH.size), 1)
    count = pairs.sum((1, 2))
    place = np.minimum((TYPICAL * count).astype(int), np.maximum(count - 1, 0))
    typical: AnyArray = np.where(count, np.take_along_axis(flat, place[:, None], 1)[:, 0], 0)
    return typical


def _cluster(close: AnyArray, kept: AnyArray) -> AnyArray:
    """Who is close to at least half of the joints near the one that has most of them near, (N, 19)."""
    rows, joints = np.arange(len(close)), np.arange(close.shape[1])
    seed = np.where(kept, (close & kept[:, None]).sum(2), -1).argmax(1)
    near = close[rows, seed] | (joints == seed[:, None])
    agree = 2 * (close & near[:, None]).sum(2)
    cluster: AnyArray = (agree >= near.sum(1, keepdims=True) - near) & (close.any(2) | near)
    return cluster


def lean(keypoints: Floats) -> Floats:
    """How far each body is turned from upright, where that is more than TURNED and beyond doubt; else 0.

    From hips to shoulders, or from what there is of these to the head. Both sides of the trunk and the head must agree:
    in half a pose on a neighbour they do not.

    Args:
        keypoints: (N, 19, 2) the network's joints, image pixels, NaN where missing.

    Returns:
        (N,) radians, clockwise as seen on the screen, in [-pi, pi].
    """
    shoulders, hips, head = (middles(keypoints[:, _PARTS[part]]) for part in ("shoulders", "hips", "head"))
    top, bottom = (np.where(np.isnan(a), b, a) for a, b in ((shoulders, head), (hips, shoulders)))
    up = top - bottom
    up = np.where((np.isnan(hips) & ~np.isnan(shoulders)), head - shoulders, up)
    left, right = (keypoints[:, s] - keypoints[:, h] for s, h in zip(_PARTS["shoulders"], _PARTS["hips"], strict=True))
    doubt = (_cosine(left, right) < SIDES_AGREE) | (_cosine(head - shoulders, up) < HEAD_AGREES)
    angle = np.nan_to_num(np.arctan2(up[:, 0], -up[:, 1]))
    return np.where((np.abs(angle) > TURNED) & ~doubt, angle, 0).astype(np.float32)


def middles(keypoints: Floats) -> Floats:
    """The mean of each person's joints (N, K, 2), NaN where missing; (N, 2) pixels, NaN for people without any."""
    count = (~np.isnan(keypoints)).sum(1)
    total = np.where(count, np.nan_to_num(keypoints).sum(1), np.nan)
    middle: Floats = (total / np.maximum(count, 1)).astype(np.float32)
    return middle


def _cosine(a: Floats, b: Floats) -> Floats:
    """Of the angle between vectors (N, 2); NaN where one is missing or has no length."""
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine: Floats = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return cosine
