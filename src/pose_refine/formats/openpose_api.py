"""OpenPose's Python API: a `Datum` with poseKeypoints (N, K, 3), None or without dimensions where nobody was found.

Hands, face and everything else are shared with the copy that comes back. pyopenpose's own Datum is of pybind11, and
cannot be copied: then the array of its poseKeypoints comes back, and the log says so.
Source: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/03_python_api.md
"""

import copy
import logging
from typing import Any

import numpy as np

from pose_refine._types import AnyArray
from pose_refine.formats import arrays
from pose_refine.formats.common.missing import MARKS, written
from pose_refine.formats.openpose import OWN_BY_COUNT, in_pixels
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, get_skeleton

log = logging.getLogger(__name__)
FIELD = "poseKeypoints"
EXPECTED = "OpenPose's Datum, with poseKeypoints"


def matches(poses: Any) -> bool:
    return hasattr(poses, FIELD)


def read(datum: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read `poseKeypoints`, a joint at (0, 0, 0) being missing; ids are `poseIds`, where there is one a person.

    Raises:
        ValueError: Neither None nor of that shape, no telling which skeleton, or not in pixels.
    """
    keypoints = _array(datum, skeleton)
    poses = in_pixels(arrays.read(keypoints, skeleton or OWN_BY_COUNT.get(keypoints.shape[1])))
    ids = getattr(datum, "poseIds", None)
    known = ids.tolist() if isinstance(ids, np.ndarray) and ids.shape == (len(poses),) else None
    return Poses(poses.keypoints, poses.scores, poses.skeleton, known)


def _array(datum: Any, skeleton: AnySkeleton | None) -> AnyArray:
    keypoints = getattr(datum, FIELD)
    if keypoints is None or np.shape(keypoints) == () or 0 in np.shape(keypoints):
        return np.empty((0, len(get_skeleton(skeleton or "body25").joints), 3), np.float32)
    array = np.asarray(keypoints)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"{FIELD}: expected shape (N, K, 3), got {array.shape}")
    return array


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A shallow copy of the Datum with other poseKeypoints; the array alone where the Datum cannot be copied."""
    keypoints = _array(like, poses.skeleton).copy()
    mask = arrays.changed(poses, read(like, poses.skeleton))
    keypoints[mask] = written(poses, MARKS["openpose_api"])[mask]
    try:
        out = copy.copy(like)
    except TypeError as error:
        log.warning("%s cannot be copied (%s): returning the array of its %s", type(like).__name__, error, FIELD)
        return keypoints
    if len(poses):  # nobody stays as it was: None, or without dimensions
        setattr(out, FIELD, keypoints)
    return out
