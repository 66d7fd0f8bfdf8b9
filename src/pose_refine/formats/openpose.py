"""OpenPose's JSON: BODY_25, COCO-18 and MPI-15, told apart by their number of joints; coordinates in pixels
(--keypoint_scale 0, OpenPose's default).

Layout: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
"""

from copy import deepcopy
from typing import Any

from pose_refine.formats.flat import changed_triplets, read_triplets
from pose_refine.poses import Poses

SKELETON_BY_COUNT = {25: "body25", 18: "coco18", 15: "mpi15"}
KEY = "pose_keypoints_2d"


def read(document: dict[str, Any]) -> Poses:
    """Read the people of one frame.

    Raises:
        ValueError: Not OpenPose's layout, or a number of joints that none of its models has.
    """
    people = document.get("people")
    if not isinstance(people, list) or not all(isinstance(p, dict) and KEY in p for p in people):
        raise ValueError(f"OpenPose JSON: expected a 'people' list of dicts with {KEY!r}, got keys {sorted(document)}")
    counts = {len(p[KEY]) // 3 for p in people}
    if len(counts) > 1 or not counts <= set(SKELETON_BY_COUNT):
        raise ValueError(f"OpenPose JSON: expected 25, 18 or 15 joints, the same for all, got {sorted(counts)}")
    skeleton = SKELETON_BY_COUNT[counts.pop()] if counts else "body25"
    return read_triplets([p[KEY] for p in people], skeleton, [p.get("person_id") for p in people])


def write(poses: Poses, like: dict[str, Any]) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; hands, face, ids and unchanged joints stay as they were."""
    out = deepcopy(like)
    for person, values in zip(out["people"], changed_triplets(poses, read(like)), strict=True):
        for index, triplet in values.items():
            person[KEY][3 * index : 3 * index + 3] = triplet
    return out
