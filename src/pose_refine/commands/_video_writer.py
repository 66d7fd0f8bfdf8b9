"""A video of pictures before and after, written whole or not at all."""

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from pose_refine import viz
from pose_refine._types import Bytes
from pose_refine.files import opencv
from pose_refine.poses import Refinement

CODEC = "mp4v"  # what every build of OpenCV has
LARGEST = 1920  # pixels: wider pictures are shrunk


class VideoWriter:
    """Writes an .mp4 beside its place; closed without an error, it is put there.

    Args:
        path: The file.
        fps: Frames a second.

    Raises:
        ValueError: Not a name for such a file.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() != ".mp4":
            raise ValueError(f"--viz: expected the name of an .mp4 file, got {path.name}")
        self._path, self._fps = path, fps
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image: Bytes | None, refined: Refinement) -> None:
        """One frame, RGB; the size of the first counts, and one that does not decode is black."""
        if image is None and self._writer is None:
            return
        if image is None:
            picture = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        else:
            picture = viz.side_by_side(image, refined.initial, refined.poses)
        if self._writer is None:
            self._open(picture)
        assert self._writer is not None
        with opencv.told(self._path):
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            self._writer.write(np.ascontiguousarray(picture[:, :, ::-1]))

    def _open(self, picture: Bytes) -> None:
        scale = min(1.0, LARGEST / picture.shape[1])
        self._size = (round(picture.shape[1] * scale) // 2 * 2, round(picture.shape[0] * scale) // 2 * 2)
        self._writer = opencv.writer(self._partial, CODEC, self._fps, self._size)
        if not self._writer.isOpened():
            raise ValueError(f"{self._path}: this build of OpenCV cannot write such a video")

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
            if kind is None:
                self._partial.replace(self._path)
        self._partial.unlink(missing_ok=True)
