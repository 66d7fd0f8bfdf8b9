"""Detectron's (the first, Caffe2) keypoints of one image: `cls_keyps[1]`, a list with one array (4, K) a person.

Rows: x, y, logit, prob. The prob becomes the joint's score; the logit stays what the network said. Its coordinates are
those of COCO's annotations, an integer being a pixel's centre here too: Detectron, unlike Detectron2, adds no half.
An empty list is taken for COCO results, and comes back as it is.
Source: https://github.com/facebookresearch/Detectron/blob/main/detectron/utils/keypoints.py (heatmaps_to_keypoints)
"""

from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Floats
from pose_refine.formats import arrays
from pose_refine.formats.common.missing import MARKS, written
from pose_refine.formats.common.triplets import read_triplets
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton

ROWS = 4
PLACES = [0, 1, 3]  # x, y, prob
EXPECTED = "Detectron's list of arrays (4, K), one a person"


def matches(poses: Any) -> bool:
    return isinstance(poses, list) and len(poses) > 0 and all(_is_person(p) for p in poses)


def _is_person(person: Any) -> bool:
    """Whether it can only be (4, K): one (K, 4) array of four joints would be as high as it is wide, or higher."""
    return isinstance(person, np.ndarray) and person.ndim == 2 and person.shape[0] == ROWS < person.shape[1]


def read(people: list[AnyArray], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read arrays (4, K); a joint is missing as in `arrays.read`.

    Raises:
        ValueError: Other shapes, different ones, not numbers, Inf, or no telling which skeleton.
    """
    if not people:
        return read_triplets([], skeleton, None)
    if not matches(people) or len({p.shape for p in people}) > 1:
        got = [getattr(p, "shape", type(p).__name__) for p in people]
        raise ValueError(f"Detectron keypoints: expected a list of arrays (4, K), all of one K, got {got}")
    return arrays.read(_triplets(people), skeleton)


def _triplets(people: list[AnyArray]) -> Floats:
    return np.stack(people)[:, PLACES].transpose(0, 2, 1)


def write(poses: Poses, like: list[AnyArray], shape: object = None) -> list[AnyArray]:
    """New arrays of the same dtypes with x, y and prob of the joints of `poses`."""
    mask = arrays.changed(poses, read(like, poses.skeleton))
    out = [person.copy() for person in like]
    for person, changed, values in zip(out, mask, written(poses, MARKS["detectron1"]), strict=True):
        person[np.ix_(PLACES, changed)] = values[changed].T
    return out
