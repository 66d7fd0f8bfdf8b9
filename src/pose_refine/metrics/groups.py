"""Joint groups, as every table of the field has them: left and right together, and all of the head."""

from collections.abc import Sequence

import numpy as np

from pose_refine._types import AnyArray, Doubles

HEAD = ("head_top", "upper_neck", "nose", "left_eye", "right_eye", "left_ear", "right_ear")
GROUPS = {
    "head": HEAD,
    **{g: (f"left_{g}", f"right_{g}") for g in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}


def columns_of(group: str, joints: Sequence[str]) -> list[int]:
    """Which of these joints are in the group; none if the skeleton has none of it."""
    return [i for i, name in enumerate(joints) if name in GROUPS[group]]


def group_means(values: AnyArray, joints: Sequence[str]) -> dict[str, float]:
    """Plain mean of the group's joints, as MPII's toolkit and poseval print it; NaN if one of them is NaN.

    Args:
        values: (K,), one a joint.
        joints: Names of the K joints.

    Returns:
        Group name to mean, groups of which the skeleton has no joint left out.
    """
    columns = {group: columns_of(group, joints) for group in GROUPS}
    return {group: float(values[found].mean()) for group, found in columns.items() if found}


def mean_of_defined(values: AnyArray) -> float:
    """Mean of the values (K,) that are not NaN: poseval's total; NaN if all are."""
    defined: Doubles = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
