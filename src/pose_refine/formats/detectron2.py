"""Detectron2's `Instances`, or the predictor's dict around it. Never imported: attributes are enough.

Detectron2 counts pixel edges: its (0.5, 0.5) is the middle of the first pixel, which is (0, 0) here.
Source: https://detectron2.readthedocs.io/en/latest/modules/structures.html#detectron2.structures.Keypoints
"""

from typing import Any

import numpy as np
import torch

from pose_refine._types import AnyArray
from pose_refine.formats import arrays
from pose_refine.formats.common.missing import MARKS, absent, without, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton

FIELD = "pred_keypoints"
EDGE = np.array([0.5, 0.5, 0.0], dtype=np.float32)
EXPECTED = "Detectron2's Instances, or the predictor's dict with 'instances'"


def instances_of(predictions: Any) -> Any:
    """The Instances of a predictor's output dict, or the object itself."""
    return predictions["instances"] if isinstance(predictions, dict) else predictions


def _tensor(instances: Any) -> torch.Tensor:
    if not hasattr(instances, FIELD) and _empty(instances):
        return torch.empty(0, 17, 3)
    if not hasattr(instances, FIELD):
        raise ValueError(f"Instances: expected a field {FIELD!r}: a keypoint model's output")
    tensor: torch.Tensor = getattr(instances, FIELD)
    return tensor


def _empty(instances: Any) -> bool:
    """Whether there is nobody; without any field, Instances has no length."""
    fields = instances.get_fields() if hasattr(instances, "get_fields") else {"": [0]}
    return all(len(values) == 0 for values in fields.values())


def _array(instances: Any) -> AnyArray:
    return _tensor(instances).detach().float().cpu().numpy()


def matches(poses: Any) -> bool:
    return hasattr(poses.get("instances") if isinstance(poses, dict) else poses, "get_fields")


def read(predictions: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read `pred_keypoints` (N, K, 3).

    Raises:
        ValueError: No such field, or another shape.
    """
    values = as_floats(_array(instances_of(predictions)), FIELD)
    if not values.size:
        return arrays.nobody(skeleton or arrays.nobodys_skeleton(values.shape))
    if values.ndim != 3 or values.shape[2] != 3:
        raise ValueError(f"Instances: expected {FIELD} (N, K, 3), got {values.shape}")
    keypoints = without(values[..., :2] - EDGE[:2], absent(values))
    return Poses(keypoints, values[..., 2], arrays.skeleton_name(values.shape[1], skeleton, keypoints))


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other `pred_keypoints`, on the same device, of the same dtype; all other fields shared."""
    if not len(poses):
        return like
    instances = instances_of(like)
    values = _tensor(instances).detach().clone()
    changed = arrays.changed(poses, read(instances, poses.skeleton))
    new = written(poses, MARKS["detectron2"]) + EDGE * poses.present[..., None]
    values[torch.from_numpy(changed)] = torch.from_numpy(new[changed]).to(values)
    out = instances[:]  # the public way to a copy that shares the fields
    out.set(FIELD, values)
    return {**like, "instances": out} if isinstance(like, dict) else out
