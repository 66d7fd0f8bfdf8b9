"""Keypoints (N, K, 2) and scores (N, K) in two arrays or tensors, as heat-map estimators' Python APIs hand them over.

Their decoders put a joint whose peak is not above 0 beside the crop: a score of 0 or less means that it was not found.
"""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats
from pose_refine.formats.arrays import changed, read_joints
from pose_refine.formats.common.missing import ZERO, Mark, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton

Values = TypeVar("Values", AnyArray, torch.Tensor)


def as_array(values: AnyArray | torch.Tensor) -> AnyArray:
    """A tensor as an array; an array as it is."""
    return values.detach().float().cpu().numpy() if isinstance(values, torch.Tensor) else values


def read(keypoints: AnyArray, scores: AnyArray, skeleton: AnySkeleton | None) -> Poses:
    """Read two arrays; `missing.py` says which joints are missing.

    Args:
        keypoints: (N, K, 2) x, y in pixels.
        scores: (N, K).
        skeleton: Name of the skeleton; by default that of `DEFAULT_BY_COUNT` for K.

    Raises:
        ValueError: Another shape, not numbers, Inf, or no telling which skeleton.
    """
    joints, values = as_floats(keypoints, "keypoints"), as_floats(scores, "scores")
    if joints.ndim != 3 or joints.shape[2] != 2 or values.shape != joints.shape[:2]:
        raise ValueError(f"expected keypoints (N, K, 2) and scores (N, K), got {joints.shape} and {values.shape}")
    return read_joints(joints, values, skeleton, decoded=True)


def put(after: Poses, before: Poses, keypoints: Values, scores: Values, mark: Mark = ZERO) -> tuple[Values, Values]:
    """Copies of `keypoints` and `scores` with the joints that changed; the same kind, dtype and device."""
    mask, new = changed(after, before), written(after, mark)
    return filled(keypoints, mask, new[..., :2]), filled(scores, mask, new[..., 2])


def filled(values: Values, mask: NDArray[np.bool_], new: Floats) -> Values:
    """A copy of `values` (N, K, ...) with the joints of `mask` (N, K) from `new`; the same kind, dtype and device."""
    if isinstance(values, torch.Tensor):
        tensor = values.detach().clone()
        joints = torch.from_numpy(new[mask])
        tensor[torch.from_numpy(mask)] = (joints if values.is_floating_point() else joints.round()).to(values)
        return tensor
    array: AnyArray = values.copy()
    array[mask] = np.rint(new[mask]) if array.dtype.kind in "iu" else new[mask]
    return array
