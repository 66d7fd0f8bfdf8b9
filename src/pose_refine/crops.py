"""From image pixels to crop pixels and back: the only place that knows both.

An integer coordinate is a pixel's centre, in the image and in the crop. A crop is described by its affine map from
crop pixels to image pixels, (2, 3), so that cutting, and bringing the answer back, use the same numbers.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import cv2
import numpy as np

from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.skeletons import NETWORK, SIGMAS, Skeleton, convert

CROP_HEIGHT, CROP_WIDTH = 256, 192
MARGIN = 1.35  # the crop's height over that of the box of the joints: the network must see what the pose missed
OTHERS = 3  # people nearby whose poses the network sees beside one's own
KEPT = 0.7  # mean similarity of found to initial joints below which a person is looked at again
GREY = 128  # what lies outside the image; 0 after the network's normalisation
MAX_REDUCTION = 2.0  # beyond it the image is shrunk by averaging first, else bilinear sampling skips pixels


@dataclass(frozen=True)
class Views:
    """What the network is shown: a batch, which may be of several images.

    Attributes:
        crops: (B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB.
        initial: (B, 19, 2) crop pixels, NaN where missing: the poses that are to be judged.
        others: (B, OTHERS, 19, 2) crop pixels, people nearby.
        shown: (B, 19, 2) crop pixels, NaN where missing: the initial poses at first, later what was found.
        matrices: (B, 2, 3) crop pixels to image pixels.
    """

    crops: Bytes
    initial: Floats
    others: Floats
    shown: Floats
    matrices: Floats

    def of(self, rows: slice) -> "Views":
        """Some of them."""
        return Views(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Scene:
    """An image and its people, on their way to the network.

    Attributes:
        image: uint8 (H, W, 3).
        order: Of its channels, "rgb" or "bgr".
        initial: (N, 19, 2) everybody's pose as it came, image pixels, NaN where missing.
        shown: (N, 19, 2) everybody's pose as the network is to see it: at first the initial one.
        matrices: (N, 2, 3) crop pixels to image pixels.
    """

    image: Bytes
    order: str
    initial: Floats
    shown: Floats
    matrices: Floats

    @cached_property
    def centres(self) -> Floats:
        """(N, 2): for everybody at once, so that large crowds cost no more a person."""
        return middles(self.shown)

    def views(self, rows: AnyArray) -> Views:
        """What the network is to see of people (R,)."""
        matrices = self.matrices[rows]
        crops = cut_crops(self.image, matrices)
        crops = np.ascontiguousarray(crops[..., ::-1]) if self.order == "bgr" else crops
        others = to_crop(nearest_others(self.shown, self.centres, rows), matrices)
        return Views(
            crops, to_crop(self.initial[rows], matrices), others, to_crop(self.shown[rows], matrices), matrices
        )

    def closer(self, found: Floats) -> "Scene":
        """The same scene with what was `found` (N, 19, C >= 2), image pixels, in place of what was shown."""
        shown = np.ascontiguousarray(found[..., :2])
        return replace(self, shown=shown, matrices=crop_matrices(*crop_boxes(shown, self.image.shape[:2])))


def crop_boxes(keypoints: Floats, image_shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Where to cut, from the input pose alone.

    The crop is MARGIN times the box of the joints that are there, widened to the crop's aspect. A pose without extent
    (one joint, or all in one point) does not say how large its person is: a third of the image's height is taken.

    Args:
        keypoints: (N, K, 2) image pixels, NaN where missing; each person has at least one joint.
        image_shape: Height and width of the image, pixels.

    Returns:
        Centres (N, 2) and crop heights (N,), image pixels.
    """
    low, high = np.nanmin(keypoints, axis=1), np.nanmax(keypoints, axis=1)
    extent = high - low
    height = np.maximum(extent[:, 1], extent[:, 0] * (CROP_HEIGHT / CROP_WIDTH)) * MARGIN
    height = np.where(extent.max(1) < 1.0, image_shape[0] / 3, height)
    return ((low + high) / 2).astype(np.float32), np.maximum(height, 8.0).astype(np.float32)


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


def to_image(points: Floats, matrices: Floats) -> Floats:
    """Crop pixels (N, K, 2) to image pixels (N, K, 2), through `matrices` (N, 2, 3)."""
    placed: Floats = np.einsum("nij,nkj->nki", matrices[:, :, :2], points) + matrices[:, None, :, 2]
    return placed


def to_crop(points: Floats, matrices: Floats) -> Floats:
    """Image pixels (N, ..., 2) to crop pixels (N, ..., 2): the inverse of `to_image`."""
    inverse = np.linalg.inv(matrices[:, :, :2].astype(np.float64))
    offset = matrices[:, :, 2].reshape(len(matrices), *[1] * (points.ndim - 2), 2)
    moved = points.astype(np.float64) - offset  # float64: coordinates may lie far outside
    placed: Floats = np.einsum("nij,n...j->n...i", inverse, moved).astype(np.float32)
    return placed


def middles(keypoints: Floats) -> Floats:
    """The mean of each person's joints (N, K, 2), NaN where missing; (N, 2) pixels, NaN for people without any."""
    count = (~np.isnan(keypoints)).sum(1)
    total = np.where(count, np.nan_to_num(keypoints).sum(1), np.nan)
    middle: Floats = (total / np.maximum(count, 1)).astype(np.float32)
    return middle


def nearest_others(keypoints: Floats, centres: Floats, rows: AnyArray) -> Floats:
    """The poses of the OTHERS people nearest to each of `rows`.

    Args:
        keypoints: (N, K, 2) image pixels, NaN where missing: everybody in the image.
        centres: (N, 2) their `middles`.
        rows: (R,) whose neighbours to find.

    Returns:
        (R, OTHERS, K, 2); NaN where there are no more people.
    """
    distance = np.square(centres[rows, None] - centres).sum(-1)
    distance[np.isnan(distance)] = np.inf  # people of whom the network knows no joint
    distance[np.arange(len(rows)), rows] = np.inf
    order = np.argpartition(distance, min(OTHERS, len(keypoints)) - 1, axis=1)[:, :OTHERS]
    near: Floats = keypoints[order]
    near[np.take_along_axis(distance, order, 1) == np.inf] = np.nan
    missing = np.full((len(rows), OTHERS - order.shape[1], *near.shape[2:]), np.nan, np.float32)
    return np.concatenate([near, missing], 1)


def where_to_cut(keypoints: Floats, source: Skeleton, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Poses (N, K, C >= 2) of people with a joint, to the network's joints (N, 19, 2) and the crops' maps (N, 2, 3)."""
    keypoints = keypoints[..., :2]
    known = convert(keypoints, source, NETWORK)
    lost = np.isnan(known[..., :1]).all(1, keepdims=True)  # only joints that the network does not know
    anchors = np.concatenate([known, np.where(lost, keypoints, np.float32(np.nan))], 1)
    return known, crop_matrices(*crop_boxes(anchors, shape))


def far_off(initial: Floats, found: Floats, matrices: Floats) -> AnyArray:
    """Whose pose was so far from what was found that its crop, and what it told the network, were poor: a closer look,
    at what was found, is worth its time.

    Args:
        initial: (N, 19, 2) image pixels, NaN where missing.
        found: (N, 19, C >= 2) image pixels.
        matrices: (N, 2, 3) crop pixels to image pixels, of the crops in which it was found.

    Returns:
        (R,) rows.
    """
    unit = SIGMAS * (matrices[:, :1, 0] * (CROP_HEIGHT / MARGIN))  # as `model.oks_distance`
    apart = np.linalg.norm(found[..., :2] - initial, axis=-1) / unit
    given = np.maximum((~np.isnan(apart)).sum(1), 1)
    return np.flatnonzero(np.nan_to_num(np.exp(-np.square(apart) / 2)).sum(1) / given < KEPT)


def cut_crops(image: Bytes, matrices: Floats, width: int = CROP_WIDTH) -> Bytes:
    """Cut crops out of an image, bilinearly; grey where they reach outside.

    Args:
        image: (H, W, 3) uint8, any strides.
        matrices: (N, 2, 3) crop pixels to image pixels, without rotation.
        width: Of the crops, pixels.

    Returns:
        (N, CROP_HEIGHT, width, 3) uint8, channels in the image's order.
    """
    crops = np.full((len(matrices), CROP_HEIGHT, width, 3), GREY, dtype=np.uint8)
    matrices = matrices.astype(np.float64)
    size, offset, scale = np.array([image.shape[1], image.shape[0]]), matrices[:, :, 2], matrices[:, 0, 0]
    reduction = np.where(scale >= MAX_REDUCTION, np.minimum(scale, size.min()), 1).astype(int)
    # Only the part of the image that a crop shows is touched: a person in a huge image costs no more.
    around = 2 * reduction[:, None]
    low = np.clip(np.floor(offset) - around, 0, size).astype(int)
    far_corner = matrices[:, :, :2] @ (width - 1, CROP_HEIGHT - 1) + offset
    high = np.clip(np.ceil(far_corner) + 1 + around, 0, size).astype(int)
    inner = np.concatenate([matrices[:, :, :2], (offset - low)[..., None]], 2)
    for n in np.flatnonzero((high > low).all(1)):
        (left, top), (right, bottom) = low[n], high[n]
        _cut_one(image[top:bottom, left:right], inner[n], int(reduction[n]), crops[n])
    return crops


def _cut_one(part: Bytes, matrix: AnyArray, reduction: int, out: Bytes) -> None:
    """Cut one crop out of `part` of an image, at 1 / `reduction` of its size; `matrix` is in pixels of that part."""
    if reduction > 1:
        full, corner = np.array([part.shape[1], part.shape[0]]), np.array([0, 0, 0.5])  # a pixel's, from its centre
        shrunk = np.maximum(1, full // reduction)
        part = cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        matrix = (matrix + corner) / (full / shrunk)[:, None] - corner
    cv2.warpAffine(
        part,
        matrix,
        (out.shape[1], CROP_HEIGHT),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY),
    )
