"""PoseTrack 2017's JSON, which poseval reads, here of one image: {"annolist": [{"image", "annorect"}]} or one of its
entries. (PoseTrack 2018 is COCO's layout: annotations.py.)

Every number is a list of one. A joint is missing where its id has no point; of two points of one id the first counts,
as in poseval. Points have a place for scores, so that all refined joints get theirs, and recovered ones a new point.

Layout: https://github.com/leonid-pishchulin/poseval/blob/master/README.md
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine._types import Doubles, Floats
from pose_refine.formats import arrays
from pose_refine.formats.common.documents import check_one_image
from pose_refine.formats.common.missing import lost, without
from pose_refine.formats.common.triplets import DECIMALS
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton, get_skeleton

SKELETON = "posetrack15"
EXPECTED = "PoseTrack 2017's dict with a list 'annolist', or its entry with a list 'annorect'"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and any(isinstance(poses.get(k), list) for k in ("annolist", "annorect"))


def read(document: dict[str, Any], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image.

    Args:
        document: The file's content, a frame of `documents.frames`, or an entry of "annolist".
        skeleton: Not needed.
        shape: Not needed.

    Raises:
        ValueError: Several images, or not PoseTrack 2017's layout.
    """
    people = people_of(document)
    values = as_floats(joints_of(people), "points")
    keypoints = without(values[..., :2], lost(values[..., :2], values[..., 2]))
    return Poses(keypoints, values[..., 2], SKELETON, [track_of(p) for p in people])


def joints_of(people: Sequence[dict[str, Any]]) -> Doubles:
    """x, y, score (N, 15, 3) of entries of "annorect", NaN where missing."""
    values = np.full((len(people), len(get_skeleton(SKELETON).joints), 3), np.nan)
    for i, person in enumerate(people):
        for joint, point in _points(person).items():
            values[i, joint] = [number(point, k) for k in ("x", "y", "score")]
    return values


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; track ids, boxes, visibility and unchanged joints stay.

    A joint that is no longer there loses its point.
    """
    before, out = read(like, poses.skeleton), deepcopy(like)
    joints, changed = poses.to_array(), arrays.changed(poses, before)
    for i, person in enumerate(people_of(out)):
        points = _points(person)
        for joint in map(int, np.flatnonzero(changed[i])):
            if np.isnan(joints[i, joint, 0]):  # dropped
                _drop_points(person, joint)
                continue
            point = points[joint] if joint in points else _new_point(person, joint)
            _write_point(point, joints[i, joint], before.keypoints[i, joint])
    return out


def _drop_points(person: dict[str, Any], joint: int) -> None:
    """All of them: of two of one id the second would else come in the place of the first."""
    points = person["annopoints"][0]["point"]
    points[:] = [p for p in points if number(p, "id") != joint]


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


def people_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("annolist", [document])
    if not all(isinstance(e, dict) for e in entries):
        raise ValueError("PoseTrack JSON: expected dicts with 'image' and 'annorect' in 'annolist'")
    check_one_image([e.get("image") for e in entries], "PoseTrack JSON")
    people = [p for e in entries for p in e.get("annorect") or []]
    if not all(isinstance(p, dict) for p in people):
        raise ValueError(f"PoseTrack JSON: expected dicts in 'annorect', got {[type(p).__name__ for p in people][:5]}")
    return people


def listed_points(person: dict[str, Any]) -> list[dict[str, Any]]:
    """The person's points, whatever their ids."""
    groups = person.get("annopoints") or [{}]
    points = (groups[0] or {}).get("point") or [] if isinstance(groups, list) else None
    if not isinstance(points, list) or not all(isinstance(p, dict) for p in points):
        raise ValueError(f"PoseTrack JSON: expected annopoints [{{'point': [...]}}], got {str(groups)[:80]}")
    return points


def has_points(person: dict[str, Any]) -> bool:
    """Whether there is a list of points, be it an empty one: poseval leaves the others out."""
    groups = person.get("annopoints")
    return bool(isinstance(groups, list) and groups and groups[0] and "point" in groups[0])


def regions_of(entry: dict[str, Any]) -> list[Doubles]:
    """Corners (M, 2) of the image's ignore regions."""
    regions = [region.get("point") or [] for region in entry.get("ignore_regions") or []]
    return [np.array([[number(p, k) for k in ("x", "y")] for p in points]).reshape(-1, 2) for points in regions]


def _points(person: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The person's points by joint id; points of other ids are left alone."""
    out: dict[int, dict[str, Any]] = {}
    for point in listed_points(person):
        joint = number(point, "id")
        if joint in range(len(get_skeleton(SKELETON).joints)):
            out.setdefault(int(joint), point)
    return out


def number(point: dict[str, Any], key: str) -> float:
    """The number in a list of one; NaN where a score is not there."""
    value = point.get(key)
    if value is None and key in ("score", "id"):
        return float("nan")
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], (int, float)):
        raise ValueError(f"PoseTrack JSON: expected a list of one number as {key!r} of a point, got {str(value)[:40]}")
    return float(value[0])


def track_of(person: dict[str, Any]) -> Any:
    track = person.get("track_id")
    if isinstance(track, list):
        return track[0] if track else None
    return track
