"""Crops cut by the CPU, with OpenCV."""

import cv2
import numpy as np

from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, GREY, reductions, shrunk_matrices, to_image


def cut_crops(image: Bytes, matrices: Floats, width: int = CROP_WIDTH) -> Bytes:
    """Cut crops out of an image, bilinearly; grey where they reach outside.

    Args:
        image: (H, W, 3) uint8, any strides.
        matrices: (N, 2, 3) crop pixels to image pixels.
        width: Of the crops, pixels.

    Returns:
        (N, CROP_HEIGHT, width, 3) uint8, channels in the image's order.
    """
    crops = np.full((len(matrices), CROP_HEIGHT, width, 3), GREY, dtype=np.uint8)
    matrices = matrices.astype(np.float64)
    size = np.array([image.shape[1], image.shape[0]])
    reduction = reductions(matrices, image.shape)
    # Only the part of the image that a crop shows is touched: a person in a huge image costs no more.
    around = 2 * reduction[:, None]
    ends = np.array([[0, 0], [width - 1, 0], [0, CROP_HEIGHT - 1], [width - 1, CROP_HEIGHT - 1]], dtype=np.float64)
    shown: AnyArray = to_image(np.tile(ends, (len(matrices), 1, 1)), matrices)
    low = np.clip(np.floor(shown.min(1)) - around, 0, size).astype(int)
    high = np.clip(np.ceil(shown.max(1)) + 1 + around, 0, size).astype(int)
    inner = np.concatenate([matrices[:, :, :2], (matrices[:, :, 2] - low)[..., None]], 2)
    for n in np.flatnonzero((high > low).all(1)):
        (left, top), (right, bottom) = low[n], high[n]
        _cut_one(image[top:bottom, left:right], inner[n], int(reduction[n]), crops[n])
    return crops


def _cut_one(part: Bytes, matrix: AnyArray, reduction: int, out: Bytes) -> None:
    """Cut one crop out of `part` of an image, at 1 / `reduction` of its size; `matrix` is in pixels of that part."""
    if reduction > 1:
        full = np.array([part.shape[1], part.shape[0]])
        shrunk = np.maximum(1, full // reduction)
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        matrix = shrunk_matrices(matrix, (full / shrunk)[:, None])
    cv2.warpAffine(
        part,
        matrix,
        (out.shape[1], CROP_HEIGHT),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY),
    )
