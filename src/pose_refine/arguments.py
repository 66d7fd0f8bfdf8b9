"""What many functions take: the words for it, and its checks."""

import math
import operator
from typing import Any, Literal, TypedDict

import numpy as np

from pose_refine.skeletons import AnySkeleton

Color = Literal["rgb", "bgr"]
Backend = Literal["torch", "onnx"]
Mode = Literal["map", "mota"]
Smooth = Literal["one_euro", "zero_phase"]


class Options(TypedDict, total=False):
    """What `refine` takes beside an image, its poses and `to`: for its overloads, which say what comes back."""

    skeleton: AnySkeleton | None
    format: str | None
    color: Color
    recover: bool
    batch_size: int
    trust: float | None


def believed(trust: float | None) -> float:
    """`trust` as a float, NaN for None.

    Raises:
        ValueError: Not in [0, 1].
    """
    if trust is None:
        return math.nan
    if isinstance(trust, bool) or not isinstance(trust, (int, float, np.integer, np.floating)) or not 0 <= trust <= 1:
        raise ValueError(f"trust: expected a number from 0 (poses are not believed) to 1, or None, got {trust!r}")
    return float(trust)


def integer(name: str, value: Any, least: int) -> int:
    """`value` as an int: whole numbers of Python, numpy and torch are; True and 2.0 are not.

    Raises:
        ValueError: Not an integer, or less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return number
