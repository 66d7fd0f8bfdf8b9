"""A pose as input maps, and output maps as coordinates and confidence. Coordinates here are crop pixels."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH
from pose_refine.skeletons import NETWORK

# Where pose maps enter, and how wide a joint is drawn there: the network's stride -> sigma in crop pixels. Coarse on
# purpose (PoseFix, Moon et al. 2019): an input joint is a hint, and is seldom exact.
POSE_SIGMAS = {8: 8.0, 4: 6.0}
DOUBT = 0.5  # height of the fine pose maps for a pose that is believed less
WINDOW = 2  # cells to each side of the peak that the soft-argmax looks at


def network_inputs(
    image: Tensor, keypoints: Tensor, others: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (B, 3, CROP_HEIGHT, CROP_WIDTH) and poses (see `pose_maps`) as a network of `size` takes them."""
    if tuple(image.shape[2:]) != size:
        image = F.interpolate(image, size, mode="bilinear", align_corners=False)
    return image, *pose_maps(keypoints, others, size)


@cache
def joint_mirror(device: torch.device) -> Tensor:
    """(K,) each joint's mirror joint, copied to a device once: a copy waits for all that is under way there."""
    with torch.inference_mode(False):  # training may need it, too
        return torch.as_tensor(NETWORK.mirror, device=device)


@cache
def two_sided(device: torch.device) -> Tensor:
    """(K,) 1 for joints that have a mirror joint, else 0; as `joint_mirror`."""
    with torch.inference_mode(False):
        return (joint_mirror(device) != torch.arange(len(NETWORK.mirror), device=device)).float()


def mirrored(points: Tensor) -> Tensor:
    """Crop pixels (..., K, 2) in the crop mirrored left to right; a left joint becomes the right one."""
    turned = points[..., joint_mirror(points.device), :]
    return torch.stack([CROP_WIDTH - 1 - turned[..., 0], turned[..., 1]], -1)


def mirrored_back(maps: Tensor) -> Tensor:
    """Maps (..., K, h, w) of a mirrored crop as maps of the crop itself."""
    return maps.flip(-1)[..., joint_mirror(maps.device), :, :]


def cell_positions(size: int, cells: int, device: torch.device) -> Tensor:
    """Crop pixels of the middles of the `cells` along one side of `size` pixels, (cells,)."""
    return (torch.arange(cells, device=device, dtype=torch.float32) + 0.5) * (size / cells) - 0.5


def cell_size(maps: Tensor) -> tuple[float, float]:
    """Width and height, crop pixels, of a cell of maps (..., h, w)."""
    return CROP_WIDTH / maps.shape[-1], CROP_HEIGHT / maps.shape[-2]


def gaussian_maps(keypoints: Tensor, shape: tuple[int, int], sigma: float) -> Tensor:
    """Draw each joint as a Gaussian of height 1; a missing joint is an empty map.

    Separable: two lines of exponentials a joint instead of one a cell, and drawn at the stride where it is used.

    Args:
        keypoints: (B, K, 2) crop pixels, NaN where missing.
        shape: Height h and width w of the maps, cells.
        sigma: Width, crop pixels.

    Returns:
        (B, K, h, w) float32.
    """
    points = torch.nan_to_num(keypoints, nan=-1e4)  # so far outside that nothing of it is drawn
    lines = []
    for axis, size, cells in ((0, CROP_WIDTH, shape[1]), (1, CROP_HEIGHT, shape[0])):
        distance = points[..., axis, None] - cell_positions(size, cells, keypoints.device)
        lines.append(torch.exp(distance.square() / (-2 * sigma**2)))
    return lines[1][..., :, None] * lines[0][..., None, :]


def pose_maps(
    keypoints: Tensor, others: Tensor, size: tuple[int, int] = (CROP_HEIGHT, CROP_WIDTH)
) -> tuple[Tensor, Tensor]:
    """The network's two pose inputs, at strides 8 and 4: one map a joint, then one for that joint of everybody else.

    Args:
        keypoints: (B, K, 2) crop pixels, NaN where missing.
        others: (B, M, K, 2) crop pixels, the poses of the people nearby, NaN where missing.
        size: Height and width at which the network looks at a crop, pixels.

    Returns:
        (B, 2 K, height / stride, width / stride) each.
    """
    people = torch.cat([keypoints[:, None], others], 1)
    stride8, stride4 = (one_and_others(people, (size[0] // s, size[1] // s), POSE_SIGMAS[s]) for s in (8, 4))
    return stride8, stride4


def one_and_others(people: Tensor, shape: tuple[int, int], sigma: float) -> Tensor:
    """(B, 1 + M, K, 2) to maps of the first person, and of whichever other is nearest to a cell; (B, 2 K, h, w)."""
    maps = gaussian_maps(people.flatten(0, 1), shape, sigma)
    maps = maps.view(*people.shape[:2], *maps.shape[1:])
    own, others = maps[:, 0], maps[:, 1:]
    return torch.cat([own, others.amax(1) if others.shape[1] else torch.zeros_like(own)], 1)


def target_maps(keypoints: Tensor, shape: tuple[int, int], sigma: float) -> Tensor:
    """Where a joint truly is, as a distribution over cells: (B, K, h, w), each map sums to 1 (or is 0 outside)."""
    maps = gaussian_maps(keypoints, shape, sigma)
    return maps / maps.sum((2, 3), keepdim=True).clamp_min(1e-6)


def window_offsets(device: torch.device) -> tuple[Tensor, Tensor]:
    """Column and row offsets of the cells in a window, each ((2 WINDOW + 1) ** 2,)."""
    span = torch.arange(-WINDOW, WINDOW + 1, device=device)
    rows, columns = torch.meshgrid(span, span, indexing="ij")
    return columns.reshape(-1), rows.reshape(-1)


def window_mass(probability: Tensor, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probability of the cells around some cells of each map; 0 for those that lie outside.

    Args:
        probability: (..., h, w), each map sums to 1.
        columns: (..., P) the cells' columns, any integers.
        rows: (..., P) the cells' rows, any integers.

    Returns:
        Mass (..., P, W), and the columns and rows that it is of (..., P, W).
    """
    height, width = probability.shape[-2:]
    dx, dy = window_offsets(probability.device)
    x, y = columns[..., None] + dx, rows[..., None] + dy
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return probability.flatten(-2).gather(-1, index.flatten(-2)).view(index.shape) * inside, x, y


def mass_at(probability: Tensor, points: Tensor) -> Tensor:
    """Probability (..., P) in the windows around points (..., P, 2), crop pixels, of each map (..., h, w)."""
    columns, rows = (
        ((points[..., axis].clamp(-1e4, 1e4) + 0.5) / size - 0.5).round().long()
        for axis, size in enumerate(cell_size(probability))
    )
    return window_mass(probability, columns, rows)[0].sum(-1)


def probability_of(logits: Tensor) -> Tensor:
    """Softmax over space, float32, of maps (..., h, w)."""
    return logits.float().flatten(-2).softmax(-1).view(logits.shape)


def peaks(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates by soft-argmax in a window around the peak, and the mass of that window.

    Args:
        probability: (..., h, w) over the whole crop.

    Returns:
        Keypoints (..., 2) crop pixels and peak mass (...) in [0, 1].
    """
    width = probability.shape[-1]
    peak = probability.flatten(-2).argmax(-1, keepdim=True)
    mass, x, y = (value[..., 0, :] for value in window_mass(probability, peak % width, peak // width))
    total = mass.sum(-1)
    along = [
        ((mass * cells).sum(-1) / total + 0.5) * size - 0.5
        for cells, size in zip((x, y), cell_size(probability), strict=True)
    ]
    return torch.stack(along, -1), total


def decode(logits: Tensor) -> tuple[Tensor, Tensor]:
    """`peaks` of logits (..., h, w)."""
    return peaks(probability_of(logits))
