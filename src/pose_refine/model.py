"""Crops and initial poses in, keypoints and scores out: the network between its encoding and its decision."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose_refine.crops import CROP_HEIGHT, MARGIN
from pose_refine.encoding import CELL_CENTRE, STRIDE, decode, pose_maps, window_mass
from pose_refine.network import Network, NetworkConfig
from pose_refine.skeletons import SIGMAS

EVIDENCE = 10  # numbers a joint that the decision sees


@dataclass(frozen=True)
class Evidence:
    """What the network found, and how it compares with what was claimed; all (B, K, ...).

    Attributes:
        found: (B, K, 2) crop pixels, decoded from the heat maps.
        claimed: (B, K, 2) crop pixels, the initial pose; equal to `found` where missing.
        features: (B, K, EVIDENCE).
    """

    found: Tensor
    claimed: Tensor
    features: Tensor


def gather_evidence(logits: Tensor, initial: Tensor, others: Tensor) -> Evidence:
    """Compare heat maps (B, K, h, w) with the initial pose (B, K, 2), and with those of the people nearby
    (B, M, K, 2); crop pixels, NaN where missing.

    How far a whole pose lies from what was found tells how good its estimator is: that is how the decision knows
    whom to believe without knowing the estimator.
    """
    found, peak = decode(logits)
    missing = torch.isnan(initial[..., 0])
    claimed = torch.where(missing[..., None], found, initial)
    probability = logits.float().flatten(2).softmax(-1).view(logits.shape)
    cell = ((claimed.clamp(-1e4, 1e4) - CELL_CENTRE) / STRIDE).round().long()
    support = window_mass(probability, cell[..., 0], cell[..., 1])[0].sum(-1)
    distance = oks_distance(found, claimed)
    given = (~missing).float()
    count = given.sum(1, keepdim=True).clamp_min(1)
    near = torch.exp(-distance.square() / 2)
    entropy = -(probability * (probability + 1e-9).log()).sum((2, 3))
    features = [
        given,
        peak,
        support * given,
        torch.log1p(distance) * given,
        near * given,
        entropy / 5,
        ((near * given).sum(1, keepdim=True) / count).expand_as(given),
        peak.mean(1, keepdim=True).expand_as(given),
        taken(found, others),
        taken(claimed, others) * given,
    ]
    return Evidence(found, claimed, torch.stack(features, -1))


def oks_distance(a: Tensor, b: Tensor) -> Tensor:
    """Distance of joints (..., K, 2) in OKS units, 2 sigma sqrt(area), for a person whose area is a quarter of its box
    height squared."""
    sigmas = torch.as_tensor(SIGMAS, device=a.device)
    distance: Tensor = torch.linalg.vector_norm(a - b, dim=-1) / (sigmas * (CROP_HEIGHT / MARGIN))
    return distance


def taken(points: Tensor, others: Tensor) -> Tensor:
    """Similarity of joints (B, K, 2) to the nearest such joint of the others (B, M, K, 2), in [0, 1]: is it theirs?"""
    similarity = torch.exp(-oks_distance(points[:, None], others).square() / 2).nan_to_num(0)
    return torch.cat([torch.zeros_like(points[:, None, :, 0]), similarity], 1).amax(1)


class Decision(nn.Module):
    """Whom to believe, a joint: how much of the claimed position to keep, and how likely the result is right."""

    def __init__(self, joints: int, width: int = 32) -> None:
        super().__init__()
        self.hidden = nn.Linear(EVIDENCE + joints, width)
        self.out = nn.Linear(width, 2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the share of the claimed position to keep, and of being right; each (B, K)."""
        joint = torch.eye(features.shape[1], device=features.device).expand(len(features), -1, -1)
        y: Tensor = self.out(F.relu(self.hidden(torch.cat([features, joint], -1))))
        return y[..., 0], y[..., 1]


class Model(nn.Module):
    """What a weights folder holds.

    Args:
        config: Shape of the network.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.network = Network(config)
        self.decision = Decision(config.joints)

    def forward(
        self, crops: Tensor, initial: Tensor, others: Tensor, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Refine one pose a crop.

        Args:
            crops: (B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB.
            initial: (B, K, 2) crop pixels, NaN where missing.
            others: (B, M, K, 2) crop pixels, the initial poses of M people nearby, NaN where missing; M may be 0.
            dtype: Of the network, by autocast; what comes after it stays float32.

        Returns:
            Keypoints (B, K, 2) crop pixels, and P(within the OKS-0.85 radius) (B, K).
        """
        image = crops.permute(0, 3, 1, 2).to(memory_format=torch.channels_last).float() * (2 / 255) - 1
        with torch.autocast(crops.device.type, dtype, enabled=dtype != torch.float32):
            logits = self.network(image, *pose_maps(initial, others))
        evidence = gather_evidence(logits, initial, others)
        keep, right = self.decision(evidence.features)
        blend = evidence.found + torch.sigmoid(keep)[..., None] * (evidence.claimed - evidence.found)
        return blend, torch.sigmoid(right)
