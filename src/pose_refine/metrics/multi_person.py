"""Multi-person mean average precision: MPII's, which PoseTrack took over.

Predicted people are assigned to labelled people first, whole, by the share of the labelled joints that they hit (PCKh);
then every predicted joint is right or wrong, and is ranked by its score among all joints of its kind in all images.

Definition: L. Pishchulin et al., DeepCut, CVPR 2016; details as in MPII's evaluation toolkit (assignGTmulti,
computeRPC, VOCap), http://human-pose.mpi-inf.mpg.de/#evaluation, and in poseval,
https://github.com/leonid-pishchulin/poseval. Where the two differ, `average_precision` has an option.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles
from pose_refine.metrics.pckh import HIT, check_head_sizes, there

NO_SCORE = -9999.0  # poseval's MIN_SCORE: joints without a score rank last


@dataclass(frozen=True)
class Frame:
    """The labelled and the predicted people of one image.

    Attributes:
        truth: (G, K, 2) labelled joints, NaN where not labelled.
        head_sizes: (G,) pixels, see `pckh.head_size`.
        poses: (N, K, 2) predicted joints, NaN where not predicted.
        scores: (N, K) of the predicted joints; only their order counts. A joint without score gets NO_SCORE.
        truth_ids: Identities of the labelled people; only tracking needs them.
        ids: Identities of the predicted people; only tracking needs them.

    Raises:
        ValueError: Shapes that do not fit, head sizes that are not above 0, scores that are not finite.
    """

    truth: Doubles
    head_sizes: Doubles
    poses: Doubles
    scores: Doubles
    truth_ids: Sequence[Hashable] | None = None
    ids: Sequence[Hashable] | None = None

    def __post_init__(self) -> None:
        for name in ("truth", "head_sizes", "poses", "scores"):
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=np.float64))
        joints = self.truth.shape[1:]
        if self.truth.ndim != 3 or joints[1:] != (2,) or self.poses.ndim != 3 or self.poses.shape[1:] != joints:
            raise ValueError(
                f"truth, poses: expected shapes (G, K, 2) and (N, K, 2), got {self.truth.shape}, {self.poses.shape}"
            )
        if self.scores.shape != self.poses.shape[:2] or self.head_sizes.shape != self.truth.shape[:1]:
            raise ValueError(
                f"scores, head_sizes: expected shapes {self.poses.shape[:2]}, {self.truth.shape[:1]}, got "
                f"{self.scores.shape}, {self.head_sizes.shape}"
            )
        for name, ids, people in (("truth_ids", self.truth_ids, self.truth), ("ids", self.ids, self.poses)):
            if ids is not None and len(ids) != len(people):
                raise ValueError(f"{name}: expected {len(people)}, one a person, got {len(ids)}")
        if not np.isfinite(self.scores[self.predicted]).all():
            raise ValueError("scores: expected a finite number for every predicted joint, got NaN or infinity")
        check_head_sizes(self.head_sizes, self.labelled.any(1))

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(G, K), True where a joint is labelled."""
        return there(self.truth)

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """(N, K), True where a joint is predicted."""
        return there(self.poses)


@dataclass(frozen=True)
class AveragePrecision:
    """Percent, (K,) each, one a joint; totals and groups are plain means: see `groups`.

    Attributes:
        ap: Area under the envelope of the precision-recall curve; NaN where the joint is labelled nowhere.
        precision: Right of all predicted joints, whatever their score; NaN where none is predicted.
        recall: Right joints of all labelled ones; NaN where none is labelled.
        labelled: How many joints are labelled, in the images that count.
    """

    ap: Doubles
    precision: Doubles
    recall: Doubles
    labelled: NDArray[np.intp]


def average_precision(
    frames: Sequence[Frame],
    *,
    threshold: float = HIT,
    skip_unpredicted: bool = False,
    reverse_ties: bool = False,
    zero_if_unpredicted: bool = False,
) -> AveragePrecision:
    """Average precision of each joint.

    The defaults are the definition; MPII's toolkit is `skip_unpredicted=True`, poseval is `posetrack.pose_ap`.

    Args:
        frames: The images. One in which nobody is labelled is taken as empty: all that is predicted there is wrong.
        threshold: Head sizes up to which a joint is right.
        skip_unpredicted: Images in which nobody is predicted do not count, not even their labels (MPII's toolkit).
        reverse_ties: Of equal scores the later one ranks first (poseval); else the earlier one (MPII's toolkit).
        zero_if_unpredicted: A joint that is predicted nowhere has AP, precision and recall 0 even if it is labelled
            nowhere (poseval); else precision is NaN, and AP and recall are if it is not labelled.

    Raises:
        ValueError: No frames, or frames of different joints.
    """
    frames = [f for f in frames if len(f.poses) or not skip_unpredicted]
    check_joints(frames)
    labelled: NDArray[np.intp] = np.sum([f.labelled.sum(0) for f in frames], axis=0)
    predicted = np.concatenate([f.predicted for f in frames])
    scores = np.concatenate([f.scores for f in frames])
    right = np.concatenate([right_joints(f, threshold) for f in frames])
    rows = []
    for j, positives in enumerate(labelled):
        own = predicted[:, j]
        order = rank(scores[own, j], reverse_ties)
        rows.append(precision_recall(right[own, j][order], int(positives), zero_if_unpredicted))
    ap, precision, recall = 100 * np.array(rows, dtype=np.float64).T
    return AveragePrecision(ap, precision, recall, labelled)


def check_joints(frames: Sequence[Frame]) -> int:
    """Number of joints; raises ValueError where there is no frame, or where they differ."""
    counts: set[int] = {f.truth.shape[1] for f in frames}
    if len(counts) != 1:
        raise ValueError(f"frames: expected frames of the same joints, got {len(frames)} of {sorted(counts)} joints")
    return counts.pop()


def head_distances(frame: Frame) -> Doubles:
    """Distances (N, G, K) in head sizes of the labelled people, infinite where either joint is not there."""
    gap = np.linalg.norm(frame.poses[:, None] - frame.truth[None], axis=-1)
    distance: Doubles = (
        np.where(np.isnan(gap), np.inf, gap) / np.where(frame.labelled.any(1), frame.head_sizes, 1)[:, None]
    )
    return distance


def assign(hits: AnyArray, labelled: AnyArray) -> NDArray[np.intp]:
    """Which labelled person each predicted one is.

    A prediction is a candidate for one person only, the one of whose labelled joints it hits the largest share; each
    person takes its best candidate. Of equals the first counts. A second choice does not exist.

    Args:
        hits: (N, G, K) bool, predicted joints near enough to the label.
        labelled: (G, K) bool.

    Returns:
        (N,) index of the labelled person, -1 for none.
    """
    out = np.full(len(hits), -1, dtype=np.intp)
    if not hits.size:
        return out
    share = hits.sum(2) / np.maximum(labelled.sum(1), 1)
    share[np.arange(share.shape[1]) != share.argmax(1)[:, None]] = 0
    taken = np.flatnonzero(share.max(0) > 0)
    out[share.argmax(0)[taken]] = taken
    return out


def right_joints(frame: Frame, threshold: float) -> NDArray[np.bool_]:
    """(N, K), True where a predicted joint is near the label of the person that its own person is assigned to."""
    hits = head_distances(frame) <= threshold
    whose = assign(hits, frame.labelled)
    right = np.zeros(frame.scores.shape, dtype=bool)
    found = np.flatnonzero(whose >= 0)
    right[found] = hits[found, whose[found]]
    return right


def rank(scores: Doubles, reverse_ties: bool) -> NDArray[np.intp]:
    """Indices of scores (M,), best first."""
    if reverse_ties:
        return np.argsort(scores, kind="stable")[::-1]
    return np.argsort(-scores, kind="stable")


def precision_recall(right: AnyArray, positives: int, zero_if_empty: bool) -> tuple[float, float, float]:
    """AP, and precision and recall at the end of the list, as shares.

    AP is the area under the precision envelope at all recall values (VOC 2010 and later).

    Args:
        right: (M,) bool, best score first.
        positives: How many there are to find.
        zero_if_empty: 0 for all three where M is 0.
    """
    nan = float("nan")
    if not len(right):
        known = 0.0 if positives or zero_if_empty else nan
        return known, 0.0 if zero_if_empty else nan, known
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    if not positives:
        return nan, float(precision[-1]), nan
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((right * envelope).sum() / positives), float(precision[-1]), float(found[-1] / positives)


def inside(points: AnyArray, polygon: AnyArray) -> NDArray[np.bool_]:
    """Which points (..., 2) lie strictly inside a polygon (M, 2), by the even-odd rule; its border is outside.

    PoseTrack's ignore regions: joints in them, labelled and predicted, do not count (`posetrack.ignore`).

    Raises:
        ValueError: Fewer than three corners.
    """
    corners = np.asarray(polygon, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError(f"polygon: expected at least three corners (M, 2), got shape {corners.shape}")
    x, y = (np.asarray(points, dtype=np.float64)[..., None, k] for k in (0, 1))
    (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
    side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
    between = ((x - x0) * (x - x1) <= 0) & ((y - y0) * (y - y1) <= 0)
    border = ((side == 0) & between).any(-1)
    crossed = ((y0 > y) != (y1 > y)) & ((side > 0) == (y1 < y0))
    odd: NDArray[np.bool_] = (crossed.sum(-1) % 2 == 1) & ~border
    return odd
