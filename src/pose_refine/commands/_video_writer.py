"""A video of pictures before and after, written whole or not at all: by PyAV as browsers play it, else by OpenCV."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol

import cv2
import numpy as np

from pose_refine import viz
from pose_refine._types import Bytes
from pose_refine.files import opencv
from pose_refine.poses import Refinement

log = logging.getLogger("pose_refine")
CODEC = "mp4v"  # what every build of OpenCV has; MPEG-4 part 2, which browsers do not play
FOR_BROWSERS = ("libx264", "libopenh264", "libvpx-vp9")  # H.264 or VP9, the first that this build of PyAV has
LARGEST = 1920  # pixels: wider pictures are shrunk


class Encoder(Protocol):
    """What writes frames to a file."""

    def write(self, picture: Bytes) -> None:
        """One frame, RGB, always of the same size."""

    def close(self) -> None:
        """After the last."""


class ByOpenCV:
    """MPEG-4 part 2.

    Raises:
        ValueError: OpenCV cannot write it.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._writer = opencv.writer(path, CODEC, fps, size)
        if not self._writer.isOpened():
            raise ValueError(f"{path}: this build of OpenCV cannot write such a video")

    def write(self, picture: Bytes) -> None:
        self._writer.write(np.ascontiguousarray(picture[:, :, ::-1]))

    def close(self) -> None:
        self._writer.release()


class ByPyAV:
    """H.264 or VP9 in colours that every player knows."""

    def __init__(self, av: ModuleType, codec: str, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._av = av
        self._container: Any = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        self._stream.width, self._stream.height, self._stream.pix_fmt = *size, "yuv420p"

    def write(self, picture: Bytes) -> None:
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def _pyav() -> Any:
    """The package av; None where it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av


def encoder(path: Path, fps: float, size: tuple[int, int]) -> Encoder:
    """The best that is there; tells where that is one whose videos browsers do not play."""
    av = _pyav()
    codec = next((name for name in FOR_BROWSERS if av is not None and name in av.codecs_available), None)
    if codec is not None:
        return ByPyAV(av, codec, path, fps, size)
    log.warning("--viz is MPEG-4 part 2, which browsers do not play; for H.264: pip install 'pose-refine[video]'")
    return ByOpenCV(path, fps, size)


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
        self._writer: Encoder | None = None
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
        self._writer.write(picture)

    def _open(self, picture: Bytes) -> None:
        scale = min(1.0, LARGEST / picture.shape[1])
        self._size = (round(picture.shape[1] * scale) // 2 * 2, round(picture.shape[0] * scale) // 2 * 2)
        self._writer = encoder(self._partial, self._fps, self._size)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            if kind is None:
                self._partial.replace(self._path)
        self._partial.unlink(missing_ok=True)
