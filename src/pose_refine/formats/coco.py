"""COCO results, as Detectron, Detectron2 and pycocotools exchange them: a list of dicts with "keypoints", here of one
image. AlphaPose's JSON (image_id is the file's name, idx the track, scores may exceed 1) and OpenPifPaf's (no image_id)
are such lists too. So are labels, as pycocotools' loadAnns gives them: annotations.py says what their flags mean.

Layouts: https://cocodataset.org/#format-results
https://github.com/MVIG-SJTU/AlphaPose/blob/master/doc/output.md
https://openpifpaf.github.io/predict_cli.html
"""

from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine.files.names import image_id
from pose_refine.formats import annotations
from pose_refine.formats.common.categories import of_category
from pose_refine.formats.common.missing import MARKS
from pose_refine.formats.common.triplets import (
    DECIMALS,
    changed_triplets,
    flattened,
    is_nested,
    new_triplets,
    put_rows,
    put_triplets,
    read_triplets,
)
from pose_refine.poses import Poses, identity
from pose_refine.skeletons import AnySkeleton

KEY = "keypoints"
LABELS = ("num_keypoints", "iscrowd")  # what labels have, and results do not
FLAGS = (0, 1, 2)  # no others, as in annotations.are_flags: a result's scores may be whole numbers, too
IDS = ("idx", "id_", "track_id")  # AlphaPose's, OpenPifPaf's, others'
EXPECTED = "a list of dicts with 'keypoints', as COCO results are"


def matches(poses: Any) -> bool:
    """A list of dicts with keypoints; boxes of other categories may be among them."""
    if not isinstance(poses, list) or not all(isinstance(p, dict) for p in poses):
        return False
    return not poses or (any(KEY in p for p in poses) and all(KEY in p or "category_id" in p for p in poses))


def read(results: list[dict[str, Any]], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the results of one image.

    `missing.py` says which joints are missing: OpenPifPaf scales and shifts the 0 of those that it did not find, so
    that only their scores are 0.

    Args:
        results: Dicts with "keypoints", a flat list x, y, score of K joints, or K rows of them.
        skeleton: Name of the skeleton; by default by K.
        shape: Not needed.

    Raises:
        TypeError: Entries that are no dicts.
        ValueError: No keypoints at all, or several images.
    """
    if not all(isinstance(r, dict) for r in results):
        raise TypeError("COCO results: expected a list of dicts; an array of keypoints must be a numpy array")
    if results and not any(map(has_joints, results)):
        raise ValueError(f"COCO results: expected {KEY!r}, got 0 joints")
    people = people_of(results)
    images = {image_id(r.get("image_id")) for r in people}
    if len(images) > 1:
        ids = sorted(map(str, images))[:5]
        raise ValueError(
            f"COCO results: expected one image's people, got image ids {ids}; `pose-refine folder` takes those of many"
        )
    if _are_labels(people):
        found = annotations.read(_document(people), skeleton)
        return Poses(found.keypoints, found.scores, found.skeleton, ids_of(people))
    return read_triplets([flattened(p[KEY]) for p in people], skeleton, ids_of(people))


def _are_labels(people: list[dict[str, Any]]) -> bool:
    """Whether these are no results but labels: nobody has a score, and the third numbers of all joints are flags."""
    said = any(key in p for p in people for key in LABELS) and not any("score" in p for p in people)
    return said and all(isinstance(p[KEY], list) and _are_flags(p[KEY][2::3]) for p in people)


def _are_flags(column: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) and v in FLAGS for v in column)


def _document(labels: list[dict[str, Any]]) -> dict[str, Any]:
    """Labels as annotations.py takes them."""
    return {"images": [], "annotations": labels}


def people_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of people with keypoints, see `categories.of_category`; a person may have a box alone."""
    return [p for p in of_category([r for r in results if isinstance(r, dict)], None) if has_joints(p)]


def has_joints(entry: dict[str, Any]) -> bool:
    return entry.get(KEY) is not None and len(entry[KEY]) > 0


def ids_of(results: list[dict[str, Any]]) -> list[object] | None:
    key = next((k for k in IDS if any(k in r for r in results)), None)
    return None if key is None else [r.get(key) for r in results]


def new(poses: Poses, image_id: int | str | None, category_id: int) -> list[dict[str, Any]]:
    """Results of Poses of any origin; see `Poses.as_coco`."""
    out: list[dict[str, Any]] = []
    ids = [None] * len(poses) if poses.ids is None else [identity(i) for i in poses.ids]
    for person, present, known in zip(new_triplets(poses), poses.present, ids, strict=True):
        score = round(float(person[present, 2].mean()), DECIMALS) if present.any() else 0.0
        flat = person.reshape(-1).tolist()
        out.append({"image_id": image_id, "category_id": category_id, "keypoints": flat, "score": score})
        if known is not None:
            out[-1]["track_id"] = known
    return out


def write(poses: Poses, like: list[dict[str, Any]], shape: object = None) -> list[dict[str, Any]]:
    """A copy of `like` with the joints of `poses`; everything else stays as it was, the person's score too.

    Labels keep their flags, as annotations.py has it.
    """
    if _are_labels(people_of(like)):
        labels: list[dict[str, Any]] = annotations.write(poses, _document(like))["annotations"]
        return labels
    out = deepcopy(like)
    changed = changed_triplets(poses, read(like, poses.skeleton), MARKS["coco"])
    for entry, joints in zip(people_of(out), changed, strict=True):
        if is_nested(entry[KEY]):
            put_rows(entry[KEY], joints)
            continue
        if not isinstance(entry[KEY], list):
            entry[KEY] = np.asarray(entry[KEY]).tolist()
        put_triplets(entry[KEY], joints)
    return out
