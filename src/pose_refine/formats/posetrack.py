"""PoseTrack 2017's JSON, which poseval reads, here of one image: {"annolist": [{"image", "annorect"}]} or one of its
entries. (PoseTrack 2018 is COCO's layout: annotations.py.)

Every number is a list of one. A joint is missing where its id has no point; of two points of one id the first counts,
as in poseval. Points have a place for scores, so that all refined joints get theirs, and recovered ones a new point.

Layout: https://github.com/leonid-pishchulin/poseval/blob/master/README.md
"""

from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine._types import Floats
from pose_refine.formats import arrays
from pose_refine.formats.documents import check_one_image
from pose_refine.formats.flat import DECIMALS
from pose_refine.poses import Poses
from pose_refine.skeletons import get_skeleton

SKELETON = "posetrack15"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and any(isinstance(poses.get(k), list) for k in ("annolist", "annorect"))


def read(document: dict[str, Any], skeleton: str | None = None, shape: object = None) -> Poses:
    """Read the people of one image.

    Args:
        document: The file's content, a frame of `documents.frames`, or an entry of "annolist".
        skeleton: Not needed.
        shape: Not needed.

    Raises:
        ValueError: Several images, or not PoseTrack 2017's layout.
    """
    people = _people(document)
    values = np.full((len(people), len(get_skeleton(SKELETON).joints), 3), np.nan, dtype=np.float32)
    for i, person in enumerate(people):
        for joint, point in _points(person).items():
            values[i, joint] = [_number(point, k) for k in ("x", "y", "score")]
    return Poses(values[..., :2], values[..., 2], SKELETON, [_track(p) for p in people])


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; track ids, boxes, visibility and unchanged joints stay.

    A joint all of 0 (see `identities.erased`) loses its point.
    """
    before, out = read(like, poses.skeleton), deepcopy(like)
    joints, changed = arrays.columns(poses), arrays.changed(poses, before)
    for i, person in enumerate(_people(out)):
        points = _points(person)
        for joint in map(int, np.flatnonzero(changed[i])):
            if not joints[i, joint].any():  # dropped: missing is to have no point
                person["annopoints"][0]["point"].remove(points[joint])
                continue
            point = points[joint] if joint in points else _new_point(person, joint)
            _write_point(point, joints[i, joint], before.keypoints[i, joint])
    return out


def _write_point(point: dict[str, Any], new: Floats, old: Floats) -> None:
    x, y, score = ([round(float(v), DECIMALS)] for v in new)
    if not (new[:2] == old).all():
        point.update(x=x, y=y)
    if not np.isnan(new[2]):
        point["score"] = score


def _new_point(person: dict[str, Any], joint: int) -> dict[str, Any]:
    """A point of that joint, added to the person's."""
    if not isinstance(person.get("annopoints"), list) or not person["annopoints"]:
        person["annopoints"] = [{}]
    if not person["annopoints"][0]:  # MATLAB's empty struct comes as {} or []
        person["annopoints"][0] = {"point": []}
    point: dict[str, Any] = {"id": [joint]}
    person["annopoints"][0].setdefault("point", []).append(point)
    return point


def _people(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("annolist", [document])
    if not all(isinstance(e, dict) for e in entries):
        raise ValueError("PoseTrack JSON: expected dicts with 'image' and 'annorect' in 'annolist'")
    check_one_image([e.get("image") for e in entries], "PoseTrack JSON")
    people = [p for e in entries for p in e.get("annorect") or []]
    if not all(isinstance(p, dict) for p in people):
        raise ValueError(f"PoseTrack JSON: expected dicts in 'annorect', got {[type(p).__name__ for p in people][:5]}")
    return people


def _points(person: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The person's points by joint id; points of other ids are left alone."""
    groups = person.get("annopoints") or [{}]
    points = (groups[0] or {}).get("point") or [] if isinstance(groups, list) else None
    if not isinstance(points, list) or not all(isinstance(p, dict) for p in points):
        raise ValueError(f"PoseTrack JSON: expected annopoints [{{'point': [...]}}], got {str(groups)[:80]}")
    out: dict[int, dict[str, Any]] = {}
    for point in points:
        joint = _number(point, "id")
        if joint in range(len(get_skeleton(SKELETON).joints)):
            out.setdefault(int(joint), point)
    return out


def _number(point: dict[str, Any], key: str) -> float:
    """The number in a list of one; NaN where a score is not there."""
    value = point.get(key)
    if value is None and key in ("score", "id"):
        return float("nan")
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], (int, float)):
        raise ValueError(f"PoseTrack JSON: expected a list of one number as {key!r} of a point, got {str(value)[:40]}")
    return float(value[0])


def _track(person: dict[str, Any]) -> object:
    track = person.get("track_id")
    return track[0] if isinstance(track, list) and track else track
