"""Batches, cut and varied on the device that trains."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.bodies import in_frame, one_body
from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import (
    CROP_HEIGHT,
    CROP_WIDTH,
    MAX_REDUCTION,
    crop_boxes,
    crop_matrices,
    scales,
    to_crop,
)
from pose_refine.nn import encoding
from pose_refine.training.data import People, take
from pose_refine.training.synthesis import belief_in, initial_poses

Draw = Callable[..., Tensor]  # uniform random numbers in [0, 1): draw(*shape) gives (B, *shape)


@dataclass(frozen=True)
class Batch:
    """One batch on the device; coordinates are crop pixels.

    Attributes:
        image: (B, 3, H, W) in [-1, 1].
        shown: (B, K, 2) the pose that the network is shown, NaN where missing.
        others: (B, M, K, 2) the poses of people nearby that it is shown, NaN where missing.
        belief: (B,) height of that pose's fine maps: 1, or less where it is to be believed less.
        truth: (B, K, 2), NaN where not labelled.
        area: (B,) squared crop pixels.
        mpii: (B,) whether that truth means what MPII's does.
    """

    image: Tensor
    shown: Tensor
    others: Tensor
    belief: Tensor
    truth: Tensor
    area: Tensor
    mpii: Tensor


def cut(images: Tensor, rows: AnyArray, matrices: Floats) -> Tensor:
    """Cut crops out of the stored images, bilinearly, grey outside.

    The image is shrunk by averaging first: by half where crops shrink it to half or less; inference, and the CPU here,
    also to a third and further.

    Args:
        images: (M, S, S, 3) uint8.
        rows: (B,) which image each crop is of.
        matrices: (B, 2, 3) crop pixels to image pixels.

    Returns:
        (B, 3, CROP_HEIGHT, CROP_WIDTH) float32 in [-1, 1], channels last.
    """
    device, side = images.device, images.shape[1]
    if device.type == "cpu":  # OpenCV touches only what a crop shows
        cut_out = [cut_crops(images[row].numpy(), matrix[None])[0] for row, matrix in zip(rows, matrices, strict=True)]
        stacked = torch.from_numpy(np.stack(cut_out)).permute(0, 3, 1, 2)  # which lies channels last already
        return stacked.float() * (2 / 255) - 1
    y, x = torch.meshgrid(
        torch.arange(CROP_HEIGHT, device=device), torch.arange(CROP_WIDTH, device=device), indexing="ij"
    )
    points = torch.stack([x, y, torch.ones_like(x)], -1).float().view(1, -1, 3)
    places = points @ torch.as_tensor(matrices, device=device).transpose(1, 2)
    grid = ((places + 0.5) * (2 / side) - 1).view(-1, CROP_HEIGHT, CROP_WIDTH, 2)
    crops = torch.empty(len(rows), 3, CROP_HEIGHT, CROP_WIDTH, device=device, memory_format=torch.channels_last)
    shrunk = scales(matrices) >= MAX_REDUCTION
    for reduction, chosen in ((1, np.flatnonzero(~shrunk)), (2, np.flatnonzero(shrunk))):
        whole = images[torch.as_tensor(rows[chosen], device=device)].permute(0, 3, 1, 2).float() * (2 / 255) - 1
        whole = F.avg_pool2d(whole, reduction) if reduction > 1 else whole
        sampled = F.grid_sample(whole, grid[torch.as_tensor(chosen, device=device)], align_corners=False)
        crops[torch.as_tensor(chosen, device=device)] = sampled
    return crops


def recolour(image: Tensor, draw: Draw) -> Tensor:
    """Brightness, contrast, white balance; a few without colour."""

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * draw(channels, 1, 1)

    image = image * uniform(0.7, 1.3) * uniform(0.9, 1.1, 3) + uniform(-0.2, 0.2)
    grey = uniform(0, 1) < 0.05
    return torch.where(grey, image.mean(1, keepdim=True), image).clamp(-1, 1)


# Shares of the crops that are seen at a half, a quarter, an eighth of their size, as people are who are far away.
BLURRED = {2: 0.12, 4: 0.06, 8: 0.03}


def blur(image: Tensor, draw: Draw) -> Tensor:
    """A share of the crops at a lower resolution, see BLURRED."""
    drawn, below = draw(1, 1, 1), 0.0
    for factor, share in BLURRED.items():
        chosen = ((drawn >= below) & (drawn < below + share)).flatten()
        below += share
        if chosen.any():
            image = image.clone(memory_format=torch.channels_last)
            image[chosen] = coarser(image[chosen], factor)
    return image


def coarser(image: Tensor, factor: int) -> Tensor:
    """Crops (B, 3, H, W) as if cut out of an image `factor` times smaller."""
    low = F.avg_pool2d(image, factor)
    return F.interpolate(low, scale_factor=float(factor), mode="bilinear", align_corners=False)


def cut_off(image: Tensor, truth: Tensor, draw: Draw, share: float = 0.15) -> tuple[Tensor, Tensor]:
    """The image ends where a share of the crops goes on: grey beyond a line, mostly below, and no truth there."""
    drawn = draw(3)
    chosen = drawn[:, 0] < share
    for axis, low, high in ((1, 0.0, 0.6), (0, 0.6, 0.8), (0, 0.8, 1.0)):
        size = (image.shape[3], image.shape[2])[axis]
        line = (0.45 + 0.45 * drawn[:, 1]) * size
        here = chosen & (drawn[:, 2] >= low) & (drawn[:, 2] < high)
        left = low == 0.8
        place = torch.arange(size, device=image.device)
        place = size - 1 - place if left else place
        beyond = here[:, None] & (place > line[:, None])
        image = torch.where(beyond[:, None, :, None] if axis else beyond[:, None, None, :], 0.0, image)
        along = size - 1 - truth[..., axis] if left else truth[..., axis]
        truth = torch.where((here[:, None] & (along > line[:, None]))[..., None], torch.nan, truth)
    return image, truth


def hide_patch(image: Tensor, draw: Draw, share: float = 0.25) -> Tensor:
    """A grey rectangle, a tenth to a third of the crop a side, over a share of the crops: something in the way."""
    drawn = draw(5)
    size = 0.1 + 0.23 * drawn[:, 2:4]
    inside = (drawn[:, 4] < share)[:, None, None]
    for axis, length in ((0, image.shape[3]), (1, image.shape[2])):
        place = torch.arange(length, device=image.device) / length - drawn[:, axis, None]
        line = (place >= 0) & (place < size[:, axis, None])
        inside = inside & (line[:, None, :] if axis == 0 else line[:, :, None])
    return torch.where(inside[:, None], 0.0, image)


def mirrored(points: Floats, flip: AnyArray) -> Floats:
    """Crop pixels (B, ..., K, 2) of crops mirrored left to right where `flip` (B,) says so, joints renamed."""
    turned = encoding.mirrored(torch.from_numpy(points)).numpy()
    return np.where(flip.reshape(-1, *[1] * (points.ndim - 1)), turned, points)


def make_batch(
    images: Tensor, people: People, others: AnyArray, rows: AnyArray, rng: Generator, part: slice = slice(None)
) -> Batch:
    """Draw initial poses for `rows`, and cut, turn, mirror and colour their crops.

    The crop comes from the initial pose, as at inference, so that a bad pose means a bad crop here too. Everything is
    drawn for all rows, and only `part` of them is cut: several processes make the batch that one would.
    """
    truth = take(people, rows, others)
    claimed, near, hidden = initial_poses(truth, rng)
    count = len(rows)
    poses, near = one_body(claimed), one_body(near.reshape(-1, *claimed.shape[1:])).reshape(near.shape)
    centres, heights, rotation = crop_boxes(in_frame(claimed, poses), (images.shape[1], images.shape[2]))
    rotation += np.where(rng.random(count) < 0.5, rng.normal(0, np.deg2rad(30), count), 0).astype(np.float32)
    centres += (rng.normal(0, 0.02, (count, 2)) * heights[:, None]).astype(np.float32)
    heights *= rng.uniform(0.8, 1.25, count).astype(np.float32)
    matrices = crop_matrices(centres, heights, rotation)
    flip = rng.random(count) < 0.5
    belief = belief_in(poses, truth.poses, truth.area, rng)
    poses[hidden] = np.nan
    area = truth.area * (CROP_HEIGHT / heights) ** 2
    device = images.device
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=device)[part]

    def seen(points: Floats) -> Tensor:
        return torch.as_tensor(mirrored(to_crop(points[part], matrices[part]), flip[part]), device=device)

    crops = cut(images, people.image[rows[part]], matrices[part])
    crops = torch.where(torch.as_tensor(flip[part], device=device)[:, None, None, None], crops.flip(3), crops)
    crops, visible = cut_off(hide_patch(blur(recolour(crops, draw), draw), draw), seen(truth.poses), draw)
    return Batch(
        image=crops.contiguous(memory_format=torch.channels_last),
        shown=seen(poses),
        others=seen(near),
        belief=torch.as_tensor(belief[part], device=device),
        truth=visible,
        area=torch.as_tensor(area[part], dtype=torch.float32, device=device),
        mpii=torch.as_tensor(people.mpii[rows[part]], device=device),
    )
