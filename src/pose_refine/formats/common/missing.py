"""What "missing" looks like: how it is read, and the table of how each format writes it.

Read as missing, in every format of pixels, is a joint
  with a coordinate that is NaN;
  at (0, 0) or (-1, -1), whatever its score: nobody measures a joint just there, estimators write it for "not found";
  whose score is 0 while another joint of that person has one. (Of people none of whose joints has one, the scores say
  nothing.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats
from pose_refine.poses import Poses, as_floats
from pose_refine.warned import warn

Mark = tuple[float, float, float]
ZERO: Mark = (0, 0, 0)
NONE: Mark = (np.nan, np.nan, np.nan)

# How each format writes a missing joint: x, y and score in its own numbers.
MARKS: dict[str, Mark] = {
    "array": ZERO,  # or whatever it has for others: see `mark_of`
    "ultralytics": ZERO,
    "mediapipe": ZERO,
    "movenet": ZERO,
    "supervision": ZERO,
    "torchvision": ZERO,  # its third column, which is 1 for a joint that is there, becomes 0, too
    "detectron2": ZERO,
    "detectron1": ZERO,
    "mmpose": ZERO,
    "rtmlib": ZERO,
    "alphapose": ZERO,
    "openpose": ZERO,
    "openpose_api": ZERO,
    "coco": ZERO,
    "coco_annotations": ZERO,  # flag 0: not labelled
    "mpii": (-1, -1, 0),  # flag 0
    "deeplabcut": NONE,
    "vitpose": NONE,  # it has no label
    "posetrack": NONE,  # it has no point
}
TOLD = (
    "joints at (-1, -1), or at (0, 0) with a score, were taken for missing: so estimators write what they did not find"
)
_quiet: ContextVar[bool] = ContextVar("_quiet", default=False)


def lost(keypoints: AnyArray, scores: AnyArray, *, own: bool = False, decoded: bool = False) -> NDArray[np.bool_]:
    """Which joints are missing; warns where that is a guess, but for formats whose library writes it so (`own`).

    Args:
        keypoints: (N, K, 2) in the format's own numbers.
        scores: (N, K), NaN where unknown.
        decoded: Scores come from a heat-map decoder, where those below 0 are as bad as 0; elsewhere they may be logits.
        own: Says that (0, 0) and (-1, -1) are what this format's library writes for a missing joint.

    Returns:
        (N, K).
    """
    with np.errstate(invalid="ignore"):
        zero, minus = ((keypoints == v).all(-1) for v in (0, -1))
        guessed = minus | (zero & ~np.isnan(scores) & (scores != 0))
    if guessed.any() and not own and not _quiet.get():
        warn(TOLD)
    nowhere: NDArray[np.bool_] = np.isnan(keypoints).any(-1) | zero | minus
    return nowhere | unfound(scores, scores <= 0 if decoded else scores == 0)


def unfound(scores: AnyArray, low: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`low` (N, K), but False for people all of whose joints are: there the scores say nothing."""
    known: NDArray[np.bool_] = ~np.isnan(scores) & ~low
    out: NDArray[np.bool_] = low & known.any(1, keepdims=True)
    return out


def absent(values: AnyArray) -> NDArray[np.bool_]:
    """(N, K): which joints x, y, score (N, K, 3) are missing in formats where (0, 0) and (-1, -1) are places as others.

    All of it is 0, the score maybe unknown; or the score is 0 while another joint of that person has one.
    """
    scores = values[..., 2]
    nowhere: NDArray[np.bool_] = (values[..., :2] == 0).all(-1) & ((scores == 0) | np.isnan(scores))
    return nowhere | unfound(scores, scores == 0)


def without(keypoints: AnyArray, lost: NDArray[np.bool_]) -> Floats:
    """`keypoints` (N, K, 2), NaN where `lost` (N, K)."""
    return as_floats(np.where(lost[..., None], np.float32(np.nan), keypoints), "keypoints")


@contextmanager
def untold() -> Iterator[None]:
    """No warnings: what is written was read, and told, before."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def written(poses: Poses, mark: Mark) -> Floats:
    """(N, K, 3): x, y, score; `mark` where there is no joint."""
    return np.where(poses.present[..., None], poses.to_array(), np.array(mark, np.float32))


def mark_of(values: AnyArray) -> Mark:
    """What an array (..., 2 or 3) itself has for a missing joint: NaN or -1, where it has any; else 0."""
    if np.isnan(values[..., :2]).any():
        return NONE
    return (-1, -1, 0) if (values[..., :2] == -1).all(-1).any() else ZERO
