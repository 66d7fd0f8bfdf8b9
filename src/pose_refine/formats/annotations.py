"""COCO annotation files, here of one image: {"images", "annotations", "categories"}. PoseTrack 2018 and 2021,
CrowdPose, Halpe, COCO-WholeBody and others have the same layout; the category's "keypoints" name the joints.

The third number of a joint is a flag: 0 not labelled, 1 labelled but not visible, 2 labelled and visible. It says
nothing of how sure anybody is, so that scores are unknown on the way in, unless there is PoseTrack's "scores" list or
the third numbers are no flags but scores, as some write them. On the way out a joint that was there keeps its flag. One
that was not becomes "labelled but not visible", the flag that claims least; where there is no place for its score, only
if it is more likely right than not. "num_keypoints" is counted anew then.

Layouts: https://cocodataset.org/#format-data
  https://github.com/leonid-pishchulin/poseval/blob/master/py/convert.py (PoseTrack 2018: track_id, scores)
  https://github.com/jin-s13/COCO-WholeBody/blob/master/data_format.md
"""

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats
from pose_refine.formats import arrays
from pose_refine.formats.common.categories import of_category
from pose_refine.formats.common.documents import check_one_image
from pose_refine.formats.common.missing import MARKS, lost, without, written
from pose_refine.formats.common.triplets import DECIMALS, triplets
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, skeleton_of

KEY = "keypoints"
LIKELY = 0.5  # a recovered joint's score from which on a format without scores is told of it
EXPECTED = "a dict with lists 'images' and 'annotations', as COCO's annotation files have"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and all(isinstance(poses.get(k), list) for k in ("images", "annotations"))


def read(document: dict[str, Any], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image; annotations without keypoints, and of another category, are left out.

    Args:
        document: The file's content, or a frame of `documents.frames`.
        skeleton: Name of the skeleton; by default by the category's joint names, or by their number.
        shape: Not needed.

    Raises:
        ValueError: Several images, keypoints that are no flat lists, joint names that no skeleton has.
    """
    people = people_of(document)
    check_one_image([p.get("image_id") for p in people], "annotations")
    name, ids = skeleton or named_skeleton(document, people), [p.get("track_id", p.get("id")) for p in people]
    if not people:
        return arrays.nobody(name or "coco17", ids)
    values = triplets([p[KEY] for p in people])
    scores = np.stack([scores_of(p, column) for p, column in zip(people, values[..., 2], strict=True)])
    joints = without(values[..., :2], lost(values[..., :2], values[..., 2]))  # by flags, where there are flags
    return Poses(joints, scores, arrays.skeleton_name(values.shape[1], name, joints), ids)


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; flags of joints that were there, boxes and all else stay.

    A joint that is no longer there gets flag 0: not labelled.
    """
    before, out = read(like, poses.skeleton), deepcopy(like)
    joints, changed = written(poses, MARKS["coco_annotations"]), arrays.changed(poses, before)
    for i, person in enumerate(people_of(out)):
        flags = are_flags(np.array(person[KEY][2::3], dtype=np.float64))
        keep = flags and not person.get("scores")
        wanted = worth_writing(joints[i], changed[i], before.present[i]) if keep else changed[i]
        for joint in map(int, np.flatnonzero(wanted)):
            _write_joint(person, joint, joints[i, joint], before.keypoints[i, joint], flags)
        appeared, gone = ~before.present[i], ~poses.present[i]
        if "num_keypoints" in person and flags and (changed[i] & (appeared | gone)).any():
            person["num_keypoints"] = sum(v > 0 for v in person[KEY][2::3])
    return out


def worth_writing(joints: Floats, changed: NDArray[np.bool_], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(K,): the changed joints (K, 3), without those that were missing and are more likely wrong than right."""
    likely: NDArray[np.bool_] = changed & (present | ~(joints[:, 2] < LIKELY))
    return likely


def _write_joint(person: dict[str, Any], joint: int, new: Floats, old: Floats, flags: bool) -> None:
    place = [round(float(v), DECIMALS) for v in new]
    flat, scores = person[KEY], person.get("scores")
    if not new.any():
        flat[3 * joint + 2] = 0
    if not (new[:2] == old).all():
        flat[3 * joint : 3 * joint + 2] = place[:2]
    if np.isnan(old[0]):
        flat[3 * joint + 2] = 1
    if np.isnan(new[2]):
        return
    if not flags:
        flat[3 * joint + 2] = place[2]
    if scores:
        scores[joint] = place[2]


def people_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The annotations of people with keypoints."""
    return [e for e in of_category(entries_of(document), document.get("categories")) if e.get(KEY)]


def entries_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """All annotations, those of things included."""
    entries: list[dict[str, Any]] = document["annotations"]
    if not all(isinstance(e, dict) for e in entries):
        raise ValueError(f"annotations: expected dicts, got {sorted({type(e).__name__ for e in entries})}")
    return entries


def named_skeleton(document: dict[str, Any], people: list[dict[str, Any]]) -> str | None:
    """By the names that the people's category gives to as many joints as they have; None where there are none."""
    used = {p.get("category_id") for p in people}
    names = [c[KEY] for c in document.get("categories") or [] if c.get(KEY) and (c.get("id") in used or not people)]
    if not names or any(len(p[KEY]) != 3 * len(names[0]) for p in people):
        return None
    found = skeleton_of(names[0])
    if found is None and people:
        raise ValueError(f"annotations: no skeleton has the joints {names[0]}; name one with skeleton=")
    return found


def are_flags(column: AnyArray) -> bool:
    """Whether the third numbers of joints are COCO's flags, and no scores: odd ones are whole numbers, too."""
    return bool((column == np.round(column)).all())


def scores_of(person: dict[str, Any], column: AnyArray) -> Any:
    """(K,): what there is of scores."""
    scores = person.get("scores")
    if not scores:
        return np.full_like(column, np.nan) if are_flags(column) else column
    if not isinstance(scores, list) or len(scores) != len(column):
        raise ValueError(f"annotations: expected {len(column)} scores, got {scores!r:.80}")
    try:
        return np.array(scores, dtype=np.float64).reshape(len(column))
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"annotations: expected a number as each score: {error}") from error
