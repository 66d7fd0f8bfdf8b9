"""Pictures of poses: left warm, right cold; arrows, rings and crosses say what changed."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_refine import formats
from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.arguments import Color as Order
from pose_refine.files.images import Image, read_image
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, Skeleton, get_skeleton

Color = tuple[int, int, int]

LEFT, RIGHT, MIDDLE = (255, 140, 60), (70, 170, 255), (190, 235, 120)  # RGB
ARROW, EDGE, PAPER = (255, 255, 255), (0, 0, 0), (96, 96, 96)
LEAST_ARROW = 0.02  # of the person's size: shorter moves are not worth an arrow
BEND = 0.1  # of an arrow's length, to its side: the two arrows of an exchange do not lie on one another
GUESS = 0.2  # joints with a lower score are not drawn: of refined ones scores are probabilities
THIN = 110  # a limb's width is the person's size over this
SHIFT_BITS = 4  # OpenCV draws at sixteenths of a pixel
SIGNS = (
    ("left", LEFT), ("right", RIGHT), ("middle", MIDDLE), ("moved", ARROW), ("recovered", MIDDLE), ("lost", ARROW),
)  # fmt: skip
FONT, FONT_PIXELS = cv2.FONT_HERSHEY_SIMPLEX, 22  # the height of its digits at scale 1
LEAST_LEGEND = 300  # pixels: narrower pictures have none
LEAST_DIGITS = 9.0  # pixels; smaller ones cannot be read


def draw(
    image: Image,
    poses: Any,
    before: Any = None,
    *,
    least_score: float = GUESS,
    scores: bool = False,
    color: Order = "rgb",
    skeleton: AnySkeleton | None = None,
    format: str | None = None,
) -> Bytes:
    """Draw poses on a copy of an image, in lines that suit each person's size.

    Args:
        image: What `refine` takes: (H, W, 3) uint8, a PIL image, or a path.
        poses: People to draw, of any format that `refine` takes or gives; missing joints and their limbs are left out.
        before: The same people before refining: an arrow shows where a joint came from, a ring is a joint that was
            missing, and a cross is where a joint was that is missing now.
        least_score: Joints with a lower score are left out: of refined poses those that are guesses. Of what an
            estimator gave, whose scores may mean anything, `-np.inf` draws all.
        scores: Write each joint's score beside it.
        color: Channel order of an array: "rgb" or "bgr".
        skeleton: Which joints these are, where the format and their number do not say.
        format: Name of the format; by default it is recognised.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        FileNotFoundError: A path that is not there.
        TypeError: An image or poses of a kind that is not known.
        ValueError: They are not as they should be, or `before` has other people or another skeleton.
    """
    pixels, order = read_image(image, color)
    canvas = np.ascontiguousarray(pixels if order == "rgb" else pixels[:, :, ::-1]).copy()
    shape = canvas.shape[0], canvas.shape[1]
    now = formats.read(formats.load(poses), skeleton, format=format, shape=shape)
    then = None if before is None else formats.read(formats.load(before), skeleton, format=format, shape=shape)
    if then is not None and (then.keypoints.shape != now.keypoints.shape or then.skeleton != now.skeleton):
        got, wanted = (f"{len(poses)} of {poses.skeleton}" for poses in (then, now))
        raise ValueError(f"before: expected the same people in the same skeleton, {wanted}, got {got}")
    return _drawn(canvas, now, then, least_score, scores)


def _drawn(canvas: Bytes, poses: Poses, before: Poses | None, least_score: float, scores: bool) -> Bytes:
    """`canvas` with the poses on it."""
    skeleton = get_skeleton(poses.skeleton)
    for person, after in enumerate(poses.keypoints):
        start = after if before is None else before.keypoints[person]
        unsure = poses.scores[person] < least_score  # NaN is not lower
        points = np.where(unsure[:, None], np.float32(np.nan), after)
        size = min(size_of(np.concatenate([points, start])), float(max(canvas.shape[:2])))  # a joint may lie far out
        width = max(1, round(size / THIN))
        limbs(canvas, points, skeleton, width)
        arrows(canvas, start, points, LEAST_ARROW * size, width)
        discs(canvas, points, start, skeleton, width)
        crosses(canvas, start[np.isnan(after[:, 0])], width)
        if scores:
            numbers(canvas, points, poses.scores[person], width)
    return canvas


def color_of(*names: str) -> Color:
    """By side: left if all are left, right if all are right."""
    if all(n.startswith("left_") for n in names):
        return LEFT
    return RIGHT if all(n.startswith("right_") for n in names) else MIDDLE


def size_of(points: Floats) -> float:
    """The longer side of the box of points (P, 2); 0 where there are none."""
    there = points[~np.isnan(points).any(-1)]
    return float(np.ptp(there, axis=0).max()) if len(there) else 0.0


def limbs(canvas: Bytes, points: Floats, skeleton: Skeleton, width: int) -> None:
    for a, b in skeleton.limbs:
        ends = points[[skeleton.joints.index(a), skeleton.joints.index(b)]]
        if not np.isnan(ends).any():
            stroke(canvas, ends, color_of(a, b), width)


def discs(canvas: Bytes, points: Floats, start: Floats, skeleton: Skeleton, width: int) -> None:
    """A disc a joint, a ring where it was missing at the start; smaller where no limb ends (face, fingers)."""
    ends = {name for limb in skeleton.limbs for name in limb}
    for name, point, was in zip(skeleton.joints, points, start, strict=True):
        if np.isnan(point).any():
            continue
        radius, color = (1.3 if name in ends else 0.6) * width + 1, color_of(name)
        if np.isnan(was).any():
            circle(canvas, point, 1.5 * radius, EDGE, width + 2 * _edge(width))
            circle(canvas, point, 1.5 * radius, color, width)
        else:
            circle(canvas, point, radius + _edge(width), EDGE)
            circle(canvas, point, radius, color)


def arrows(canvas: Bytes, start: Floats, end: Floats, least: float, width: int) -> None:
    """From where joints were, (K, 2), to the edges of their discs; those longer than `least` pixels. One too short for
    a shaft behind its head is a line alone."""
    length = np.linalg.norm(end - start, axis=-1)
    radius, head = 1.3 * width + 1, 2.5 * width + 4
    for k in np.flatnonzero(length > least):  # NaN is not longer
        if length[k] < radius + 2 * head:
            stroke(canvas, np.stack([start[k], end[k]]), ARROW, (width + 2) // 2)
            continue
        aside = BEND * (end[k] - start[k])[::-1] * (1, -1)
        along = (end[k] - start[k]) - 4 * aside  # the curve's direction at its end
        along = along / np.linalg.norm(along)
        tip = end[k] - along * radius
        neck = tip - along * head
        t = np.linspace(0, 1, 16)[:, None]
        stroke(canvas, start[k] + t * (neck - start[k]) + 4 * t * (1 - t) * aside, ARROW, (width + 2) // 2)
        half = 0.4 * (tip - neck)[::-1] * (1, -1)
        triangle = _fixed(np.stack([tip, neck + half, neck - half]))
        cv2.polylines(canvas, [triangle], True, EDGE, 2 * _edge(width), cv2.LINE_AA, SHIFT_BITS)
        cv2.fillPoly(canvas, [triangle], ARROW, cv2.LINE_AA, SHIFT_BITS)


def crosses(canvas: Bytes, points: Floats, width: int) -> None:
    for point in points[~np.isnan(points).any(-1)]:
        for slope in (-1, 1):
            arm = (1.3 * width + 2) * np.array([1, slope], dtype=np.float32)
            stroke(canvas, np.stack([point - arm, point + arm]), ARROW, (width + 2) // 2)


def numbers(canvas: Bytes, points: Floats, scores: Floats, width: int) -> None:
    """Scores beside their joints, on the side where they cover the least of joints and of other scores."""
    radius, height = 1.3 * width + 2, max(LEAST_DIGITS, 2.2 * width)
    scale, there = height / FONT_PIXELS, ~np.isnan(points).any(-1)
    taken = [np.concatenate([p - radius, p + radius]) for p in points[there]]
    frame = np.array([0, 0, canvas.shape[1], canvas.shape[0]])
    for k in np.flatnonzero(there & ~np.isnan(scores)):
        text = f"{scores[k]:.2f}".removeprefix("0")
        half = np.array([cv2.getTextSize(text, FONT, scale, 1)[0][0], height]) / 2 + 1
        centres = [points[k] + (half + radius) * side for side in ((1, 0), (-1, 0), (0, -1), (0, 1))]
        places = [np.concatenate([c - half, c + half]) for c in centres]
        best = min(places, key=lambda place: sum(shared(place, t) for t in taken) - shared(place, frame))
        taken.append(best)
        write(canvas, text, best[[0, 3]] + (1, -1), scale)


def write(canvas: Bytes, text: str, corner: AnyArray, scale: float) -> None:
    """White text, dark all around, whose lower left corner is at (x, y)."""
    thick = max(1, round(1.6 * scale))
    for turn in range(9):  # shifted copies: what a greater thickness does to text differs between OpenCV's versions
        around = thick * np.round([np.cos(turn * np.pi / 4), np.sin(turn * np.pi / 4)]) * (turn < 8)
        place = np.clip(np.round(corner + around), -(2**20), 2**20).astype(int).tolist()
        cv2.putText(canvas, text, place, FONT, scale, EDGE if turn < 8 else ARROW, thick, cv2.LINE_AA)


def shared(a: AnyArray, b: AnyArray) -> float:
    """The area that two boxes x0, y0, x1, y1 share."""
    return float(np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)))


def stroke(canvas: Bytes, points: AnyArray, color: Color, width: int) -> None:
    """A line through points (P, 2) with a dark edge, so that it is seen on any ground."""
    fixed = _fixed(points)
    cv2.polylines(canvas, [fixed], False, EDGE, width + 2 * _edge(width), cv2.LINE_AA, SHIFT_BITS)
    cv2.polylines(canvas, [fixed], False, color, width, cv2.LINE_AA, SHIFT_BITS)


def circle(canvas: Bytes, point: Floats, radius: float, color: Color, width: int = 0) -> None:
    """A disc; a ring where a width is given. OpenCV's own small circles have four corners."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    corners = _fixed(point + radius * np.stack([np.cos(angle), np.sin(angle)], -1))
    if width:
        cv2.polylines(canvas, [corners], True, color, width, cv2.LINE_AA, SHIFT_BITS)
    else:
        cv2.fillPoly(canvas, [corners], color, cv2.LINE_AA, SHIFT_BITS)


def _edge(width: int) -> int:
    return max(1, round(width / 5))


def _fixed(points: AnyArray) -> NDArray[np.int32]:
    return np.clip(np.round(points * (1 << SHIFT_BITS)), -(2**24), 2**24).astype(np.int32)


def before_and_after(image: Bytes, before: Poses, after: Poses) -> tuple[Bytes, Bytes]:
    """All that came in; what comes back, with arrows, without guesses. The one rule for every picture of both."""
    return draw(image, before, least_score=-np.inf), draw(image, after, before)


def side_by_side(image: Bytes, before: Poses, after: Poses, signs: bool = True) -> Bytes:
    """Before on the left, after on the right, below what the signs mean: (H + legend, 2 W + gap, 3) uint8 RGB."""
    gap = np.full((image.shape[0], max(2, image.shape[1] // 100), 3), 255, dtype=np.uint8)
    left, right = before_and_after(image, before, after)
    both = np.concatenate([left, gap, right], axis=1)
    if not signs or both.shape[1] < LEAST_LEGEND:
        return both
    return np.concatenate([both, legend(both.shape[1], max(LEAST_DIGITS, image.shape[0] / 50))])


def legend(width: int, height: float) -> Bytes:
    """What the signs mean, on a strip of that width in letters of that height; in several rows where it is narrow."""
    scale, line, mark = height / FONT_PIXELS, round(2 * height), 2.3 * height
    places, x, y = [], 0.5 * height, 0.5 * line
    for text, _ in SIGNS:
        wide = mark + cv2.getTextSize(text, FONT, scale, 1)[0][0] + 2 * height
        if x + wide - height > width and x > height:
            x, y = 0.5 * height, y + line
        places.append((x, y))
        x += wide
    strip = np.full((round(y + 0.5 * line), width, 3), PAPER, np.uint8)
    for (text, color), (x, y) in zip(SIGNS, places, strict=True):
        sign(strip, text, color, np.array([x + 0.9 * height, y], np.float32), height)
        write(strip, text, np.array([x + mark, y + 0.4 * height]), scale)
    return strip


def sign(canvas: Bytes, name: str, color: Color, centre: Floats, height: float) -> None:
    """What stands before a word of the legend."""
    thick, half = max(1, round(height / 8)), 0.5 * height
    if name == "moved":
        reach = np.array([0.9 * height, 0], np.float32)
        arrows(canvas, (centre - reach)[None], (centre + reach)[None], 0, thick)
    elif name == "recovered":
        circle(canvas, centre, half, EDGE, thick + 2)
        circle(canvas, centre, half, color, thick)
    elif name == "lost":
        crosses(canvas, centre[None], thick)
    else:
        circle(canvas, centre, half, EDGE)
        circle(canvas, centre, 0.8 * half, color)
