"""Crops and initial poses in, keypoints and scores out: network, evidence, decision."""

import torch
from torch import Tensor, nn

from pose_refine.crops.geometry import UNSEEN
from pose_refine.nn.decision import TRUST, Decision, blend
from pose_refine.nn.evidence import AGREEMENT, GIVEN, Prompt, look
from pose_refine.nn.network import Network, NetworkConfig


class Model(nn.Module):
    """What a weights folder holds.

    Args:
        config: Shape of the network.
        views: How many images the network sees of each crop (see `look`), 1 or 2.
        trust: How far initial poses are believed where a prompt does not say, in [0, 1].
    """

    def __init__(self, config: NetworkConfig, *, views: int = 1, trust: float = TRUST) -> None:
        super().__init__()
        self.network = Network(config)
        self.decision = Decision(config.joints)
        self.views: int = views
        self.trust: float = trust

    def forward(
        self, crops: Tensor, prompt: Prompt, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine one pose a crop.

        Args:
            crops: (B, CROP_HEIGHT, CROP_WIDTH, 3) uint8 RGB.
            prompt: What the network is told of them.
            dtype: Of the network, by autocast; what comes after it stays float32.

        Returns:
            Keypoints (B, K, 2) crop pixels; P(within the OKS-0.85 radius) (B, K); and the place on which both answers
            agree, (B, K, 2) crop pixels, whatever the decision chose; with one view, the one found in doubt of the
            pose.
        """
        image = crops.permute(0, 3, 1, 2).to(memory_format=torch.channels_last).float() * (2 / 255) - 1
        evidence = look(self.network, image, prompt, dtype, views=self.views)
        quality, weight, right = self.decision(evidence.features)
        given = evidence.features[..., GIVEN]
        trust = prompt.trust.nan_to_num(self.trust)
        keypoints = blend(evidence.places, torch.sigmoid(quality), weight, given, trust)
        left_alone = (prompt.detail < UNSEEN)[:, None] & (given > 0)
        keypoints = torch.where(left_alone[..., None], prompt.initial, keypoints)
        return keypoints, torch.sigmoid(right), evidence.places[:, AGREEMENT]
