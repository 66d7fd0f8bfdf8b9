"""COCO results, as Detectron, Detectron2 and pycocotools exchange them: a list of dicts with "keypoints", here of one
image. Layout: https://cocodataset.org/#format-results"""

from copy import deepcopy
from typing import Any

import numpy as np

from pose_refine.formats.flat import changed_triplets, read_triplets
from pose_refine.poses import Poses

KEY = "keypoints"


def read(results: list[dict[str, Any]], skeleton: str | None = None) -> Poses:
    """Read the results of one image.

    Args:
        results: Dicts with "keypoints", a flat list x, y, score of K joints.
        skeleton: Name of the skeleton; by default by K.

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
        raise ValueError(f"COCO results: expected one image's people, got image ids {sorted(map(str, images))[:5]}")
    return read_triplets([r[KEY] for r in results], skeleton, None)


def write(poses: Poses, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A copy of `like` with the joints of `poses`; everything else stays as it was, the person's score too."""
    out = deepcopy(like)
    for entry, values in zip(out, changed_triplets(poses, read(like, poses.skeleton)), strict=True):
        flat = entry[KEY] if isinstance(entry[KEY], list) else np.asarray(entry[KEY]).tolist()
        for index, triplet in values.items():
            flat[3 * index : 3 * index + 3] = triplet
        entry[KEY] = flat
    return out
