"""The network, and nothing else: crops and pose maps in, one heat map a joint out.

The trunk is PP-TinyPose's (see `trunk`), so that training starts from a network that already finds people. What this
project adds are the paths by which the initial pose enters (PoseRefiner, Fieraru et al. 2018, feeds the pose as input
channels): early, so that the trunk knows who is meant; late, where the answer is made; and past both, as a prior that
is added to the answer. A second network of the same kind is told of the people nearby alone: no claim can mislead it,
and it has errors of its own.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose_refine.nn.trunk import STEM, WIDTHS, Trunk, conv, relu
from pose_refine.skeletons import COCO_JOINTS

# From this joint on MPII means its own places, so that the network has maps of both.
FIRST_MPII = COCO_JOINTS.index("left_shoulder")

Context = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        joints: Number of joints, in the order of `skeletons.NETWORK`.
        width: Channels of the head at stride 4.
        coarse: Channels of the head at stride 8.
        size: Height and width at which a crop is looked at, pixels, multiples of 32.
    """

    joints: int = 19
    width: int = 48
    coarse: int = 64
    size: tuple[int, int] = (256, 192)

    def __post_init__(self) -> None:
        if self.joints < len(COCO_JOINTS) or min(self.width, self.coarse) < 1:
            raise ValueError(f"need joints >= {len(COCO_JOINTS)} and widths >= 1, got {self}")
        if len(self.size) != 2 or any(side < 32 or side % 32 for side in self.size):
            raise ValueError(f"size must be two multiples of 32, got {self.size}")

    @property
    def maps(self) -> int:
        """How many maps the network makes: one a joint, and one more where MPII means another place."""
        return 2 * self.joints - FIRST_MPII


def largest_layer(config: NetworkConfig) -> int:
    """Numbers of one person in the largest layer's output: the stem's, at half the size of the crop, or the head's for
    two beliefs at a quarter, or its coarse ones at an eighth."""
    height, width = config.size
    widest = max(16 * STEM, 8 * config.width, 8 * config.maps, config.coarse)
    return widest * (height // 8) * (width // 8)


class PoseEntrance(nn.Module):
    """Maps of the initial pose, and of those of the people nearby, enter the trunk.

    Zero at first: what a pose says comes through `Network.prior` alone.
    """

    def __init__(self, maps: int, outputs: int) -> None:
        super().__init__()
        self.read = conv(maps, STEM, 3)
        self.write = conv(STEM, outputs)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # type: ignore[arg-type]

    def forward(self, pose: Tensor) -> Tensor:
        y: Tensor = self.write(relu(self.read(pose)))
        return y


class Residual(nn.Module):
    """Two 3x3 convolutions beside nothing (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width, 3), conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.second(relu(self.first(x))) + x)


class Head(nn.Module):
    """Heat maps from the trunk's features and the initial pose. Its own part of the answer is zero at first."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        joints, width, coarse = config.joints, config.width, config.coarse
        self.joints = joints
        self.lateral = nn.ModuleList(conv(w, coarse) for w in WIDTHS[1:])
        self.pose8 = conv(2 * joints, coarse, 3)
        self.mix8 = Residual(coarse)
        self.fine, self.down = conv(WIDTHS[0], width), conv(coarse, width)
        self.claim, self.others = conv(joints, width, 3), conv(joints, width, 3)
        self.mix4 = conv(width, width, 3)
        self.out = conv(width, config.maps)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def seen(self, fine: Tensor, branches: list[Tensor], pose8: Tensor, pose4: Tensor) -> Tensor:
        """All but one's own fine pose: (B, width, H / 4, W / 4)."""
        y = self.pose8(pose8)
        for layer, branch, scale in zip(self.lateral, branches[1:], (1.0, 2.0, 4.0), strict=True):
            y = y + (layer(branch) if scale == 1 else upsample(layer(branch), scale))
        y = upsample(self.down(self.mix8(relu(y))), 2.0)
        total: Tensor = y + self.fine(fine) + self.others(pose4[:, self.joints :])
        return total

    def forward(self, seen: Tensor, pose4: Tensor, beliefs: Tensor) -> Tensor:
        """One answer for each of L beliefs, (L, B) or (L, 1): (L * B, maps, h, w)."""
        claim = self.claim(pose4[:, : self.joints])
        y = relu(torch.cat([seen + belief.view(-1, 1, 1, 1).to(seen.dtype) * claim for belief in beliefs]))
        logits: Tensor = self.out(relu(self.mix4(y)))
        return logits


def meant(maps: Tensor, mpii: Tensor) -> Tensor:
    """The maps (..., B, joints, h, w) that tell the joints as COCO means them, or, where `mpii` (B,), as MPII does."""
    joints = (maps.shape[-3] + FIRST_MPII) // 2
    theirs = torch.cat([maps[..., :FIRST_MPII, :, :], maps[..., joints:, :, :]], -3)
    return torch.where(mpii[:, None, None, None], theirs, maps[..., :joints, :, :])


def upsample(x: Tensor, scale: float) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


class Unprompted(nn.Module):
    """Crops to heat maps, whatever pose was claimed; the poses of the people nearby say who is not meant.

    Args:
        config: The shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.joints = config.joints
        self.trunk = Trunk()
        self.others4, self.others8 = (PoseEntrance(config.joints, width) for width in WIDTHS[:2])
        self.out = conv(WIDTHS[0], config.maps)

    def forward(self, image: Tensor, pose8: Tensor, pose4: Tensor) -> Tensor:
        """Heat maps; arguments and what it returns as of `Network.forward`. One's own maps are not looked at."""
        x4, x8 = self.trunk.enter(image)
        x4, x8 = x4 + self.others4(pose4[:, self.joints :]), x8 + self.others8(pose8[:, self.joints :])
        fine, _ = self.trunk.read(x4, x8)
        logits: Tensor = self.out(fine)
        return logits


class Network(nn.Module):
    """Crops and initial poses to heat maps.

    Args:
        config: The shape.

    Attributes:
        alone: Tells what it finds without the pose; `forward` does not need it.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk()
        self.pose4, self.pose8 = (PoseEntrance(2 * config.joints, width) for width in WIDTHS[:2])
        self.image_only = conv(WIDTHS[0], config.maps)
        self.head = Head(config)
        # How much a claimed joint counts by itself, in logits: the prior of a Bayesian product, learnt a map.
        self.prior = nn.Parameter(torch.full((config.maps, 1, 1), 2.0))
        self.alone = Unprompted(config)

    def context(self, image: Tensor, pose8: Tensor, pose4: Tensor) -> Context:
        """All that does not depend on how far one's own pose is believed; arguments as of `forward`."""
        x4, x8 = self.trunk.enter(image)
        fine, branches = self.trunk.read(x4 + self.pose4(pose4), x8 + self.pose8(pose8))
        return self.head.seen(fine, branches, pose8, pose4), self.image_only(fine)

    def answers(self, context: Context, pose4: Tensor, beliefs: Tensor) -> Tensor:
        """From there to heat maps, once for each belief: how much one's own pose counts.

        Args:
            context: Of `context`.
            pose4: (B, 2 J, h, w) pose maps.
            beliefs: (L, B) or (L, 1) heights of one's own maps.

        Returns:
            (L, B, maps, h, w) logits: of the joints, then of those from FIRST_MPII on as MPII means them.
        """
        seen, image_only = context
        read = self.head(seen, pose4, beliefs).unflatten(0, (len(beliefs), -1))
        own = pose4[:, : self.config.joints]
        claimed = self.prior * torch.cat([own, own[:, FIRST_MPII:]], 1)
        logits: Tensor = read + image_only + beliefs[..., None, None, None] * claimed
        return logits

    def forward(self, image: Tensor, pose8: Tensor, pose4: Tensor) -> Tensor:
        """Heat maps as logits; a softmax over space gives where each joint is.

        Args:
            image: (B, 3, H, W) RGB in [-1, 1]; H and W are multiples of 32.
            pose8: (B, 2 J, H / 8, W / 8) pose maps: this person's, then those of the people nearby.
            pose4: (B, 2 J, H / 4, W / 4) pose maps.

        Returns:
            (B, maps, H / 4, W / 4) logits, as of `answers`.
        """
        return self.answers(self.context(image, pose8, pose4), pose4, pose4.new_ones(1, 1))[0]
