"""COCO results, as Detectron, Detectron2 and pycocotools exchange them: a list of dicts with "keypoints", here of one
image. AlphaPose's JSON (image_id is the file's name, idx the track, scores may exceed 1) and OpenPifPaf's (no image_id)
are such lists too.

Layouts: https://cocodataset.org/#format-results
https://github.com/MVIG-SJTU/AlphaPose/blob/master/doc/output.md
https://openpifpaf.github.io/predict_cli.html
"""

from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine.formats import pairs
from pose_refine.formats.flat import changed_triplets, put_triplets, read_triplets
from pose_refine.poses import Poses

KEY = "keypoints"
IDS = ("idx", "id_", "track_id")  # AlphaPose's, OpenPifPaf's, others'


def matches(poses: Any) -> bool:
    return isinstance(poses, list) and all(isinstance(p, dict) and KEY in p for p in poses)


def read(results: list[dict[str, Any]], skeleton: str | None = None, shape: object = None) -> Poses:
    """Read the results of one image.

    A joint is missing where x, y and score are 0, or where the score is 0 while another joint of that person has one:
    OpenPifPaf scales and shifts the 0 of joints that it did not find.

    Args:
        results: Dicts with "keypoints", a flat list x, y, score of K joints.
        skeleton: Name of the skeleton; by default by K.
        shape: Not needed.

    Raises:
        TypeError: Entries that are no dicts.
        ValueError: Entries without keypoints, or of several images.
    """
    if not all(isinstance(r, dict) for r in results):
        raise TypeError("COCO results: expected a list of dicts; an array of keypoints must be a numpy array")
    if not all(KEY in r for r in results):
        raise ValueError(f"COCO results: every entry needs {KEY!r}")
    images = {r.get("image_id") for r in results}
    if len(images) > 1:
        ids = sorted(map(str, images))[:5]
        raise ValueError(
            f"COCO results: expected one image's people, got image ids {ids}; `pose-refine folder` takes those of many"
        )
    found = read_triplets([r[KEY] for r in results], skeleton, ids_of(results))
    lost = pairs.unfound(found.scores, found.scores == 0)
    return Poses(np.where(lost[..., None], np.nan, found.keypoints), found.scores, found.skeleton, found.ids)


def ids_of(results: list[dict[str, Any]]) -> list[object] | None:
    key = next((k for k in IDS if any(k in r for r in results)), None)
    return None if key is None else [r.get(key) for r in results]


def write(poses: Poses, like: list[dict[str, Any]], shape: object = None) -> list[dict[str, Any]]:
    """A copy of `like` with the joints of `poses`; everything else stays as it was, the person's score too."""
    out = deepcopy(like)
    for entry, changed in zip(out, changed_triplets(poses, read(like, poses.skeleton)), strict=True):
        if not isinstance(entry[KEY], list):
            entry[KEY] = np.asarray(entry[KEY]).tolist()
        put_triplets(entry[KEY], changed)
    return out
