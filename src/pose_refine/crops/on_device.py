"""Crops cut on the device where the network runs: what `cutting.cut_crops` does, without the CPU's work a person."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, GREY, reductions, shrunk_matrices


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
        matrices: (N, 2, 3) crop pixels to image pixels; at least one.

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
    pixels, total = image.reshape(-1, 3), torch.zeros((), device=image.device)
    along, down = (places(matrices[:, axis], image.shape[1 - axis]) for axis in (0, 1))
    for y, share_y in corners(down, image.shape[0]):
        for x, share_x in corners(along, image.shape[1]):
            inside = (y >= 0) & (x >= 0)
            index = y.clamp_min(0) * image.shape[1] + x.clamp_min(0)
            values = torch.where(inside[..., None], pixels[index], GREY)
            total = total + (share_y * share_x)[..., None] * values
    return total.round().to(torch.uint8)


def places(rows: Tensor, size: int) -> Tensor:
    """Where crop pixels lie along one axis of an image of that `size`, (N, CROP_HEIGHT, CROP_WIDTH), by the rows (N, 3)
    of their maps for that axis. What is far outside is as grey as what is just outside, and integers can say it.
    """
    across = rows[:, 0, None, None] * torch.arange(CROP_WIDTH, device=rows.device)
    down = rows[:, 1, None, None] * torch.arange(CROP_HEIGHT, device=rows.device)[:, None]
    return (across + down + rows[:, 2, None, None]).clamp(-2, size + 1)


def corners(place: Tensor, size: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The pixels before and after each place along an axis, -1 for those outside the image, with their weights."""
    low = place.floor()
    share = place - low
    before, after = (torch.where((p >= 0) & (p < size), p, -1) for p in (low.long(), low.long() + 1))
    return (before, 1 - share), (after, share)
