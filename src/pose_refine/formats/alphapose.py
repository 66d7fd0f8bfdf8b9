"""AlphaPose's --format cmu: a dict with "bodies", whose "joints" are a flat list in OpenPose's order (18 or 15 joints).

Its other formats need nothing of their own: --format open is OpenPose's JSON, the default is COCO results. With cmu and
open a file for each image is in the folder sep-json; the one file of all images is keyed by image, and not taken.
Layout: https://github.com/MVIG-SJTU/AlphaPose/blob/master/doc/output.md
"""

from copy import deepcopy
from typing import Any

from pose_refine.formats.flat import changed_triplets, put_triplets, read_triplets
from pose_refine.formats.openpose import SKELETON_BY_COUNT
from pose_refine.poses import Poses

KEY = "joints"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and _has_bodies(poses)


def _has_bodies(document: dict[str, Any]) -> bool:
    bodies = document.get("bodies")
    return isinstance(bodies, list) and all(isinstance(b, dict) and isinstance(b.get(KEY), list) for b in bodies)


def read(document: dict[str, Any], skeleton: str | None = None, shape: object = None) -> Poses:
    """Read the people of one image; a joint is missing where x, y and the score are 0.

    Raises:
        ValueError: Not this layout, or a number of joints that needs skeleton=.
    """
    if not _has_bodies(document):
        raise ValueError(f"AlphaPose JSON: expected 'bodies', a list of dicts with {KEY!r}, got keys {list(document)}")
    flat = [body[KEY] for body in document["bodies"]]
    name = SKELETON_BY_COUNT.get(len(flat[0]) // 3) if flat else "coco18"
    return read_triplets(flat, skeleton or name, None)


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; everything else stays as it was."""
    out = deepcopy(like)
    for body, changed in zip(out["bodies"], changed_triplets(poses, read(like, poses.skeleton)), strict=True):
        put_triplets(body[KEY], changed)
    return out
