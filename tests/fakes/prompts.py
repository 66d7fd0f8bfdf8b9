"""Poses that are easy to see through, and prompts of them, for tests of what the model makes of them."""

import torch

from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH
from pose_refine.nn.encoding import gaussian_maps
from pose_refine.nn.evidence import (
    Prompt,
)


def spread_pose(people=1):
    """Nineteen joints, far from each other and from the crop's edges."""
    x, y = torch.meshgrid(torch.linspace(20, 170, 4), torch.linspace(20, 235, 5), indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)[:19].repeat(people, 1, 1)


def nobody(people=1):
    return torch.full((people, 3, 19, 2), torch.nan)


def logits_of(poses):
    return 8 * gaussian_maps(poses, (64, 48), 4.0)


def prompt_of(initial, others=None, shown=None, *, detail=1.0, mpii=False, trust=float("nan")):
    count = len(initial)
    others = nobody(count) if others is None else others
    facts = (torch.full((count,), value) for value in (float(detail), mpii, trust))
    return Prompt(initial, others, initial if shown is None else shown, *facts)


def crops_and_poses(people=2):
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (people, CROP_HEIGHT, CROP_WIDTH, 3), generator=generator, dtype=torch.uint8)
    initial = spread_pose(people)
    initial[0, 5] = torch.nan
    return crops, initial


def image_of(crops):
    return crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1
