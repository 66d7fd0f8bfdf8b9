"""Crops cut on the device where the network runs: what `crops.cut_crops` does, without the CPU's work a person."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops import CROP_HEIGHT, CROP_WIDTH, GREY, reductions, shrunk_matrices


def upload(array: AnyArray, device: torch.device) -> Tensor:
    """An array on `device`. To CUDA from pinned memory: any other copy would wait for all that is under way."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Levels:
    """An image on its device, and what it is at half its size, a third, ..., each made when it is first needed.

    Args:
        image: uint8 (H, W, 3).
    """

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self._shrunk = {1: image}

    def at(self, reduction: int) -> Tensor:
        """(H / reduction, W / reduction, 3) uint8, rounded up: means of reduction x reduction pixels."""
        if reduction not in self._shrunk:
            self._shrunk[reduction] = shrink(self.image, reduction)
        return self._shrunk[reduction]


def shrink(image: Tensor, reduction: int) -> Tensor:
    """Means of reduction x reduction pixels of uint8 (H, W, 3); of fewer at the right and at the bottom."""
    levels = F.avg_pool2d(image.permute(2, 0, 1).float(), reduction, ceil_mode=True)
    return levels.round().to(torch.uint8).permute(1, 2, 0).contiguous()


def cut_crops(levels: Levels, matrices: Floats) -> Tensor:
    """Cut crops out of an image, bilinearly; grey where they reach outside. Nothing here waits for the device.

    Args:
        levels: The image.
        matrices: (N, 2, 3) crop pixels to image pixels, without rotation; at least one.

    Returns:
        (N, CROP_HEIGHT, CROP_WIDTH, 3) uint8, channels in the image's order.
    """
    device = levels.image.device
    reduction = reductions(matrices, levels.image.shape)
    kinds = np.unique(reduction)
    each = [np.flatnonzero(reduction == kind) for kind in kinds]
    cut = [
        sample(levels.at(int(kind)), upload(shrunk_matrices(matrices[rows], int(kind)), device))
        for kind, rows in zip(kinds, each, strict=True)
    ]
    return cut[0] if len(cut) == 1 else torch.cat(cut)[upload(np.argsort(np.concatenate(each)), device)]


def sample(image: Tensor, matrices: Tensor) -> Tensor:
    """`cut_crops` out of uint8 (H, W, 3) alone, by float32 matrices on its device.

    The corners' pixels are gathered as bytes: a whole image in float32 would be 12 bytes a pixel.
    """
    ends = ((1, CROP_HEIGHT, image.shape[0]), (0, CROP_WIDTH, image.shape[1]))
    (rows, row_weights), (columns, column_weights) = (
        corners(matrices[:, axis, axis], matrices[:, axis, 2], cells, size) for axis, cells, size in ends
    )
    pixels, total = image.reshape(-1, 3), torch.zeros((), device=image.device)
    for y, down in zip(rows, row_weights, strict=True):
        for x, along in zip(columns, column_weights, strict=True):
            inside = (y >= 0)[:, :, None] & (x >= 0)[:, None, :]
            index = y.clamp_min(0)[:, :, None] * image.shape[1] + x.clamp_min(0)[:, None, :]
            values = torch.where(inside[..., None], pixels[index], GREY)
            total = total + (down[:, :, None] * along[:, None, :])[..., None] * values
    return total.round().to(torch.uint8)


def corners(
    scale: Tensor, offset: Tensor, cells: int, size: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Which pixels the crops' own lie between along an axis, -1 for those outside the image; and their weights.

    Args:
        scale: (N,) image pixels a crop pixel.
        offset: (N,) where the first crop pixel lies, image pixels.
        cells: Of a crop, along that axis.
        size: Of the image, pixels.

    Returns:
        Pixels before and after, each (N, cells) integers, and weights alike.
    """
    place = scale[:, None] * torch.arange(cells, device=scale.device) + offset[:, None]
    place = place.clamp(-2, size + 1)  # as grey as further out; integers can say it
    low = place.floor()
    before, after = low.long(), low.long() + 1
    share = place - low
    found = tuple(torch.where((p >= 0) & (p < size), p, -1) for p in (before, after))
    return (found[0], found[1]), (1 - share, share)
