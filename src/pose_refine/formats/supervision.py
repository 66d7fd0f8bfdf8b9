"""supervision's `KeyPoints`. Never imported: attributes are enough.

A joint is missing where x and y are 0. Scores are `keypoint_confidence`, in versions before 0.29 `confidence`; where
they are None they stay so. Source: https://supervision.roboflow.com/latest/keypoint/core/
"""

from copy import copy
from typing import Any

import numpy as np

from pose_refine.formats.arrays import changed, nobody, nobodys_skeleton, read_joints
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton

EXPECTED = "supervision's KeyPoints"


def matches(poses: Any) -> bool:
    return all(hasattr(poses, name) for name in ("xy", "class_id", "data")) and _name(poses) is not None


def _name(poses: Any) -> str | None:
    """The newer name first: asking a newer version for the older one gives a warning."""
    return next((n for n in ("keypoint_confidence", "confidence") if hasattr(poses, n)), None)


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read `xy` (N, K, 2) and the scores (N, K).

    Raises:
        ValueError: Other shapes, or no telling which skeleton.
    """
    xy, scores = as_floats(poses.xy, "xy"), getattr(poses, str(_name(poses)))
    if not xy.size:  # KeyPoints.empty() has no joints
        return nobody(skeleton or nobodys_skeleton(xy.shape))
    if xy.ndim != 3 or xy.shape[2] != 2:
        raise ValueError(f"KeyPoints: expected xy (N, K, 2), got {xy.shape}")
    known = (
        as_floats(scores, "confidence") if scores is not None and len(xy) else np.full(xy.shape[:2], np.float32("nan"))
    )
    if known.shape != xy.shape[:2]:
        raise ValueError(f"KeyPoints: expected confidence (N, K) for xy {xy.shape}, got {known.shape}")
    return read_joints(xy, known, skeleton, own=True)


def new(poses: Poses) -> Any:
    """KeyPoints of Poses of any origin; see `Poses.as_supervision`.

    Raises:
        ImportError: supervision is not installed.
    """
    try:
        from supervision import KeyPoints  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError("as_supervision() needs supervision: pip install supervision") from error
    values = written(poses, MARKS["supervision"])
    name = "keypoint_confidence" if "keypoint_confidence" in KeyPoints.__dataclass_fields__ else "confidence"
    scores = None if np.isnan(poses.scores).all() else values[..., 2]
    ids = {} if poses.ids is None else {"ids": list(poses.ids)}
    return KeyPoints(xy=values[..., :2], data=ids, **{name: scores})


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other joints and scores; all else is shared."""
    out, name = copy(like), str(_name(like))
    if len(poses):
        mask, values = changed(poses, read(like, poses.skeleton)), written(poses, MARKS["supervision"])
        out.xy = pairs.filled(like.xy, mask, values[..., :2])
        if getattr(like, name) is not None:
            setattr(out, name, pairs.filled(getattr(like, name), mask, values[..., 2]))
    return out
