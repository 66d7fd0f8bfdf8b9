"""Ultralytics' `Results` of a pose model (YOLO-pose), or the list of one that predict gives. Never imported.

A joint is missing where x and y are 0: so Ultralytics marks those that it is not sure of. `conf` may be None. Nobody is
`data` of shape (1, 0, 51), or whatever has no numbers. Boxes, masks, names and speed stay; track ids are the people's
ids. Coordinates are taken as they are: where a pixel's centre lies is not documented.

Source: https://docs.ultralytics.com/reference/engine/results/
"""

from copy import copy
from typing import Any

import numpy as np

from pose_refine.formats.arrays import changed, nobody, nobodys_skeleton, read_joints
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS, written
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton

CACHED = {"xy", "xyn", "conf"}  # views of `data`, kept when first asked for
EXPECTED = "Ultralytics' Results of a pose model, or a list of one"


def matches(poses: Any) -> bool:
    result = _result(poses)
    return all(hasattr(result, name) for name in ("keypoints", "boxes", "orig_shape", "names"))


def _result(poses: Any) -> Any:
    return poses[0] if isinstance(poses, list) and len(poses) == 1 else poses


def _data(poses: Any) -> Any:
    keypoints = _result(poses).keypoints
    if keypoints is None:
        raise ValueError("Ultralytics Results: expected keypoints: a pose model's output, such as yolo11n-pose")
    data = keypoints.data
    if 0 not in data.shape and (data.ndim != 3 or data.shape[2] not in (2, 3)):
        raise ValueError(f"Ultralytics Results: expected keypoints (N, K, 2 or 3), got {tuple(data.shape)}")
    return data


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read `keypoints.data` (N, K, 2 or 3).

    Raises:
        ValueError: No keypoints, another shape, or no telling which skeleton.
    """
    values = np.asarray(pairs.as_array(_data(poses)), dtype=np.float32)
    if not values.size:
        return nobody(skeleton or nobodys_skeleton(values.shape))
    scores = values[..., 2] if values.shape[2] == 3 else np.full(values.shape[:2], np.nan, dtype=np.float32)
    ids = getattr(_result(poses).boxes, "id", None)
    known = None if ids is None else [int(i) for i in ids.tolist()]
    return read_joints(values[..., :2], scores, skeleton, known, own=True)


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other keypoints, in memory of the same kind; all else is shared."""
    result, data = _result(like), _data(like)
    if not len(poses):
        return like
    mask = changed(poses, read(like, poses.skeleton))
    keypoints = copy(result.keypoints)
    for name in CACHED & vars(keypoints).keys():
        delattr(keypoints, name)
    keypoints.data = pairs.filled(data, mask, written(poses, MARKS["ultralytics"])[..., : data.shape[2]])
    out = copy(result)
    out.keypoints = keypoints
    return [out] if isinstance(like, list) else out
