"""Pictures of poses: left warm, right cold, missing left out."""

from collections.abc import Sequence

import cv2
import numpy as np

from pose_refine._types import Bytes, Floats
from pose_refine.poses import Poses
from pose_refine.skeletons import get_skeleton

LEFT, RIGHT, MIDDLE = (255, 140, 60), (70, 170, 255), (190, 235, 120)  # RGB
ARROW = (255, 255, 255)
LEAST_ARROW = 0.02  # of the person's height: shorter moves are not worth an arrow
GUESS = 0.2  # refined joints below this probability are not drawn in before/after pictures
SHIFT_BITS = 4  # OpenCV draws at sixteenths of a pixel


def draw(image: Bytes, poses: Poses, before: Poses | None = None, *, least_score: float = 0.0) -> Bytes:
    """Draw poses on a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        poses: People to draw.
        before: The same people before refining: an arrow shows where each joint came from.
        least_score: Joints with a lower score are left out; refined ones are probabilities, so 0.2 hides guesses.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: `before` has other people or another skeleton.
    """
    if before is not None and (before.keypoints.shape != poses.keypoints.shape or before.skeleton != poses.skeleton):
        raise ValueError("before: expected the same people in the same skeleton")
    canvas = np.ascontiguousarray(image).copy()
    skeleton = get_skeleton(poses.skeleton)
    for person in range(len(poses)):
        unsure = poses.scores[person] < least_score  # NaN is not lower
        points = np.where(unsure[:, None], np.float32(np.nan), poses.keypoints[person])
        if np.isnan(points).all():
            continue
        size = float(np.nanmax(np.nanmax(points, 0) - np.nanmin(points, 0)))
        size = min(size, float(max(image.shape[:2])))  # a joint may lie far outside
        width = max(1, round(size / 110))
        for a, b in skeleton.limbs:
            line(canvas, points[[skeleton.joints.index(a), skeleton.joints.index(b)]], color_of(a, b), width)
        for name, point in zip(skeleton.joints, points, strict=True):
            disc(canvas, point, color_of(name), 1.3 * width + 1)
        if before is not None:
            arrows(canvas, before.keypoints[person], points, LEAST_ARROW * size, width)
    return canvas


def color_of(*names: str) -> tuple[int, int, int]:
    """By side: left if all are left, right if all are right."""
    if all(n.startswith("left_") for n in names):
        return LEFT
    return RIGHT if all(n.startswith("right_") for n in names) else MIDDLE


def _fixed(point: Floats) -> Sequence[int]:
    return [int(v) for v in np.clip(np.round(point * (1 << SHIFT_BITS)), -(2**24), 2**24)]


def line(canvas: Bytes, ends: Floats, color: tuple[int, int, int], width: int) -> None:
    if not np.isnan(ends).any():
        cv2.line(canvas, _fixed(ends[0]), _fixed(ends[1]), (0, 0, 0), width + 2, cv2.LINE_AA, SHIFT_BITS)
        cv2.line(canvas, _fixed(ends[0]), _fixed(ends[1]), color, width, cv2.LINE_AA, SHIFT_BITS)


def disc(canvas: Bytes, point: Floats, color: tuple[int, int, int], radius: float) -> None:
    if not np.isnan(point).any():
        fixed = round(radius * (1 << SHIFT_BITS))
        cv2.circle(canvas, _fixed(point), fixed + (1 << SHIFT_BITS), (0, 0, 0), -1, cv2.LINE_AA, SHIFT_BITS)
        cv2.circle(canvas, _fixed(point), fixed, color, -1, cv2.LINE_AA, SHIFT_BITS)


def arrows(canvas: Bytes, start: Floats, end: Floats, least: float, width: int) -> None:
    length = np.linalg.norm(end - start, axis=-1)
    for k in np.flatnonzero(length > least):  # NaN is not longer
        tip = min(3.0 * (width + 1) / float(length[k]), 0.4)
        cv2.arrowedLine(
            canvas, _fixed(start[k]), _fixed(end[k]), ARROW, max(1, width // 2), cv2.LINE_AA, SHIFT_BITS, tip
        )


def side_by_side(image: Bytes, before: Poses, after: Poses) -> Bytes:
    """Before on the left; after, with arrows and without guesses, on the right, (H, 2 W + gap, 3) uint8 RGB."""
    gap = np.full((image.shape[0], max(2, image.shape[1] // 100), 3), 255, dtype=np.uint8)
    return np.concatenate([draw(image, before), gap, draw(image, after, before, least_score=GUESS)], axis=1)
