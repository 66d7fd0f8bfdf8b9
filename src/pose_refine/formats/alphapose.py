"""AlphaPose's --format cmu: a dict with "bodies", whose "joints" are a flat list in OpenPose's order (18 or 15 joints).

Its other formats need nothing of their own: --format open is OpenPose's JSON, the default is COCO results. With cmu and
open a file for each image is in the folder sep-json; the one file of all images is keyed by image, which documents.py
takes apart.
Layout: https://github.com/MVIG-SJTU/AlphaPose/blob/master/doc/output.md
"""

from copy import deepcopy
from typing import Any

from pose_refine.formats.common.missing import MARKS
from pose_refine.formats.common.triplets import changed_triplets
from pose_refine.formats.openpose import put_body, read_bodies
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton

KEY = "joints"
EXPECTED = "AlphaPose's dict with 'bodies', a list of dicts with 'joints'"


def matches(poses: Any) -> bool:
    return isinstance(poses, dict) and _has_bodies(poses)


def _has_bodies(document: dict[str, Any]) -> bool:
    bodies = [] if document.get("bodies") is None else document["bodies"]
    return (
        "bodies" in document
        and isinstance(bodies, list)
        and all(isinstance(b, dict) and isinstance(b.get(KEY), list) for b in bodies)
    )


def read(document: dict[str, Any], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image; `missing.py` says which joints are missing.

    Raises:
        ValueError: Not this layout, or a number of joints that needs skeleton=.
    """
    if not _has_bodies(document):
        raise ValueError(f"AlphaPose JSON: expected 'bodies', a list of dicts with {KEY!r}, got keys {list(document)}")
    flat = [body[KEY] for body in document["bodies"] or []]
    return read_bodies(flat, skeleton, None, nobody="coco18")


def write(poses: Poses, like: dict[str, Any], shape: object = None) -> dict[str, Any]:
    """A copy of `like` with the joints of `poses`; everything else stays as it was."""
    out = deepcopy(like)
    for body, changed in zip(
        out["bodies"] or [], changed_triplets(poses, read(like, poses.skeleton), MARKS["alphapose"]), strict=True
    ):
        put_body(body[KEY], changed)
    return out
