"""Files are read and written whole: written beside their place, then renamed, and never over another one unasked."""

import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_refine._types import Bytes
from pose_refine.files.opencv import told

STREAM = Path("-")  # standard input, or output
NPY_START = b"\x93NUMPY"
IMAGE_STARTS = (b"\xff\xd8", b"\x89PNG")
PARTIAL = re.compile(r"\.(.+)\.\d+\.partial")


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse early what could not be written late; standard output is always free.

    Raises:
        FileExistsError: `path` exists and may not be replaced.
        IsADirectoryError: `path` is a folder.
        FileNotFoundError: Its folder does not exist.
    """
    if path == STREAM:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file to write")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; use --overwrite to replace it")
    check_parent(path)


def check_parent(path: Path) -> None:
    """Raises FileNotFoundError where the folder is not there in which `path` is to be."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {path.absolute().parent}")


def write_whole(path: Path, data: bytes) -> None:
    """Through a temporary file beside it, then a rename; a file that is replaced hands its permissions on."""
    if path == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    partial = _partial(path)
    try:
        partial.write_bytes(data)
        if path.exists():
            shutil.copymode(path, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def copy_whole(source: Path, target: Path) -> None:
    """A copy with the source's times and permissions, whole or not at all; makes the folders that it needs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(target)
    try:
        shutil.copy2(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def remove_partials(paths: Iterable[Path]) -> None:
    """What a process that was killed while it wrote these files left beside them."""
    wanted = set(paths)
    for folder in {path.parent for path in wanted}:
        for partial in folder.glob(".*.partial"):
            match = PARTIAL.fullmatch(partial.name)
            if match and folder / match[1] in wanted:
                partial.unlink(missing_ok=True)


def digest(data: bytes) -> str:
    """To tell contents apart."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def encode_picture(image: Bytes, suffix: str) -> bytes:
    """An RGB picture as a file of that kind.

    Raises:
        ValueError: A kind that OpenCV cannot write.
    """
    with told(f"cannot write pictures of kind {suffix!r}, use .png or .jpg"):
        done, data = cv2.imencode(suffix, np.ascontiguousarray(image[:, :, ::-1]))
    if not done:
        raise ValueError(f"cannot write a picture of kind {suffix!r}")
    return data.tobytes()


def encode_poses(poses: Any, *, npy: bool = False, like: bytes = b"") -> bytes:
    """A JSON format's content as JSON, laid out as `like`, the file that it came from; an array as .npy, or as nested
    lists, null where missing."""
    if npy:
        buffer = io.BytesIO()
        np.save(buffer, poses)
        return buffer.getvalue()
    if isinstance(poses, np.ndarray):
        values = poses.astype(float).round(3).astype(object)
        values[np.isnan(poses)] = None
        poses = values.tolist()
    layout, end = layout_of(like)
    return (json.dumps(poses, **layout) + end).encode()  # a NaN that was in the JSON stays in it


def layout_of(data: bytes) -> tuple[dict[str, Any], str]:
    """How `json.dumps` writes just these bytes, so that what is not changed stays byte for byte, and what ends them.

    Returns:
        Its options and the end; none and a line feed where the bytes are nothing that it writes.
    """
    try:
        content = json.loads(data)
    except ValueError:  # nothing, or an array
        return {}, "\n"
    second = data.partition(b"\n")[2]
    indent = len(second) - len(second.lstrip(b" ")) or None
    layouts: list[dict[str, Any]] = [{"separators": (",", ":")}, {}, {"indent": indent}]
    for layout in layouts:
        layout["ensure_ascii"] = data.isascii()
        if json.dumps(content, **layout).encode(errors="surrogatepass") == data.removesuffix(b"\n"):
            return layout, "\n" * data.endswith(b"\n")
    return {}, "\n"


def read_bytes(path: Path) -> bytes:
    """What is in a file of poses.

    Raises:
        FileNotFoundError: No such file.
    """
    if not os.path.isfile(path):  # noqa: PTH113  # of a name that no file can have it is False, and no error
        if os.path.isdir(path):  # noqa: PTH112
            raise FileNotFoundError(
                f"no such pose file: {path} is a folder, and one image's people are wanted; for all of its files use "
                "refine_many, or `pose-refine folder`"
            )
        raise FileNotFoundError(f"no such pose file: {str(path)[:200]}")
    return path.read_bytes()


def read_input(path: Path) -> tuple[bytes, Any]:
    """What is in a file of poses, or comes from standard input for "-": as bytes, and as `parse_poses` reads them.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Neither JSON nor .npy, or .npy with Python objects in it.
    """
    data, name = (sys.stdin.buffer.read(), "standard input") if path == STREAM else (read_bytes(path), str(path))
    return data, parse_poses(data, name)


def read_poses(path: Path) -> Any:
    """The content alone of what `read_input` reads."""
    return read_input(path)[1]


def _array(data: bytes) -> Any:
    """The array of an .npy file; ValueError for a damaged one, in whose header numpy's reader meets anything."""
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        raise ValueError(str(error)) from error


def parse_poses(data: bytes, name: str) -> Any:
    """The content of a file: .npy told by how it starts, else JSON; nested lists of numbers as the array that they are.

    Raises:
        ValueError: Neither of the two; `name` says whose data it is.
    """
    try:
        if data.startswith(NPY_START):
            return _array(data)
        content = json.loads(data)
    except (ValueError, EOFError, RecursionError) as error:
        kind = ".npy" if data.startswith(NPY_START) or name.endswith(".npy") else "JSON"
        hint = "; is it the image? Poses come second" if data.startswith(IMAGE_STARTS) else ""
        raise ValueError(f"{name}: not a {kind} file: {error}{hint}") from error
    if not isinstance(content, (dict, list)):
        raise ValueError(f"{name}: expected a JSON object or list, got {type(content).__name__}")
    return _numbers(content) if isinstance(content, list) else content


def _numbers(content: list[Any]) -> Any:
    """Lists (N, K, 2 or 3), or (K, 2 or 3), of numbers, null where missing, as an array: so `encode_poses` writes one.
    Other lists as they are."""
    values = np.array(content, dtype=object)
    plain = all(v is None or (isinstance(v, (int, float)) and v is not True and v is not False) for v in values.flat)
    if not plain or values.ndim not in (2, 3) or values.shape[-1] not in (2, 3):
        return content
    values[values == None] = np.nan  # noqa: E711  # of each
    try:
        return values.astype(np.float64)
    except OverflowError:  # a whole number beyond all floats
        return content
