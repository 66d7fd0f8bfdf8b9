"""PCKh and its area under the curve, for people of whom each has one prediction.

A joint is right where its distance to the label is at most a share (0.5) of the person's head size; equality counts.
What nobody labelled is left out; a labelled joint that was not predicted is wrong. Scores are not used.

Definition: M. Andriluka, L. Pishchulin, P. Gehler, B. Schiele, 2D Human Pose Estimation: New Benchmark and State of the
Art Analysis, CVPR 2014; details as in the MPII toolkit's evaluatePCKh: http://human-pose.mpi-inf.mpg.de/#evaluation
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles
from pose_refine.skeletons import get_skeleton

HIT = 0.5  # head sizes
HEAD_FACTOR = 0.6  # of the head box's diagonal is the head size: the toolkit's SC_BIAS
CURVE: Doubles = np.linspace(0, 0.5, 51)  # thresholds of the AUC
NOT_COUNTED = ("pelvis", "thorax")  # the toolkit's total is over the other 14 joints
UPPER_BODY = ("shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class Pckh:
    """Percent of labelled joints that are right.

    Attributes:
        joints: (K,), one a joint; NaN where it is labelled on nobody.
        total: Over all counted joints of all people together, so that often labelled joints weigh more.
        upper_body: The same over shoulders, elbows and wrists.
        auc: Area under the curve of `total` over thresholds 0 to 0.5 (trapezoids of 0.01), as a share of its frame. The
            toolkit integrates a spline of the same points: it agrees to about 1e-4.
        curve: (51,) `total` at thresholds 0, 0.01, ..., 0.5.
    """

    joints: Doubles
    total: float
    upper_body: float
    auc: float
    curve: Doubles


def head_size(boxes: AnyArray) -> Doubles:
    """Head sizes (N,) in pixels of head boxes (N, 4) x0, y0, x1, y1: 0.6 of the diagonal."""
    corners = np.asarray(boxes, dtype=np.float64)
    sizes: Doubles = HEAD_FACTOR * np.linalg.norm(corners[..., 2:] - corners[..., :2], axis=-1)
    return sizes


def head_distance(poses: AnyArray, truth: AnyArray, head_sizes: AnyArray) -> Doubles:
    """Distance from the labels in head sizes.

    Args:
        poses: (N, K, 2) predicted joints.
        truth: (N, K, 2) labelled joints of the same people.
        head_sizes: (N,) pixels.

    Returns:
        (N, K): NaN where not labelled, infinite where labelled but not predicted.

    Raises:
        ValueError: Shapes that do not fit, or a head size that is not above 0 of a person with labels.
    """
    if poses.shape != truth.shape or truth.ndim != 3 or truth.shape[2] != 2 or head_sizes.shape != truth.shape[:1]:
        raise ValueError(
            "poses, truth, head_sizes: expected shapes (N, K, 2), (N, K, 2), (N,), got "
            f"{poses.shape}, {truth.shape}, {head_sizes.shape}"
        )
    labelled = there(truth)
    check_head_sizes(head_sizes, labelled.any(1))
    gap = np.linalg.norm(poses.astype(np.float64) - truth, axis=-1)
    distance: Doubles = np.where(np.isnan(gap), np.inf, gap) / np.where(labelled.any(1), head_sizes, 1)[:, None]
    distance[~labelled] = np.nan
    return distance


def there(keypoints: AnyArray) -> NDArray[np.bool_]:
    """(..., K), True where keypoints (..., K, 2) are not NaN."""
    known: NDArray[np.bool_] = ~np.isnan(keypoints[..., 0] + keypoints[..., 1])
    return known


def check_head_sizes(head_sizes: AnyArray, needed: Any) -> None:
    """Raises ValueError where a head size (N,) that is needed (N,) is not above 0."""
    wrong = np.flatnonzero(~(head_sizes > 0) & needed)
    if len(wrong):
        raise ValueError(
            f"head sizes: expected numbers above 0 for all labelled people, got {head_sizes[wrong[0]]} "
            f"(person {wrong[0]} of {len(head_sizes)})"
        )


def pckh(
    poses: AnyArray,
    truth: AnyArray,
    head_sizes: AnyArray,
    *,
    threshold: float = HIT,
    skeleton: str = "mpii16",
    leave_out: Sequence[str] = NOT_COUNTED,
) -> Pckh:
    """PCKh of people with one prediction each.

    Args:
        poses: (N, K, 2) predicted joints, NaN where not predicted.
        truth: (N, K, 2) labelled joints of the same people, NaN where not labelled.
        head_sizes: (N,) pixels, see `head_size`.
        threshold: Head sizes up to which a joint is right; of the AUC always 0 to 0.5.
        skeleton: What the K joints are.
        leave_out: Joints that are in no total. The toolkit leaves out pelvis and thorax; give () to count all.

    Raises:
        ValueError: Shapes that do not fit, head sizes that are not above 0, or no labelled joint.
    """
    joints = get_skeleton(skeleton).joints
    if truth.ndim != 3 or truth.shape[1] != len(joints):
        raise ValueError(f"truth: expected shape (N, {len(joints)}, 2) for {skeleton}, got {truth.shape}")
    distance = head_distance(poses, truth, head_sizes)
    counted = distance[:, [j for j, name in enumerate(joints) if name not in leave_out]]
    upper = distance[:, [j for j, name in enumerate(joints) if name.endswith(UPPER_BODY)]]
    if np.isnan(counted).all():
        raise ValueError(f"truth: expected labelled joints, got none among {len(truth)} people")
    curve = np.array([rate(counted, t) for t in CURVE])
    return Pckh(
        np.array([rate(column, threshold) for column in distance.T]),
        rate(counted, threshold),
        rate(upper, threshold),
        float((curve[:-1] + curve[1:]).mean() / 2),
        curve,
    )


def rate(distance: Doubles, threshold: float) -> float:
    """Percent of distances that are not NaN and at most the threshold; NaN if all are NaN."""
    labelled = ~np.isnan(distance)
    return float(100 * (distance[labelled] <= threshold).mean()) if labelled.any() else float("nan")
