"""Coordinates that are shares of the image's width and height, from its edges: the first pixel's middle is at half a
pixel's share."""

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats, Shape
from pose_refine.poses import as_floats


def from_shares(places: AnyArray, shape: Shape | None) -> Floats:
    """(..., 2) x, y as shares of an image of this (height, width), in pixels.

    Raises:
        ValueError: No `shape`; numbers that are infinite as pixels.
    """
    if places.dtype.kind not in "fiu":
        raise ValueError(f"coordinates: expected numbers, got dtype {places.dtype}")
    return as_floats(places.astype(np.float64) * _size(shape) - 0.5, "coordinates")


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
