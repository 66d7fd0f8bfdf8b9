"""The tables of two papers, from starts that are as good as theirs.

The papers' own poses are not to be had; images and errors differ from theirs. What is compared is how much is gained
from a start that is equally good by the same metric: of one estimator those people are taken of whom it is surest, by
its own scores, until the metric has fallen to the paper's. The threshold is on the score alone: the truth chooses
nobody, and the errors are as they came.
"""

from collections.abc import Callable, Sequence

import numpy as np
from runs import DevSet

from pose_refine.metrics.oks import oks_ap, sigmas_of
from pose_refine.metrics.pckh import pckh
from pose_refine.skeletons import COCO_JOINTS

# PoseRefiner (Fieraru et al., CVPR Workshops 2018), single person, MPII: (PCKh@0.5, AUC) before, after.
POSEREFINER = (
    ((92.0, 64.2), (92.0, 64.7)),
    ((91.9, 61.6), (92.1, 63.6)),
    ((88.5, 60.8), (89.1, 62.3)),
    ((86.1, 57.3), (88.0, 61.2)),
    ((81.3, 49.1), (85.6, 58.4)),
)
# PoseFix (Moon et al., CVPR 2019), COCO: AP before, after.
POSEFIX = ((56.6, 63.9), (61.7, 66.7), (62.9, 67.2), (68.6, 71.8), (71.1, 73.6), (75.5, 76.7))
HEAD_OF_NECK = 1.4286  # head box's diagonal over the distance from neck to head top: our stand-in for MPII's box
LEAST = 50  # people; of fewer a metric says little
STEPS = 50  # how finely the number of people is tried
NEAR = 1.0  # points above the paper's start at most


def nearest_start(before: Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """PoseRefiner's row whose (PCKh@0.5, AUC) before is nearest to this one."""
    return min(POSEREFINER, key=lambda row: np.hypot(row[0][0] - before[0], row[0][1] - before[1]))


def surest(sure: np.ndarray, figure: Callable[[np.ndarray], float], goals: Sequence[float]) -> list[np.ndarray | None]:
    """For each goal the people of whom an estimator is surest: as many as there can be with `figure` not below it.

    Args:
        sure: (N,) one score a person.
        figure: The metric of some of the people, rows (M,).
        goals: What it is to be.

    Returns:
        Rows (M,) for each goal; None where no number of people (LEAST at least) gives it, or within NEAR above it.
    """
    order = np.argsort(-sure, kind="stable")
    if len(order) < LEAST:
        return [None] * len(goals)
    counts = np.unique(np.linspace(LEAST, len(order), STEPS).astype(int))
    found = np.array([figure(order[:count]) for count in counts])
    return [_most(order, counts, found, goal) for goal in goals]


def _most(order: np.ndarray, counts: np.ndarray, found: np.ndarray, goal: float) -> np.ndarray | None:
    reached = np.flatnonzero(found >= goal)
    if not len(reached) or found[reached[-1]] > goal + NEAR:
        return None
    return order[: counts[reached[-1]]]


def sureness(poses: np.ndarray) -> np.ndarray:
    """(P,) mean score of each person's joints (P, K, 3), -inf without any."""
    known = np.isfinite(poses[..., 2])
    mean = np.where(known, poses[..., 2], 0).sum(1) / np.maximum(known.sum(1), 1)
    return np.where(known.any(1), mean, -np.inf)


def limb_pckh(dev: DevSet, poses: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """PCKh@0.5 and AUC of people of LSP whose head is labelled, over the twelve limb joints."""
    found = pckh(
        poses[rows, :, :2], dev.truth[rows], head_of_neck(dev)[rows], skeleton="coco17", leave_out=COCO_JOINTS[:5]
    )
    return found.total, found.auc


def head_of_neck(dev: DevSet) -> np.ndarray:
    """(P,) head sizes from neck and head top, NaN where these are not labelled."""
    neck, top = dev.people.keypoints[:, 17], dev.people.keypoints[:, 18]
    return 0.6 * HEAD_OF_NECK * np.linalg.norm(neck - top, axis=-1)


def coco_ap(dev: DevSet, poses: np.ndarray, rows: np.ndarray) -> float:
    """OKS AP of people on their ground-truth boxes, percent."""
    images, truth, area = (values[rows] for values in (dev.people.image, dev.truth, dev.people.area))
    scores, images = sureness(poses[rows]), images.tolist()
    return oks_ap(poses[rows, :, :2], scores, images, truth, area, images, sigmas=sigmas_of("coco17"))["AP"]


def with_pose(poses: np.ndarray) -> np.ndarray:
    """Rows of the people who have one."""
    return np.flatnonzero(~np.isnan(poses[..., 0]).all(1))


def poserefiner_rows(dev: DevSet, before: np.ndarray, after: np.ndarray) -> list[dict[str, object]]:
    """Rows of PoseRefiner's table that people of one estimator reach, by the AUC; poses (P, 17, 3)."""
    people = dev.rows[head_of_neck(dev)[dev.rows] > 1]
    people = people[np.isin(people, with_pose(before))]
    starts = surest(
        sureness(before[people]), lambda some: limb_pckh(dev, before, people[some])[1], [b[1] for b, _ in POSEREFINER]
    )
    return [
        {"paper": row, "ours": [limb_pckh(dev, poses, people[some]) for poses in (before, after)], "people": len(some)}
        for row, some in zip(POSEREFINER, starts, strict=True)
        if some is not None
    ]


def posefix_rows(dev: DevSet, before: np.ndarray, after: np.ndarray) -> list[dict[str, object]]:
    """Rows of PoseFix's table that people of one estimator reach; ours before, after, and after with its scores."""
    people, scores_in = with_pose(before), np.concatenate([after[..., :2], before[..., 2:]], -1)
    starts = surest(
        sureness(before[people]), lambda some: coco_ap(dev, before, people[some]), [start for start, _ in POSEFIX]
    )
    return [
        {"paper": row, "ours": [coco_ap(dev, p, people[some]) for p in (before, after, scores_in)], "people": len(some)}
        for row, some in zip(POSEFIX, starts, strict=True)
        if some is not None
    ]
