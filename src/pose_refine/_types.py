"""Array types, named once."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
AnyArray = NDArray[Any]
Shape = tuple[int, int]  # height and width of an image


class PilImage(Protocol):
    """What is asked of a PIL image, which is never imported; it gives its pixels to numpy by `__array_interface__`."""

    @property
    def mode(self) -> str:
        """E.g. "RGB"."""

    def convert(self, mode: str, /) -> object:
        """A copy of another mode."""

    def tobytes(self) -> bytes:
        """Its pixels."""
