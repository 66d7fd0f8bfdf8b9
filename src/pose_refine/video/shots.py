"""Cuts: where a video goes on elsewhere, nobody is who stood there in the frame before."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from pose_refine._types import Bytes, Floats
from pose_refine.video.stages import Frame

THUMBNAIL = 32, 24  # width and height, pixels
# Both must be passed: frames of one shot that follow each other were unlike by .27 and 25 grey levels at most, in 883
# pairs of JHMDB's clips; of the last and first frames of different clips 95 % pass both.
UNLIKE = 0.4  # 1 - correlation of two frames
CHANGED = 25.0  # grey levels, their mean difference


def shots(frames: Iterable[Frame]) -> Iterator[tuple[int, Frame]]:
    """Each frame and the number of its shot, from 0. Those without an image belong to the shot before."""
    shot, before = 0, None
    for frame in frames:
        if frame.image is not None:
            now = frame.shape, thumbnail(frame.image)
            if before is not None and (before[0] != now[0] or is_cut(before[1], now[1])):
                shot += 1
            before = now
        yield shot, frame


def thumbnail(image: Bytes) -> Floats:
    """(24, 32) grey levels less their mean, of an image (H, W, 3): light that changes is no cut."""
    small = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32).mean(-1)
    level: Floats = small - small.mean()
    return level


def is_cut(before: Floats, now: Floats) -> bool:
    """Whether two thumbnails are of different shots."""
    product = float((before * now).sum())
    norm = float(np.sqrt(np.square(before).sum() * np.square(now).sum()))
    return bool(np.abs(before - now).mean() > CHANGED and product < (1 - UNLIKE) * norm)
