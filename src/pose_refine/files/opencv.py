"""How OpenCV is handed paths, and what becomes of the errors that it raises: one place for each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2


def path_for_opencv(path: str | os.PathLike[str]) -> Any:
    """A path as OpenCV takes it: a name that is not UTF-8, as a str, ends the process inside OpenCV; its bytes do not.

    Raises:
        ValueError: A name with a zero byte, which no file has.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError(f"expected a file's name, got one with a zero byte: {name!r}")
    return name


@contextmanager
def told(what: object) -> Iterator[None]:
    """What OpenCV raises inside becomes a ValueError on `what`.

    Raises:
        ValueError: An image of more than 2^30 pixels, or a header that claims so; too little memory; any other.
    """
    try:
        yield
    except cv2.error as error:
        reason = " ".join(str(getattr(error, "err", "") or error).split())
        raise ValueError(f"{what}: OpenCV refuses it (it takes at most 2^30 pixels): {reason}") from error


def can_read(path: Path) -> bool:
    """Whether a file begins as an image does."""
    with told(path):
        return bool(cv2.haveImageReader(path_for_opencv(path)))


def capture(path: Path, rotated: bool = True) -> cv2.VideoCapture:
    """A video, maybe not opened; `rotated` as its metadata say, or as it is stored."""
    with told(path):
        video = cv2.VideoCapture(path_for_opencv(path))
        if not rotated:
            video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        return video


def writer(path: Path, codec: str, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """A video to write, maybe not opened."""
    with told(path):
        return cv2.VideoWriter(path_for_opencv(path), cv2.VideoWriter.fourcc(*codec), fps, size)
