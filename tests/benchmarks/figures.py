"""Figures of poses against ground truth: everything is percent, over labelled joints that the estimator knows.

recall   mean over OKS thresholds .50:.05:.95 of the share of people above it (area as annotated, COCO's sigmas)
right    share of joints within their OKS-.85 radius
harm     of the joints that were right, the share beyond their OKS-.50 radius afterwards
loosen   of the joints that were right, the share that no longer is
help     of the joints beyond their OKS-.50 radius, the share that is right afterwards
"""

import numpy as np
from runs import DevSet

from pose_refine.metrics import oks
from pose_refine.metrics.groups import GROUPS, columns_of
from pose_refine.metrics.oks import RIGHT, WRONG
from pose_refine.skeletons import NETWORK, SIGMAS, SKELETONS

COCO = SKELETONS["coco17"]
CLASSES = ("good", "jitter", "inversion", "swap", "miss")
BINS = 10
SIZES = {"box under 128 px": (0, 128), "128 to 256 px": (128, 256), "over 256 px": (256, np.inf)}
TOUCHING = 0.1  # intersection over union with the box of another person
UPRIGHT = np.cos(np.deg2rad(45))  # the trunk leans less than that


class Compared:
    """Poses before and after, and the truth, of the people who are measured and have a pose.

    Args:
        dev: The data set.
        before: (P, K, 3), K joints as `dev` has them.
        after: (P, K, 3).
        joints: Which joints count, (K,) those that the estimator knows, or (P, K).
    """

    def __init__(self, dev: DevSet, before: np.ndarray, after: np.ndarray, joints: np.ndarray) -> None:
        self.rows = dev.rows[~np.isnan(before[dev.rows, :, 0]).all(1)]
        self.dev, self.before, self.after = dev, before[self.rows], after[self.rows]
        self.labelled = ~np.isnan(dev.truth[self.rows, :, 0]) & np.broadcast_to(joints, before.shape[:2])[self.rows]
        self.old, self.new = (self.similar(p) for p in (self.before, self.after))

    def similar(self, poses: np.ndarray) -> np.ndarray:
        """Keypoint similarity (N, K) of their poses (N, K, 2 or 3)."""
        sigmas = SIGMAS[: self.dev.joints]
        return oks.similarity(poses, self.dev.truth[self.rows], self.dev.people.area[self.rows], sigmas)

    def only(self, people: np.ndarray | None = None, joints: list[int] | None = None) -> dict[str, float]:
        """The figures of some of them, (N,) bool, and some of the joints, (J,) columns."""
        labelled = self.labelled.copy()
        if people is not None:
            labelled[~people] = False
        if joints is not None:
            labelled[:, np.setdiff1d(np.arange(labelled.shape[1]), joints)] = False
        right, wrong = labelled & (self.old >= RIGHT), labelled & (self.old < WRONG)
        return {
            "people": int(labelled.any(1).sum()),
            "before": recall(self.old, labelled),
            "after": recall(self.new, labelled),
            "right_before": share(self.old[labelled] >= RIGHT),
            "right_after": share(self.new[labelled] >= RIGHT),
            "harm": share(self.new[right] < WRONG),
            "loosen": share(self.new[right] < RIGHT),
            "help": share(self.new[wrong] >= RIGHT),
        }


def share(values: np.ndarray) -> float:
    return float(100 * values.mean()) if len(values) else float("nan")


def recall(similar: np.ndarray, labelled: np.ndarray) -> float:
    some = labelled.any(1)
    mean = (similar * labelled).sum(1)[some] / labelled.sum(1)[some]
    return float(100 * (mean[:, None] > oks.THRESHOLDS).mean()) if len(mean) else float("nan")


def by_joint(compared: Compared) -> dict[str, dict[str, float]]:
    """Figures of every joint group that the data set labels."""
    groups = {g: columns_of(g, NETWORK.joints[: compared.dev.joints]) for g in GROUPS}
    return {g: compared.only(joints=columns) for g, columns in groups.items() if compared.labelled[:, columns].any()}


def by_person(compared: Compared) -> dict[str, dict[str, float]]:
    """Figures by size, by crowding, and by how a person stands."""
    people, rows = compared.dev.people, compared.rows
    boxes = boxes_of(people.keypoints)
    height = (boxes[:, 3] - boxes[:, 1])[rows]
    kinds = {name: (height >= low) & (height < high) for name, (low, high) in SIZES.items()}
    touching = largest_overlap(boxes, people.image)[rows] > TOUCHING
    kinds |= {"alone": ~touching, "touching another person's box": touching}
    lean = cosine_to_vertical(people.keypoints[rows, :17])
    kinds |= {"upright": lean > UPRIGHT, "leaning more than 45 degrees": lean <= UPRIGHT}
    return {name: compared.only(people=chosen) for name, chosen in kinds.items() if chosen.any()}


def boxes_of(keypoints: np.ndarray) -> np.ndarray:
    """(P, 4) x0, y0, x1, y1 of the labelled joints."""
    return np.concatenate([np.nanmin(keypoints, 1), np.nanmax(keypoints, 1)], 1)


def largest_overlap(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(P,) largest intersection over union with somebody else in the same image."""
    size = np.clip(np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2]), 0, None)
    common, area = size.prod(-1), (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlap = common / np.maximum(area[:, None] + area - common, 1e-6)
    overlap[image[:, None] != image] = 0
    np.fill_diagonal(overlap, 0)
    return overlap.max(1)


def cosine_to_vertical(keypoints: np.ndarray) -> np.ndarray:
    """(N,) 1 for a person who stands, -1 for one upside down; NaN where shoulders or hips are not labelled."""
    ends = [
        keypoints[:, [COCO.joints.index(f"{s}_{j}") for s in ("left", "right")]].mean(1) for j in ("shoulder", "hip")
    ]
    down = ends[1] - ends[0]
    return down[:, 1] / np.maximum(np.linalg.norm(down, axis=1), 1e-6)


def error_classes(compared: Compared, poses: np.ndarray) -> dict[str, float]:
    """Shares of PoseFix's classes (after Ronchi and Perona, ICCV 2017): the first that fits.

    good and jitter: within the OKS-.85 and the OKS-.50 radius; inversion: within the OKS-.50 radius of the mirror
    joint; swap: of the same or the mirror joint of somebody else in the image; miss: the rest.
    """
    dev, mirror, own = compared.dev, COCO.mirror, compared.similar(poses)
    inverted = compared.similar(poses[:, mirror])[:, mirror] >= WRONG
    swapped = np.zeros_like(inverted)
    for i, row in enumerate(compared.rows):
        theirs = dev.truth[(dev.people.image == dev.people.image[row]) & (np.arange(len(dev.truth)) != row)]
        theirs = np.concatenate([theirs, theirs[:, mirror]])
        similar = oks.similarity(
            poses[i, None], theirs, np.full(len(theirs), dev.people.area[row]), SIGMAS[: dev.joints]
        )
        swapped[i] = (similar >= WRONG).any(0)
    conditions = [own >= RIGHT, own >= WRONG, inverted, swapped]
    kind = np.select(conditions, range(len(conditions)), len(conditions))[compared.labelled]
    return {name: share(kind == k) for k, name in enumerate(CLASSES)}


def reliability(scores: np.ndarray, is_right: np.ndarray) -> list[list[float]]:
    """Of BINS equally wide bins of the score, empty ones left out: share of the joints, mean score, share right."""
    which = np.minimum((scores * BINS).astype(int), BINS - 1)
    chosen = [which == b for b in np.unique(which)]
    return [[float(c.mean()), float(scores[c].mean()), float(is_right[c].mean())] for c in chosen]
