"""What the network is shown of an image and its people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.crops import on_device as device_crops
from pose_refine.crops.bodies import middles, one_person
from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import OTHERS, crop_boxes, crop_matrices, far_off, scales, to_crop
from pose_refine.crops.on_device import Levels, upload

ON_HOST = ("cpu", "mps")  # devices for which OpenCV cuts
# Bytes: larger images stay on the host, so that they need no more of a device's memory than their crops.
LARGE = 1 << 26


class Picture:
    """An image that crops are cut out of: by the CPU, or by CUDA, where a copy of the image lies until `release`.

    Args:
        pixels: uint8 (H, W, 3), any strides.
        order: Of its channels, "rgb" or "bgr".
    """

    def __init__(self, pixels: Bytes, order: str) -> None:
        self.pixels, self.order = pixels, order
        self._levels: Levels | None = None

    def crops(self, matrices: Floats, device: torch.device) -> Tensor:
        """(B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB on `device`; `matrices` (B, 2, 3), crop pixels to image pixels."""
        if device.type in ON_HOST or self.pixels.nbytes > LARGE:
            crops = cut_crops(self.pixels, matrices)
            return upload(np.ascontiguousarray(crops[..., ::-1]) if self.order == "bgr" else crops, device)
        if self._levels is None:
            pixels = np.require(self.pixels, requirements=("C", "W"))  # torch warns of what may not be written to
            self._levels = Levels(upload(pixels, device))
        cut = device_crops.cut_crops(self._levels, matrices)
        return cut.flip(-1) if self.order == "bgr" else cut

    def release(self) -> None:
        """Give back the device's memory."""
        self._levels = None


@dataclass(frozen=True)
class CropBatch:
    """What the network is shown: a batch, which may be of several images.

    Attributes:
        pictures: The images.
        picture: (B,) which of them each person is in.
        initial: (B, 19, 2) crop pixels, NaN where missing: the poses that are to be judged.
        others: (B, OTHERS, 19, 2) crop pixels, people nearby.
        shown: (B, 19, 2) crop pixels, NaN where missing: of the initial poses what can be one body's at first, later
            what was found.
        detail: (B,) image pixels a crop pixel.
        mpii: (B,) whether the joints are meant as MPII's.
        trust: (B,) how far the initial poses are believed, in [0, 1], NaN for as far as the weights say.
        matrices: (B, 2, 3) crop pixels to image pixels.
    """

    pictures: tuple[Picture, ...]
    picture: AnyArray
    initial: Floats
    others: Floats
    shown: Floats
    detail: Floats
    mpii: AnyArray
    trust: Floats
    matrices: Floats

    def __len__(self) -> int:
        return len(self.picture)

    def of(self, rows: slice) -> "CropBatch":
        """Some of them."""
        return CropBatch(self.pictures, *(getattr(self, field.name)[rows] for field in fields(self)[1:]))

    def crops(self, device: torch.device) -> Tensor:
        """(B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB on `device`; people of one picture lie together."""
        each = [np.flatnonzero(self.picture == n) for n in range(len(self.pictures))]
        cut = [
            picture.crops(self.matrices[rows], device)
            for picture, rows in zip(self.pictures, each, strict=True)
            if len(rows)
        ]
        return torch.cat(cut) if len(cut) > 1 else cut[0]


def joined(parts: Sequence[CropBatch]) -> CropBatch:
    """One batch of several."""
    if len(parts) == 1:
        return parts[0]
    pictures = tuple(picture for part in parts for picture in part.pictures)
    before = np.cumsum([0] + [len(part.pictures) for part in parts])
    picture = np.concatenate([part.picture + n for part, n in zip(parts, before, strict=False)])
    return CropBatch(
        pictures, picture, *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(CropBatch)[2:])
    )


@dataclass(frozen=True)
class Scene:
    """An image and its people, on their way to the network.

    Attributes:
        picture: The image.
        initial: (N, 19, 2) everybody's pose as it came, image pixels, NaN where missing.
        shown: (N, 19, 2) everybody's pose as the network is to see it: at first what can be one body's of the initial.
        matrices: (N, 2, 3) crop pixels to image pixels.
        mpii: Whether the joints that are asked for are meant as MPII's.
        trust: How far the initial poses are believed, in [0, 1]; NaN for as far as the weights say.
    """

    picture: Picture
    initial: Floats
    shown: Floats
    matrices: Floats
    mpii: bool = False
    trust: float = float("nan")

    @cached_property
    def centres(self) -> Floats:
        """(N, 2): for everybody at once, so that large crowds cost no more a person."""
        return middles(self.shown)

    def batch(self, rows: AnyArray) -> CropBatch:
        """What the network is to see of people (R,)."""
        matrices = self.matrices[rows]
        others = to_crop(nearest_others(self.shown, self.initial, self.centres, rows), matrices)
        initial, shown = to_crop(self.initial[rows], matrices), to_crop(self.shown[rows], matrices)
        mpii, trust = np.full(len(rows), self.mpii), np.full(len(rows), self.trust, np.float32)
        return CropBatch(
            (self.picture,), np.zeros(len(rows), int), initial, others, shown, scales(matrices), mpii, trust, matrices
        )

    def closer(self, found: Floats) -> "Scene":
        """The same scene with what was `found` (N, 19, 2), image pixels, in place of what was shown."""
        shown = np.ascontiguousarray(found)
        shape = self.picture.pixels.shape
        return replace(self, shown=shown, matrices=crop_matrices(*crop_boxes(shown, (shape[0], shape[1]))))


def batches(shown: Sequence[tuple[Scene, AnyArray]], size: int) -> Iterator[CropBatch]:
    """What the network is to see of people (R,) of each scene, so many at once, in their order.

    Of several pictures the device holds only those of one batch. A lone one stays: it is often looked at again, closer.
    """
    owner = np.repeat(np.arange(len(shown)), [len(rows) for _, rows in shown])
    rows = np.concatenate([rows for _, rows in shown])
    for start in range(0, len(owner), size):
        part, after = slice(start, start + size), owner[start + size : start + size + 1]
        scenes = np.unique(owner[part])
        yield joined([shown[n][0].batch(rows[part][owner[part] == n]) for n in scenes])
        for n in scenes if len(shown) > 1 else ():
            if n not in after:
                shown[n][0].picture.release()


def closer_looks(scenes: Sequence[Scene], agreed: Sequence[Floats]) -> list[tuple[int, Scene, AnyArray]]:
    """Who is looked at again, closer: people whose pose was far off (see `geometry.far_off`).

    Args:
        scenes: What the network was shown.
        agreed: For each of them (N, 19, 2), where it found everybody, image pixels. What becomes of poses that are
            believed is more cautious, and would cut worse crops.

    Returns:
        For each scene with such people its index, the scene as it is to be shown now, and their rows (R,).
    """
    far = [far_off(scene.initial, joints, scene.matrices) for scene, joints in zip(scenes, agreed, strict=True)]
    return [(n, scenes[n].closer(agreed[n]), rows) for n, rows in enumerate(far) if len(rows)]


def nearest_others(keypoints: Floats, initial: Floats, centres: Floats, rows: AnyArray) -> Floats:
    """The poses of the OTHERS people nearest to each of `rows`, without those who are the same person, found twice.

    Args:
        keypoints: (N, K, 2) image pixels, NaN where missing: everybody in the image.
        initial: (N, 19, 2) as they came; these tell who is the same person.
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
    nobody = np.take_along_axis(distance, order, 1) == np.inf
    near[nobody | one_person(initial[rows][:, None], initial[order])] = np.nan
    missing = np.full((len(rows), OTHERS - order.shape[1], *near.shape[2:]), np.nan, np.float32)
    return np.concatenate([near, missing], 1)
