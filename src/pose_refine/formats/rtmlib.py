"""(keypoints, scores) tuples of arrays: rtmlib's Body, BodyWithFeet, Wholebody, RTMPose, RTMO ..., and what else gives
them so (HRNet's get_final_preds with its scores as (N, K, 1)).

K tells the skeleton: 17, 26 (Halpe) and 133 as in any array; 18 is what rtmlib gives with to_openpose=True.
RTMO gives one person, all zeros, for an empty image; the PoseTracker two empty lists. Both come back as they are.
Source: https://github.com/Tau-J/rtmlib/blob/main/rtmlib/tools/pose_estimation/rtmpose.py (RTMPose.postprocess)
"""

from typing import Any

import numpy as np

from pose_refine._types import AnyArray
from pose_refine.formats.arrays import nobody, nobodys_skeleton
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton

OPENPOSE = {18: "coco18"}
Pair = tuple[AnyArray, AnyArray]
EXPECTED = "a tuple of float arrays, keypoints (N, K, 2) and scores (N, K)"


def matches(poses: Any) -> bool:
    return type(poses) is tuple and len(poses) == 2 and (_nobody(poses) or _fit(*poses))


def _nobody(pair: tuple[Any, Any]) -> bool:
    """Whether these are the tracker's two empty lists, or arrays without numbers."""
    return all(not p.size if isinstance(p, np.ndarray) else isinstance(p, list) and not p for p in pair)


def _fit(keypoints: Any, scores: Any) -> bool:
    if not all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in (keypoints, scores)):
        return False
    people = keypoints.shape[:2]
    return keypoints.ndim == 3 and keypoints.shape[2] == 2 and scores.shape in (people, (*people, 1))


def read(pair: Pair, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read keypoints (N, K, 2) and scores (N, K) or (N, K, 1); `missing.py` says which joints are missing.

    Raises:
        ValueError: Other shapes, not numbers, Inf, or no telling which skeleton.
    """
    if not matches(pair):
        got = [getattr(p, "shape", type(p).__name__) for p in pair]
        raise ValueError(f"expected a tuple of float arrays, keypoints (N, K, 2) and scores (N, K), got {got}")
    if _nobody(pair):
        return nobody(skeleton or nobodys_skeleton(np.shape(pair[0])))
    keypoints, scores = pair
    count = keypoints.shape[1]
    return pairs.read(keypoints, scores.reshape(-1, count), skeleton or OPENPOSE.get(count))


def write(poses: Poses, like: Pair, shape: object = None) -> Pair:
    """Two arrays of the same shapes and dtypes with the joints of `poses`."""
    if _nobody(like):
        return like[0].copy(), like[1].copy()
    keypoints, scores = like
    flat = scores.reshape(keypoints.shape[:2])
    joints, values = pairs.put(poses, read(like, poses.skeleton), keypoints, flat, MARKS["rtmlib"])
    return joints, values.reshape(scores.shape)
