"""OpenPose's JSON, and what other tools write in its layout.

The number of joints tells BODY_25 (or BODY_25B, told by geometry), COCO-18, MPI-15, HALPE_26 and others. Coordinates
are pixels (--keypoint_scale 0, OpenPose's default). Those of --keypoint_scale 3 and 4, in [0, 1] and [-1, 1], are
refused; those of 1 and 2 cannot be told from pixels of the image, and are as wrong.

People whose body list is empty (hands or face only) have no joints here, and stay as they are.

Layout: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
Scales: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/src/openpose/core/keypointScaler.cpp
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine.formats import arrays
from pose_refine.formats.common.missing import MARKS
from pose_refine.formats.common.triplets import changed_triplets, new_triplets, put_triplets, triplets
from pose_refine.poses import Poses, identity
from pose_refine.skeletons import DEFAULT_BY_COUNT, AnySkeleton, get_skeleton

SKELETON_BY_COUNT = {25: "body25", 18: "coco18", 15: "mpi15"}  # OpenPose's own
OWN_BY_COUNT = {k: v for k, v in SKELETON_BY_COUNT.items() if k not in DEFAULT_BY_COUNT}  # else as in any array
KEY = "pose_keypoints_2d"
KEYS = (KEY, "pose_keypoints", "body_parts")  # as it is called now, and was
Person = dict[str, Any]
EXPECTED = "OpenPose's dict with 'people', a list of dicts with 'pose_keypoints_2d'"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and "people" in poses


def read(document: dict[str, Any], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one frame.

    Raises:
        ValueError: Not OpenPose's layout, a number of joints that needs skeleton=, or not in pixels.
    """
    people = people_of(document)
    bodies = [p.get(key_of(p)) or [] for p in people]
    counts = {len(body) // 3 for body in bodies if body}
    if skeleton is not None and counts and len(get_skeleton(skeleton).joints) not in counts:
        skeleton = None  # `formats.read` says what they are instead
    return in_pixels(read_bodies(bodies, skeleton, [p.get("person_id") for p in people]))


def people_of(document: dict[str, Any]) -> list[Person]:
    """The document's own list; an empty one where it says null."""
    people = [] if document.get("people") is None else document["people"]
    if "people" not in document or not isinstance(people, list) or not all(_is_person(p) for p in people):
        keys = sorted(map(str, document))
        raise ValueError(f"OpenPose JSON: expected a 'people' list of dicts with {KEY!r}, got keys {keys}")
    return people


def _is_person(person: Any) -> bool:
    """Whether there is a list of the body's joints, be it empty, or of another part's."""
    if not isinstance(person, dict):
        return False
    bodies = [person[k] for k in KEYS if k in person]
    parts = bodies or [v for k, v in person.items() if k.endswith(("_keypoints_2d", "_keypoints"))]
    return bool(parts) and all(isinstance(v, list) or v is None for v in bodies)


def key_of(person: Person) -> str:
    """What the body's joints are called."""
    return next((k for k in KEYS if k in person), KEY)


def read_bodies(
    bodies: Sequence[Sequence[float]],
    skeleton: AnySkeleton | None,
    ids: Sequence[object] | None,
    nobody: str = "body25",
) -> Poses:
    """Read one flat list a person; an empty one is a person without joints.

    Raises:
        ValueError: Lists that differ in length, or no telling which skeleton; `triplets` has more.
    """
    there = [i for i, body in enumerate(bodies) if len(body)]
    if not there:
        joints = len(get_skeleton(skeleton or nobody).joints)
        empty = np.full((len(bodies), joints, 3), np.nan, np.float32)
        return Poses(empty[..., :2], empty[..., 2], skeleton or nobody, ids)
    found = triplets([bodies[i] for i in there])
    count = found.shape[1]
    known = arrays.read(found, skeleton or OWN_BY_COUNT.get(count))
    values = np.full((len(bodies), count, 3), np.nan, np.float32)
    values[there] = known.to_array()
    return Poses(values[..., :2], values[..., 2], known.skeleton, ids)


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


def new(poses: Poses) -> dict[str, Any]:
    """A document of Poses of any origin; see `Poses.as_openpose`."""
    own = poses if poses.skeleton in SKELETON_BY_COUNT.values() else poses.to(SKELETON_BY_COUNT[25])
    ids = [None] * len(own) if own.ids is None else [identity(i) for i in own.ids]
    people = [
        {"person_id": [-1 if known is None else known], KEY: person.reshape(-1).tolist()}
        for known, person in zip(ids, new_triplets(own), strict=True)
    ]
    return {"version": 1.3, "people": people}


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; hands, face, ids and unchanged joints stay as they were."""
    out = deepcopy(like)
    changed = changed_triplets(poses, read(like, poses.skeleton), MARKS["openpose"])
    for person, joints in zip(people_of(out), changed, strict=True):
        put_body(person.get(key_of(person)), joints)
    return out


def put_body(flat: list[float] | None, changed: dict[int, list[float]]) -> None:
    """Write a person's changed joints into its list, in place; an empty list has no place for any."""
    if flat:
        put_triplets(flat, changed)
