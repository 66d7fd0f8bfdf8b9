"""What is wrong with predicted joints: kinds of errors, bias, and what the scores are worth.

Kinds: M. R. Ronchi and P. Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation, ICCV 2017, as
PoseFix (Moon et al. 2019) has them. The first that fits:

good       within the joint's OKS-.85 radius
jitter     within its OKS-.50 radius
inversion  within the OKS-.50 radius of the mirror joint: left for right
swap       within the OKS-.50 radius of this joint, or its mirror joint, of somebody else in the image
miss       elsewhere
missing    not predicted, or nobody was predicted there
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles
from pose_refine.metrics.oks import RIGHT, WRONG, sigmas_of, similarity
from pose_refine.metrics.pckh import there
from pose_refine.skeletons import get_skeleton

KINDS = ("good", "jitter", "inversion", "swap", "miss", "missing")
NEAR_KINDS = 2  # good and jitter: the joint that is meant was found
NOT_LABELLED = -1
WIDER, LEAST_ALIKE = 3.0, 0.1  # who is who is asked with radii so much wider; less alike are two people
BINS = 10  # of scores, equally filled
Kinds = NDArray[np.intp]


def kinds_of(poses: AnyArray, truth: AnyArray, areas: AnyArray, skeleton: str) -> Kinds:
    """The kind of error of every joint of the people of one image.

    Args:
        poses: (P, K, 2 or more) what was predicted for each labelled person, NaN where nothing was.
        truth: (P, K, 2 or more) labels, NaN where there is none.
        areas: (P,) square pixels.
        skeleton: What the K joints are.

    Returns:
        (P, K) index in KINDS; NOT_LABELLED where there is no label.

    Examples:
        >>> truth = np.random.default_rng(0).uniform(0, 900, (1, 17, 2))
        >>> exchanged = truth[:, get_skeleton("coco17").mirror]
        >>> [KINDS[k] for k in kinds_of(exchanged, truth, np.array([400.0]), "coco17")[0, :2]]
        ['good', 'inversion']
    """
    mirror, sigmas = get_skeleton(skeleton).mirror, sigmas_of(skeleton)
    own = similarity(poses, truth, areas, sigmas)
    inverted = similarity(poses[:, mirror], truth, areas, sigmas)[:, mirror] >= WRONG
    swapped = np.zeros_like(inverted)
    for person in range(len(truth)) if len(truth) > 1 else ():
        theirs = np.delete(truth, person, 0)
        theirs = np.concatenate([theirs, theirs[:, mirror]])
        alike = similarity(poses[person, None], theirs, np.full(len(theirs), areas[person]), sigmas)
        swapped[person] = (alike >= WRONG).any(0)
    missing = KINDS.index("missing")
    conditions = [~there(poses), own >= RIGHT, own >= WRONG, inverted, swapped]
    kinds: Kinds = np.select(conditions, [missing, 0, 1, 2, 3], KINDS.index("miss"))
    return np.where(there(truth), kinds, NOT_LABELLED)


def assign(poses: AnyArray, truth: AnyArray, areas: AnyArray, skeleton: str) -> Kinds:
    """Which predicted person is which labelled one, of one image: the two that are most alike first.

    Alike by OKS with radii WIDER, so that poses far off are found as well, with the sides as they are or exchanged.

    Args:
        poses: (N, K, 2 or more) predicted people, NaN where missing.
        truth: (G, K, 2 or more) labelled people, NaN where not labelled.
        areas: (G,) square pixels.
        skeleton: What the K joints are.

    Returns:
        (G,) rows of `poses`; -1 for people whom nothing is like.
    """
    found = np.full(len(truth), -1, dtype=np.intp)
    if not len(poses):
        return found
    mirror, wide = get_skeleton(skeleton).mirror, WIDER * sigmas_of(skeleton)
    alike = np.zeros((len(truth), len(poses)))
    for person, (label, area) in enumerate(zip(truth, areas, strict=True)):
        both = [similarity(p, label[None], np.full(len(p), area), wide) for p in (poses, poses[:, mirror])]
        alike[person] = np.max([b.sum(1) for b in both], 0) / max(1, there(label).sum())
    while len(truth) and alike.max() >= LEAST_ALIKE:
        who, row = divmod(int(alike.argmax()), len(poses))
        found[who] = row
        alike[who], alike[:, row] = -1, -1
    return found


@dataclass(frozen=True)
class Judged:
    """Labelled people, what was predicted for them, and what is wrong with it; P people of any number of images.

    Attributes:
        poses: (P, K, 3) x, y, score; NaN where nothing was predicted.
        truth: (P, K, 2) NaN where not labelled.
        areas: (P,) square pixels.
        kinds: (P, K) see `kinds_of`.
        extra: How many predicted people are like nobody labelled.
    """

    poses: Doubles
    truth: Doubles
    areas: Doubles
    kinds: Kinds
    extra: int


def judge(poses: Doubles, truth: Doubles, areas: Doubles, skeleton: str) -> Judged:
    """Predicted people (N, K, 3) of one image against the labelled ones (G, K, 2); see `assign` and `kinds_of`."""
    rows = assign(poses, truth, areas, skeleton)
    given = np.full((*truth.shape[:2], 3), np.nan)
    given[rows >= 0] = poses[rows[rows >= 0]]
    extra = int(there(poses).any(1).sum() - (rows >= 0).sum())
    return Judged(given, truth, areas, kinds_of(given, truth, areas, skeleton), extra)


def together(parts: Sequence[Judged]) -> Judged:
    """The people of many images."""
    names = ("poses", "truth", "areas", "kinds")
    poses, truth, areas, kinds = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Judged(poses, truth, areas, kinds, sum(part.extra for part in parts))


@dataclass(frozen=True)
class JointErrors:
    """What is wrong with one joint, or all.

    Attributes:
        name: Of the joint.
        labelled: How many people have it labelled.
        shares: Percent of these, by kind.
        bias: Mean of predicted less labelled x and y, pixels, of the good ones and those that jitter; NaN without any.
        of_size: The same in percent of the person's size, the square root of its area.
        doubt: Standard error of `of_size`; infinite for less than two people.
    """

    name: str
    labelled: int
    shares: dict[str, float]
    bias: tuple[float, float]
    of_size: tuple[float, float]
    doubt: tuple[float, float]


def joint_errors(judged: Judged, name: str, columns: Sequence[int]) -> JointErrors:
    """What is wrong with the joints in these columns, taken together."""
    kinds = judged.kinds[:, columns]
    labelled = int((kinds != NOT_LABELLED).sum())
    shares = {kind: 100 * float((kinds == k).sum()) / max(1, labelled) for k, kind in enumerate(KINDS)}
    near = (kinds >= 0) & (kinds < NEAR_KINDS)
    off = (judged.poses[:, columns, :2] - judged.truth[:, columns])[near]
    size = np.broadcast_to(np.sqrt(judged.areas)[:, None], near.shape)[near]
    share = 100 * off / size[:, None]
    if not len(off):
        nothing = (np.nan, np.nan)
        return JointErrors(name, labelled, shares, nothing, nothing, (np.inf, np.inf))
    spread = share.std(0, ddof=1) / np.sqrt(len(off)) if len(off) > 1 else np.full(2, np.inf)
    return JointErrors(name, labelled, shares, *(_two(v) for v in (off.mean(0), share.mean(0), spread)))


def _two(values: AnyArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def exchanged(judged: Judged, skeleton: str) -> int:
    """How many people have most of their two-sided joints on the wrong side."""
    mirror = get_skeleton(skeleton).mirror
    kinds = judged.kinds[:, mirror != np.arange(len(mirror))]
    wrong = (kinds == KINDS.index("inversion")).sum(1)
    return int((2 * wrong > (kinds != NOT_LABELLED).sum(1)).sum())


@dataclass(frozen=True)
class ScoreBin:
    """Joints of like scores: the least and the highest, how many, their mean score, and percent of them good."""

    low: float
    high: float
    count: int
    mean: float
    good: float


@dataclass(frozen=True)
class Scores:
    """How the scores of joints relate to being good.

    Attributes:
        bins: Equally filled as far as equal scores allow, the lowest first; none where there are no scores.
        ranked: Percent of pairs of a good joint and another one in which the good one has the higher score; 50 is
            chance, NaN where there are no pairs.
        off: Mean distance of score and share of good joints over the bins, percent (the expected calibration error);
            NaN for scores that are no shares.
    """

    bins: list[ScoreBin]
    ranked: float
    off: float


def scores_of(judged: Judged) -> Scores:
    """Of joints that are labelled, predicted and have a score."""
    scores = judged.poses[..., 2]
    chosen = (judged.kinds != NOT_LABELLED) & (judged.kinds != KINDS.index("missing")) & np.isfinite(scores)
    order = np.argsort(scores[chosen], kind="stable")
    values, good = scores[chosen][order], (judged.kinds[chosen] == 0)[order]
    if not len(values):
        return Scores([], np.nan, np.nan)
    edges = np.unique(np.searchsorted(values, np.quantile(values, np.arange(1, BINS) / BINS)))
    parts = [p for p in np.split(np.arange(len(values)), edges) if len(p)]
    found = [(values[p], good[p]) for p in parts]
    bins = [ScoreBin(float(v[0]), float(v[-1]), len(v), float(v.mean()), 100 * float(g.mean())) for v, g in found]
    shares = values[0] >= 0 and values[-1] <= 1
    off = sum(b.count * abs(100 * b.mean - b.good) for b in bins) / len(values) if shares else np.nan
    return Scores(bins, ranking(values, good), float(off))


def ranking(scores: AnyArray, good: AnyArray) -> float:
    """Percent of pairs of a good one and another in which the good one's score is higher; equal ones count half."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # from 1; equal scores share theirs
    right, wrong = int(good.sum()), int((~good).sum())
    if not right or not wrong:
        return float("nan")
    return float(100 * (ranks[good].sum() - right * (right + 1) / 2) / (right * wrong))
