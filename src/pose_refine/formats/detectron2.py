"""Detectron2's `Instances`, or the predictor's dict around it. Never imported: attributes are enough.

Detectron2 counts pixel edges: its (0.5, 0.5) is the middle of the first pixel, which is (0, 0) here.
Source: https://detectron2.readthedocs.io/en/latest/modules/structures.html#detectron2.structures.Keypoints
"""

from typing import Any

import numpy as np
import torch

from pose_refine._types import AnyArray
from pose_refine.formats import arrays
from pose_refine.poses import Poses

FIELD = "pred_keypoints"
EDGE = np.array([0.5, 0.5, 0.0], dtype=np.float32)


def instances_of(predictions: Any) -> Any:
    """The Instances of a predictor's output dict, or the object itself."""
    return predictions["instances"] if isinstance(predictions, dict) else predictions


def _tensor(instances: Any) -> torch.Tensor:
    if not hasattr(instances, FIELD):
        raise ValueError(f"Instances: expected a field {FIELD!r}: a keypoint model's output")
    tensor: torch.Tensor = getattr(instances, FIELD)
    return tensor


def _array(instances: Any) -> AnyArray:
    return _tensor(instances).detach().float().cpu().numpy()


def matches(poses: Any) -> bool:
    return "instances" in poses if isinstance(poses, dict) else hasattr(poses, "get_fields")


def read(predictions: Any, skeleton: str | None = None, shape: object = None) -> Poses:
    """Read `pred_keypoints` (N, K, 3).

    Raises:
        ValueError: No such field, or another shape.
    """
    read = arrays.read(_array(instances_of(predictions)), skeleton)
    return Poses(read.keypoints - EDGE[:2], read.scores, read.skeleton)


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other `pred_keypoints`, on the same device, of the same dtype; all other fields shared."""
    instances = instances_of(like)
    values = _tensor(instances).detach().clone()
    changed = arrays.changed(poses, read(instances, poses.skeleton))
    values[torch.from_numpy(changed)] = torch.from_numpy((arrays.columns(poses) + EDGE)[changed]).to(values)
    out = instances[:]  # the public way to a copy that shares the fields
    out.set(FIELD, values)
    return {**like, "instances": out} if isinstance(like, dict) else out
