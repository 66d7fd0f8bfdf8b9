"""The tables of two papers, from real errors scaled until the poses are as good as each of the papers' starting points.

The papers' own poses are not to be had; images and errors differ from theirs. What is compared is how much is gained
from a start that is equally good by the same metric.
"""

from collections.abc import Callable

import numpy as np
from runs import DevSet, Step, run_all

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
MOST = 4.0  # times the errors
STEPS = 14  # halvings of the interval that holds the factor


def mixed_predictions(dev: DevSet, seed: int = 0) -> np.ndarray:
    """(P, 17, 3): each person by one of the estimators, drawn at random; scores as ranks within the estimator."""
    given = dev.people.predicted[:, :, : len(COCO_JOINTS)].copy()
    for e in range(given.shape[1]):
        scores = given[:, e, :, 2]
        known = np.isfinite(scores)
        scores[known] = scores[known].argsort().argsort() / max(1, known.sum())
    available = np.isfinite(given[..., 0]).any(2)
    chosen = np.where(available, np.random.default_rng(seed).random(available.shape), -1).argmax(1)
    return given[np.arange(len(given)), chosen]


def scaled(dev: DevSet, poses: np.ndarray, factor: float) -> np.ndarray:
    """Poses (P, 17, 3) with their errors times `factor`; joints that are not labelled stay."""
    out = poses.copy()
    moved = dev.truth + factor * (poses[..., :2] - dev.truth)
    out[..., :2] = np.where(np.isnan(moved), poses[..., :2], moved)
    return out


def factor_for(goal: float, figure: Callable[[float], float]) -> float:
    """The factor at which the falling `figure` meets `goal`."""
    low, high = 0.0, MOST
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if figure(middle) > goal else (low, middle)
    return (low + high) / 2


def limb_pckh(dev: DevSet, poses: np.ndarray) -> tuple[float, float]:
    """PCKh@0.5 and AUC of the people of LSP whose head is labelled, over the twelve limb joints."""
    neck, top = dev.people.keypoints[:, 17], dev.people.keypoints[:, 18]
    size = 0.6 * HEAD_OF_NECK * np.linalg.norm(neck - top, axis=-1)
    rows = dev.rows[size[dev.rows] > 1]
    found = pckh(poses[rows, :, :2], dev.truth[rows], size[rows], skeleton="coco17", leave_out=COCO_JOINTS[:5])
    return found.total, found.auc


def coco_ap(dev: DevSet, poses: np.ndarray) -> float:
    """OKS AP of everybody who has a pose, on the ground-truth box."""
    rows = np.flatnonzero(~np.isnan(poses[..., 0]).all(1))
    images, truth, area = (values[rows] for values in (dev.people.image, dev.truth, dev.people.area))
    scores = np.nanmean(poses[rows, :, 2], 1)
    return oks_ap(
        poses[rows, :, :2], scores, images.tolist(), truth, area, images.tolist(), sigmas=sigmas_of("coco17")
    )["AP"]


def poserefiner_rows(dev: DevSet, step: Step) -> list[dict[str, object]]:
    """One a starting point; the errors are scaled until the AUC is the paper's."""
    poses, rows = mixed_predictions(dev), []
    for before, after in POSEREFINER:
        factor = factor_for(before[1], lambda f: limb_pckh(dev, scaled(dev, poses, f))[1])
        start = scaled(dev, poses, factor)
        end = run_all(dev.people, start, step)
        ours = [limb_pckh(dev, p) for p in (start, end)]
        rows.append({"paper": [before, after], "ours": ours, "factor": factor})
    return rows


def posefix_rows(dev: DevSet, step: Step) -> list[dict[str, object]]:
    """One a starting point; the errors are scaled until the AP is the paper's."""
    poses, rows = mixed_predictions(dev), []
    for before, after in POSEFIX:
        factor = factor_for(before, lambda f: coco_ap(dev, scaled(dev, poses, f)))
        start = scaled(dev, poses, factor)
        end = run_all(dev.people, start, step)
        with_scores_in = np.concatenate([end[..., :2], start[..., 2:]], -1)
        ours = [coco_ap(dev, p) for p in (start, end, with_scores_in)]
        rows.append({"paper": [before, after], "ours": ours, "factor": factor})
    return rows
