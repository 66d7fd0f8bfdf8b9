"""MediaPipe's pose landmarks: the tasks API's `PoseLandmarkerResult` and the legacy solution's result. Never imported.

Coordinates are shares of the image's width and height, from its edges: MediaPipe draws the landmark at x in column
floor(x * width), so that the middle of the first pixel is 0.5 / width. MediaPipe gives all 33 landmarks, also those
outside the image; one at (0, 0) with visibility 0, or None, is missing. `visibility` is what users threshold, and gets
the refined score; where it is None it stays so. `z`, presence, world landmarks and masks stay.
Sources: https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker/python and
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/python/solutions/drawing_utils.py
"""

from copy import copy, deepcopy
from typing import Any

import numpy as np

from pose_refine.formats.arrays import changed
from pose_refine.formats.common.missing import MARKS, absent, without, written
from pose_refine.formats.common.normalized import from_shares, to_shares
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton

SKELETON = "mediapipe33"
KEY = "pose_landmarks"
EXPECTED = "MediaPipe's result with pose_landmarks and pose_world_landmarks"


def matches(poses: Any) -> bool:
    return hasattr(poses, KEY) and hasattr(poses, "pose_world_landmarks")


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: tuple[int, int] | None = None) -> Poses:
    """Read the landmarks of everybody in an image.

    Args:
        poses: MediaPipe's result.
        skeleton: Not needed.
        shape: Height and width of the image, pixels.

    Raises:
        ValueError: No `shape`, or not 33 landmarks.
    """
    people = _people(poses)
    if counts := {len(marks) for marks in people} - {33}:
        raise ValueError(f"MediaPipe: expected 33 pose landmarks a person, got {sorted(counts)[0]}")
    numbers = [[_numbers(mark) for mark in marks] for marks in people]
    try:
        values = np.array(numbers, dtype=np.float64).reshape(len(people), 33, 3)
    except (TypeError, ValueError) as error:
        raise ValueError(f"MediaPipe: expected numbers as x, y and visibility of each landmark: {error}") from error
    keypoints = without(from_shares(values[..., :2], shape), absent(values))
    return Poses(keypoints, as_floats(values[..., 2], "visibility"), SKELETON)


def _people(poses: Any) -> list[Any]:
    """The landmarks of each person: the legacy solution finds one or nobody, and then says None."""
    marks = getattr(poses, KEY)
    if hasattr(marks, "landmark"):
        return [marks.landmark]
    return list(marks) if marks is not None else []


def _numbers(mark: Any) -> tuple[float, float, float]:
    return mark.x, mark.y, np.nan if mark.visibility is None else mark.visibility


def write(poses: Poses, like: Any, shape: tuple[int, int] | None = None) -> Any:
    """A copy of `like` with the joints of `poses`."""
    marks = deepcopy(getattr(like, KEY))
    people = [marks.landmark] if hasattr(marks, "landmark") else marks or []
    values = written(poses, MARKS["mediapipe"])
    places = np.where(poses.present[..., None], to_shares(poses.keypoints, shape), values[..., :2])
    mask = changed(poses, read(like, shape=shape))
    for person, joint in zip(*np.nonzero(mask), strict=True):
        mark = people[person][joint]
        mark.x, mark.y = places[person, joint].tolist()
        if mark.visibility is not None:
            mark.visibility = float(values[person, joint, 2])
    if isinstance(like, type):  # the legacy solution sets what it found on a new class, of which there is no object
        return type(like.__name__, (like,), {KEY: marks})
    out = copy(like)
    setattr(out, KEY, marks)
    return out
