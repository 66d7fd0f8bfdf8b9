"""Coordinates that are shares of the image's width and height, from its edges: the first pixel's middle is at half a
pixel's share."""

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats, Shape


def from_shares(places: AnyArray, shape: Shape | None) -> Floats:
    """(..., 2) x, y as shares of an image of this (height, width), in pixels.

    Raises:
        ValueError: No `shape`.
    """
    pixels: Floats = (places * _size(shape) - 0.5).astype(np.float32)
    return pixels


def to_shares(keypoints: Floats, shape: Shape | None) -> NDArray[np.float64]:
    """The inverse of `from_shares`."""
    shares: NDArray[np.float64] = (keypoints.astype(np.float64) + 0.5) / _size(shape)
    return shares


def _size(shape: Shape | None) -> NDArray[np.float64]:
    if shape is None:
        raise ValueError(
            "coordinates are shares of the image's size, which is not known here: pass shape=(height, width), or --size"
        )
    return np.array(shape[::-1], dtype=np.float64)
