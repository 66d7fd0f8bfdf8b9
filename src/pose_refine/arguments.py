"""What many functions take: the words for it, and its checks."""

import operator
from typing import Any, Literal

Color = Literal["rgb", "bgr"]
Backend = Literal["torch", "onnx"]
Mode = Literal["map", "mota"]
Smooth = Literal["one_euro", "zero_phase"]


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
