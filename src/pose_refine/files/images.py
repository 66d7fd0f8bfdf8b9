"""An image as users hand it in, checked; read from a file with its EXIF orientation applied."""

import os
from pathlib import Path
from typing import Any, TypeGuard, get_args

import cv2
import numpy as np
import torch

from pose_refine._types import AnyArray, Bytes, PilImage
from pose_refine.arguments import Color
from pose_refine.files.opencv import told

COLORS = get_args(Color)
Image = AnyArray | torch.Tensor | PilImage | str | os.PathLike[str]


def read_image(image: Image, color: Color) -> tuple[Bytes, Color]:
    """Check an image, or read it from a path.

    Args:
        image: uint8 (H, W, 3) numpy array or torch tensor; a PIL image of mode RGB, as it lies in memory (PIL turns it
            only when asked to, by ImageOps.exif_transpose); or a path.
        color: Order of an array's channels, "rgb" or "bgr"; a file and a PIL image say themselves what they are.

    Returns:
        The array, not copied, and the order of its channels.

    Raises:
        FileNotFoundError: No such file.
        TypeError: Neither an array, a tensor, a PIL image nor a path.
        ValueError: Not an image of that kind.
    """
    check_color(color)
    if isinstance(image, (str, os.PathLike)):
        return _read_file(Path(image)), "bgr"
    if _is_pil(image):
        return _of_pil(image), "rgb"
    array = _of_tensor(image) if isinstance(image, torch.Tensor) else image
    if not isinstance(array, np.ndarray):
        raise TypeError(
            "image: expected a uint8 (H, W, 3) array or tensor, a PIL image, or a path to a file, got "
            f"{type(image).__name__}"
        )
    _check(array)
    return array, color


def check_color(color: str) -> None:
    """Raises ValueError where it is no order of channels."""
    if not isinstance(color, str) or color not in COLORS:
        raise ValueError(f"color must be one of {COLORS}, got {color!r}")


def _read_file(path: Path) -> Bytes:
    if not os.path.exists(path):  # noqa: PTH110  # of a name that no file can have it is False, and no error
        raise FileNotFoundError(f"no such image: {str(path)[:200]}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not an image; expected one, as uint8 (H, W, 3) or a path to a file")
    data = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
    with told(path):
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None  # applies EXIF orientation
    if image is None:
        raise ValueError(f"{path}: not an image file that OpenCV can read")
    return image.astype(np.uint8, copy=False)


def _of_tensor(image: torch.Tensor) -> AnyArray:
    try:
        array: AnyArray = image.detach().cpu().numpy()
    except (RuntimeError, TypeError) as error:  # sparse, without numbers, or of a kind that numpy lacks
        raise ValueError(f"image: expected a dense uint8 (H, W, 3) tensor, got {image.dtype}: {error}") from error
    return array


def _is_pil(image: Any) -> TypeGuard[PilImage]:
    """By what the class has: asking the object itself for `__array_interface__` would copy its pixels."""
    return all(hasattr(type(image), name) for name in ("__array_interface__", "mode", "convert", "tobytes"))


def _of_pil(image: PilImage) -> Bytes:
    if image.mode != "RGB":
        what = {"L": "grey", "RGBA": "with alpha"}.get(image.mode, "other")
        raise ValueError(
            f"image: expected a PIL image of mode 'RGB', got {image.mode!r} ({what}); use image.convert('RGB')"
        )
    array = np.asarray(image)
    _check(array)
    return array


def _check(array: AnyArray) -> None:
    came = f"got {array.dtype} of shape {array.shape}"
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        raise ValueError(f"image: a grey image has no colour; use np.repeat(grey.reshape(H, W, 1), 3, axis=2); {came}")
    if array.ndim == 3 and array.shape[2] == 4:
        raise ValueError(f"image: expected three channels; drop alpha with image[:, :, :3]; {came}")
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        raise ValueError(f"image: expected (H, W, 3), this looks like (3, H, W); use image.transpose(1, 2, 0); {came}")
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"image: expected shape (H, W, 3), {came}")
    if array.dtype != np.uint8:
        raise ValueError(
            f"image: expected uint8 in 0..255; convert with (image * 255).astype(np.uint8) if 0..1; {came}"
        )
    if array.size == 0:
        raise ValueError(f"image: expected at least one pixel, {came}")
