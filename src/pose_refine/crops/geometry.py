"""From image pixels to crop pixels and back: the only place that knows both.

An integer coordinate is a pixel's centre, in the image and in the crop. A crop is described by its affine map from
crop pixels to image pixels, (2, 3), so that cutting, and bringing the answer back, use the same numbers.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.bodies import face_height, in_frame, lean, likeness, one_body
from pose_refine.skeletons import NETWORK, SIGMAS, Skeleton, convert

CROP_HEIGHT, CROP_WIDTH = 256, 192
MARGIN = 1.35  # the crop's height over that of the box of the joints: the network must see what the pose missed
OTHERS = 3  # people nearby whose poses the network sees beside one's own
KEPT = 0.8  # mean similarity of found to initial joints below which a person is looked at again
GREY = 128  # what lies outside the image; 0 after the network's normalisation
UNSEEN = 1 / 16  # image pixels a crop pixel: less, a person of 12 pixels, says nothing (docs/robustness.md)
MAX_REDUCTION = 2.0  # beyond it the image is shrunk by averaging first, else bilinear sampling skips pixels
# (19,) crop pixels: 2 sigma sqrt(area) of each joint, for a person whose area is a quarter of its box height squared
OKS_UNITS = SIGMAS * np.float32(CROP_HEIGHT / MARGIN)
Points = TypeVar("Points", Floats, Tensor)


def crop_boxes(keypoints: Floats, image_shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Where to cut, from the joints of one body, and what lies beside it (see `bodies.in_frame`).

    The crop is MARGIN times the box of these joints, widened to the crop's aspect, and turned as the body is (see
    `bodies.lean`). Of a head alone its surroundings are shown, too (see `bodies.face_height`). A pose without extent
    (one joint, or all in one point) does not say how large its person is: a third of the image's height is taken.

    Args:
        keypoints: (N, K, 2) image pixels, NaN where missing or far from the body; each person has at least one joint.
            The first 19 are the network's joints, others only count for the box.
        image_shape: Height and width of the image, pixels.

    Returns:
        Centres (N, 2) and crop heights (N,), image pixels; rotation (N,) radians, clockwise as seen on the screen.
    """
    rotation = lean(keypoints[:, : len(NETWORK.joints)])
    cos, sin = np.cos(rotation), np.sin(rotation)
    axes = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)  # the crop's, in the image
    within = np.einsum("nkc,nac->nka", keypoints, axes)
    low, high = np.nanmin(within, axis=1), np.nanmax(within, axis=1)
    extent, middle = high - low, (low + high) / 2
    height = np.maximum(extent[:, 1], extent[:, 0] * (CROP_HEIGHT / CROP_WIDTH)) * MARGIN
    around = face_height(keypoints[:, : len(NETWORK.joints)])
    height = np.maximum(height, np.minimum(around, image_shape[0] / 2))  # a wrong joint of two would make it huge
    height = np.where(extent.max(1) < 1.0, image_shape[0] / 3, height)
    centres = np.einsum("na,nac->nc", middle, axes)
    return centres.astype(np.float32), np.maximum(height, 8.0).astype(np.float32), rotation.astype(np.float32)


def crop_matrices(centres: Floats, heights: Floats, rotation: Floats | None = None) -> Floats:
    """Affine maps from crop pixels to image pixels.

    Args:
        centres: (N, 2) image pixels that the crops' middles show.
        heights: (N,) image pixels that the crops' full height covers.
        rotation: (N,) radians, clockwise as seen on the screen; none by default.

    Returns:
        (N, 2, 3) float32: image = matrix[:, :2] @ crop + matrix[:, 2].
    """
    angle = np.zeros_like(heights) if rotation is None else rotation
    scale = heights / CROP_HEIGHT
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    middle = np.array([(CROP_WIDTH - 1) / 2, (CROP_HEIGHT - 1) / 2])
    return np.concatenate([linear, (centres - linear @ middle)[..., None]], -1).astype(np.float32)


def to_image(points: Points, matrices: Points) -> Points:
    """Crop pixels (N, K, 2) to image pixels (N, K, 2), through `matrices` (N, 2, 3); arrays or tensors.

    Not a matrix product: GPUs may round those to ten bits, which is several pixels of a large image.
    """
    placed: Points = (points[:, :, None, :] * matrices[:, None, :, :2]).sum(-1) + matrices[:, None, :, 2]
    return placed


def to_crop(points: Floats, matrices: Floats) -> Floats:
    """Image pixels (N, ..., 2) to crop pixels (N, ..., 2): the inverse of `to_image`."""
    inverse = np.linalg.inv(matrices[:, :, :2].astype(np.float64))
    offset = matrices[:, :, 2].reshape(len(matrices), *[1] * (points.ndim - 2), 2)
    moved = points.astype(np.float64) - offset  # float64: coordinates may lie far outside
    placed = moved.reshape(len(moved), math.prod(points.shape[1:-1]), 2) @ inverse.transpose(0, 2, 1)
    return placed.reshape(points.shape).astype(np.float32)


def where_to_cut(keypoints: Floats, source: Skeleton, shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Where to look for people who have a joint.

    Args:
        keypoints: (N, K, C >= 2) image pixels, NaN where missing.
        source: Their skeleton.
        shape: Height and width of the image, pixels.

    Returns:
        What was claimed, (N, 19, 2) the network's joints; what of it can be one body's, (N, 19, 2): that is what the
        network is shown; and the crops' maps (N, 2, 3).
    """
    keypoints = keypoints[..., :2]
    known = convert(keypoints, source, NETWORK)
    shown = one_body(known)
    lost = np.isnan(known[..., :1]).all(1, keepdims=True)  # only joints that the network does not know
    anchors = np.concatenate([in_frame(known, shown), np.where(lost, keypoints, np.float32(np.nan))], 1)
    return known, shown, crop_matrices(*crop_boxes(anchors, shape))


def scales(matrices: Floats) -> Floats:
    """Image pixels a crop pixel, (N,), of `matrices` (N, 2, 3)."""
    size: Floats = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    return size


def far_off(initial: Floats, found: Floats, matrices: Floats) -> AnyArray:
    """Whose pose was so far from what was found that its crop, and what it told the network, were poor: a closer look,
    at what was found, is worth its time. Not of people who cannot be seen.

    Args:
        initial: (N, 19, 2) image pixels, NaN where missing.
        found: (N, 19, 2) image pixels.
        matrices: (N, 2, 3) crop pixels to image pixels, of the crops in which it was found.

    Returns:
        (R,) rows.
    """
    unit = OKS_UNITS * scales(matrices)[:, None]  # as `evidence.oks_distance`
    similar, _ = likeness(initial, found, unit)
    return np.flatnonzero((similar < KEPT) & (scales(matrices) >= UNSEEN))


def reductions(matrices: Floats, shape: Sequence[int]) -> AnyArray:
    """To 1 / how much of its size an image of that shape is shrunk for each crop (N,), before it is sampled."""
    scale = scales(matrices)
    return np.where(scale >= MAX_REDUCTION, np.minimum(scale, min(shape[:2])), 1).astype(int)


def shrunk_matrices(matrices: Floats, reduction: AnyArray | int) -> Floats:
    """Crop pixels to those of an image that was shrunk: (..., 2, 3), by one factor, or one an axis (2, 1)."""
    corner = np.array([0, 0, 0.5])  # a pixel's, from its centre
    shrunk: Floats = ((matrices + corner) / reduction - corner).astype(matrices.dtype)
    return shrunk
