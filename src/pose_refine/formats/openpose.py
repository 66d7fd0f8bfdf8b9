"""OpenPose's JSON: BODY_25, COCO-18 and MPI-15, told apart by their number of joints; coordinates in pixels
(--keypoint_scale 0, OpenPose's default). Those of --keypoint_scale 3 and 4, in [0, 1] and [-1, 1], are refused; those
of 1 and 2 cannot be told from pixels of the image, and are as wrong.

Layout: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
Scales: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/src/openpose/core/keypointScaler.cpp
"""

from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine.formats.flat import changed_triplets, put_triplets, read_triplets
from pose_refine.poses import Poses

SKELETON_BY_COUNT = {25: "body25", 18: "coco18", 15: "mpi15"}
KEY = "pose_keypoints_2d"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and "people" in poses


def read(document: dict[str, Any], skeleton: str | None = None, shape: object = None) -> Poses:
    """Read the people of one frame.

    Raises:
        ValueError: Not OpenPose's layout, a number of joints that none of its models has, or not in pixels.
    """
    people = document.get("people")
    if not isinstance(people, list) or not all(isinstance(p, dict) and isinstance(p.get(KEY), list) for p in people):
        keys = sorted(map(str, document))
        raise ValueError(f"OpenPose JSON: expected a 'people' list of dicts with {KEY!r}, got keys {keys}")
    counts = {len(p[KEY]) // 3 for p in people}
    if len(counts) > 1 or not counts <= set(SKELETON_BY_COUNT):
        raise ValueError(f"OpenPose JSON: expected 25, 18 or 15 joints, the same for all, got {sorted(counts)}")
    name = SKELETON_BY_COUNT[counts.pop()] if counts else skeleton or "body25"
    return in_pixels(read_triplets([p[KEY] for p in people], name, [p.get("person_id") for p in people]))


def in_pixels(poses: Poses) -> Poses:
    """`poses` as they are.

    Raises:
        ValueError: All coordinates lie within [-1, 1]: another keypoint_scale, not a person of one pixel.
    """
    if 0 < np.abs(poses.keypoints[poses.present]).max(initial=0) <= 1:
        raise ValueError(
            "OpenPose: expected coordinates in pixels (--keypoint_scale 0, its default), got none beyond [-1, 1]; run "
            "OpenPose again with it, or convert: x * (width - 1) from scale 3, (x + 1) / 2 * (width - 1) from scale 4, "
            "y with the height"
        )
    return poses


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; hands, face, ids and unchanged joints stay as they were."""
    out = deepcopy(like)
    for person, changed in zip(out["people"], changed_triplets(poses, read(like, poses.skeleton)), strict=True):
        put_triplets(person[KEY], changed)
    return out
