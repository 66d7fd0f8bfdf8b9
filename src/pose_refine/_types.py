"""Array types, named once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
AnyArray = NDArray[Any]
Shape = tuple[int, int]  # height and width of an image
