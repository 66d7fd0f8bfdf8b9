"""Files are written whole or not at all, and never over another one unasked."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_refine._types import AnyArray, Bytes


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse early what could not be written late.

    Raises:
        FileExistsError: `path` exists and may not be replaced.
        FileNotFoundError: Its folder does not exist.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; use --overwrite to replace it")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {path.absolute().parent}")


def write_whole(path: Path, data: bytes) -> None:
    """Through a temporary file beside it, then a rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def encode_picture(image: Bytes, suffix: str) -> bytes:
    """An RGB picture as a file of that kind.

    Raises:
        ValueError: A kind that OpenCV cannot write.
    """
    try:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(image[:, :, ::-1]))
    except cv2.error as error:
        raise ValueError(f"cannot write pictures of kind {suffix!r}; use .png or .jpg") from error
    if not done:
        raise ValueError(f"cannot write a picture of kind {suffix!r}")
    return data.tobytes()


def encode_poses(poses: Any) -> bytes:
    """A JSON format's content as JSON; an array as nested lists, null where missing."""
    if isinstance(poses, np.ndarray):
        values = poses.astype(float).round(3).astype(object)
        values[np.isnan(poses)] = None
        poses = values.tolist()
    return (json.dumps(poses, allow_nan=False) + "\n").encode()


def read_poses(path: Path) -> AnyArray | Any:
    """A .npy file's array; any other path as it is (formats read it).

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a .npy file, or one that holds Python objects.
    """
    if path.suffix != ".npy":
        return path
    if not path.is_file():
        raise FileNotFoundError(f"no such pose file: {path}")
    return np.load(path, allow_pickle=False)
