"""The network, and nothing else: crops and pose maps in, one heat map a joint out.

The trunk, the feature pyramid and the first heat-map branch are MoveNet's (MobileNetV2 + FPN; Google, Apache-2.0),
so that training starts from a network that already finds people. What this project adds are the paths by which the
initial pose enters (PoseRefiner, Fieraru et al. 2018, feeds the pose as input channels) and a second, wider branch.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOVENET_JOINTS = 17  # COCO-17, the joints that MoveNet's own branch knows
BLOCK_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
WIDTHS = {
    "lightning": (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320),
    "thunder": (56, 32, 40, 40, 56, 56, 56, 112, 112, 112, 112, 168, 168, 168, 280, 280, 280, 560),
}
LAST_WIDTH = 1280
PYRAMID = (64, 64, 32, 24)  # widths of the laterals at strides 32, 16, 8, 4
STRIDE4_BLOCK, STRIDE8_BLOCK, STRIDE16_BLOCK = 2, 5, 9  # where the pyramid taps the trunk

Context = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        trunk: Which MoveNet: "lightning" (2.2 M parameters) or "thunder" (6.1 M).
        joints: Number of joints, in the order of `skeletons.NETWORK`.
        width: Channels of the branch that reads the pose.
        size: Height and width at which a crop is looked at, pixels, multiples of 32.
    """

    trunk: str = "thunder"
    joints: int = 19
    width: int = 64
    size: tuple[int, int] = (256, 192)

    def __post_init__(self) -> None:
        if self.trunk not in WIDTHS:
            raise ValueError(f"trunk must be one of {sorted(WIDTHS)}, got {self.trunk!r}")
        if self.joints < MOVENET_JOINTS or self.width < 1:
            raise ValueError(f"need joints >= {MOVENET_JOINTS} and width >= 1, got {self.joints} and {self.width}")
        if len(self.size) != 2 or any(side < 32 or side % 32 for side in self.size):
            raise ValueError(f"size must be two multiples of 32, got {self.size}")


def largest_layer(config: NetworkConfig) -> int:
    """Numbers of one person in the largest layer's output: the wide one of block 1, at half the size of the crop."""
    return 6 * WIDTHS[config.trunk][1] * (config.size[0] // 2) * (config.size[1] // 2)


class Halving(nn.Conv2d):
    """A 3x3 convolution of stride 2 with TensorFlow's SAME padding of an even size: right and bottom only.

    On CPUs it is a 4x4 kernel whose first row and column are 0, padded on all sides, as torch's convolutions can be: a
    padded copy of the input takes longer (tests/benchmarks/experiments.md). ONNX Runtime pads by itself.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.onnx.is_in_onnx_export():
            return super().forward(F.pad(x, (0, 1, 0, 1), value=0.0))  # value: else ONNX Runtime does not merge it
        return F.conv2d(x, F.pad(self.weight, (1, 0, 1, 0)), self.bias, stride=2, padding=1, groups=self.groups)


def conv(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1, and halves it at stride 2."""
    if stride == 2:
        return Halving(inputs, outputs, kernel, stride, groups=groups, bias=bias)
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


def relu6(x: Tensor) -> Tensor:
    """In place: it follows convolutions, of whose results nobody else has need."""
    return F.relu6(x, inplace=True)


def relu(x: Tensor) -> Tensor:
    """In place, as `relu6`."""
    return F.relu(x, inplace=True)


class Block(nn.Module):
    """MobileNetV2's inverted residual (Sandler et al. 2018), batch norms folded in."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, expand: bool) -> None:
        super().__init__()
        hidden = inputs * 6 if expand else inputs
        self.expand = conv(inputs, hidden) if expand else None
        self.depthwise = conv(hidden, hidden, 3, stride=stride, groups=hidden)
        self.project = conv(hidden, outputs)
        self.residual = expand and stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else relu6(self.expand(x))
        out: Tensor = self.project(relu6(self.depthwise(y)))
        return out.add_(x) if self.residual else out


class Pyramid(nn.Module):
    """MoveNet's feature pyramid from stride 32 down to stride 4."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        p32, p16, p8, p4 = PYRAMID
        self.lateral32, self.lateral16 = conv(widths[0], p32), conv(widths[1], p16)
        self.lateral8, self.lateral4 = conv(widths[2], p8), conv(widths[3], p4)
        self.depthwise16, self.pointwise16 = conv(p16, p16, 3, groups=p16, bias=False), conv(p16, p8)
        self.depthwise8, self.pointwise8 = conv(p8, p8, 3, groups=p8, bias=False), conv(p8, p4)
        self.depthwise4, self.pointwise4 = conv(p4, p4, 3, groups=p4, bias=False), conv(p4, p4)

    def forward(self, x32: Tensor, x16: Tensor, x8: Tensor, x4: Tensor) -> tuple[Tensor, Tensor]:
        """The finest level (B, 24, h, w) at stride 4, and the coarsest sum (B, 64, h / 4, w / 4) at stride 16."""
        coarse = y = upsample(self.lateral32(x32)) + self.lateral16(x16)
        y = relu(self.pointwise16(self.depthwise16(y)))
        y = relu(self.pointwise8(self.depthwise8(upsample(y) + self.lateral8(x8))))
        y = relu(self.pointwise4(self.depthwise4(upsample(y) + self.lateral4(x4))))
        return y, coarse


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Head(nn.Module):
    """One of MoveNet's heads on the stride-4 map; the network has its heat-map head."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.depthwise = conv(PYRAMID[3], PYRAMID[3], 3, groups=PYRAMID[3], bias=False)
        self.pointwise = conv(PYRAMID[3], 96)
        self.out = conv(96, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(relu(self.pointwise(self.depthwise(x))))
        return y


class PoseInput(nn.Module):
    """The initial pose, and those of the people nearby, enter the trunk at stride 8. Zero at first: training starts
    as plain MoveNet."""

    def __init__(self, joints: int, width: int, outputs: int) -> None:
        super().__init__()
        self.read = conv(2 * joints, width, 3)
        self.write = conv(width, outputs)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # type: ignore[arg-type]

    def forward(self, pose: Tensor) -> Tensor:
        y: Tensor = self.write(relu(self.read(pose)))
        return y


class PoseBranch(nn.Module):
    """A wider heat-map branch that sees the initial pose beside the image's features. Zero at first."""

    def __init__(self, x8_width: int, joints: int, width: int) -> None:
        super().__init__()
        self.joints = joints
        self.merge8 = conv(x8_width + PYRAMID[0], width)
        self.merge4 = conv(width + PYRAMID[3] + 2 * joints, width, 3)
        self.mix = conv(width, width, 3)
        self.out = conv(width, joints)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x8: Tensor, coarse: Tensor, x4: Tensor, pose4: Tensor, beliefs: Tensor) -> Tensor:
        """One answer for each of L beliefs, (L, B) or (L, 1): (L * B, joints, h, w).

        merge4 is linear in its inputs: a pose believed by half adds half of what it would, and is not convolved twice.
        """
        y = relu(self.merge8(torch.cat([x8, upsample(coarse)], 1)))
        own, others = pose4[:, : self.joints], pose4[:, self.joints :]
        first = self.merge4.in_channels - 2 * self.joints
        claim, weight = self.merge4.weight[:, first : first + self.joints], self.merge4.weight
        rest = torch.cat([weight[:, :first], weight[:, first + self.joints :]], 1)
        seen = F.conv2d(torch.cat([upsample(y), x4, others], 1), rest, self.merge4.bias, padding=1)
        claimed = F.conv2d(own, claim, padding=1)
        y = relu(torch.cat([seen + belief.view(-1, 1, 1, 1).to(seen.dtype) * claimed for belief in beliefs]))
        logits: Tensor = self.out(relu(self.mix(y)))
        return logits


class Network(nn.Module):
    """Crops and initial poses to heat maps.

    Args:
        config: The shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths = WIDTHS[config.trunk]
        self.stem = conv(3, widths[0], 3, stride=2)
        self.blocks = nn.ModuleList(
            Block(widths[i], widths[i + 1], stride, expand=i > 0) for i, stride in enumerate(BLOCK_STRIDES)
        )
        self.last = conv(widths[-1], LAST_WIDTH)
        x16, x8, x4 = (widths[i + 1] for i in (STRIDE16_BLOCK, STRIDE8_BLOCK, STRIDE4_BLOCK))
        self.pyramid = Pyramid((LAST_WIDTH, x16, x8, x4))
        self.heatmap = Head(MOVENET_JOINTS)
        self.pose_input = PoseInput(config.joints, config.width, x8)
        self.pose_branch = PoseBranch(x8, config.joints, config.width)
        # How much a claimed joint counts by itself, in logits: the prior of a Bayesian product, learnt a joint.
        self.prior = nn.Parameter(torch.full((config.joints, 1, 1), 3.0))

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The image alone, up to where the pose enters: strides 4 and 8."""
        x = relu6(self.stem(image))
        for block in self.blocks[: STRIDE4_BLOCK + 1]:
            x = block(x)
        x4 = x
        for block in self.blocks[STRIDE4_BLOCK + 1 : STRIDE8_BLOCK + 1]:
            x = block(x)
        return x4, x

    def deeper(self, x4: Tensor, x8: Tensor) -> tuple[Tensor, Tensor]:
        """From the features to the pyramid's finest level (stride 4) and its coarsest sum (stride 16)."""
        x = x8
        for i, block in enumerate(self.blocks[STRIDE8_BLOCK + 1 :], STRIDE8_BLOCK + 1):
            x = block(x)
            if i == STRIDE16_BLOCK:
                x16 = x
        fine, coarse = self.pyramid(relu6(self.last(x)), x16, x8, x4)
        return fine, coarse

    def context(self, x4: Tensor, x8: Tensor, pose8: Tensor) -> Context:
        """From the features and the coarse pose maps to all that does not depend on the fine ones."""
        x8 = x8 + self.pose_input(pose8)
        fine, coarse = self.deeper(x4, x8)
        image_only = F.pad(self.heatmap(fine), (0, 0, 0, 0, 0, self.config.joints - MOVENET_JOINTS))
        return x8, coarse, fine, image_only

    def answers(self, context: Context, pose4: Tensor, beliefs: Tensor) -> Tensor:
        """From there and the fine pose maps to heat maps, once for each belief: how much one's own pose counts.

        Args:
            context: Of `context`.
            pose4: (B, 2 J, h, w) pose maps.
            beliefs: (L, B) or (L, 1) heights of one's own maps.

        Returns:
            (L, B, J, h, w) logits.
        """
        *features, image_only = context
        read = self.pose_branch(*features, pose4, beliefs).unflatten(0, (len(beliefs), -1))
        claimed = self.prior * pose4[:, : self.config.joints]
        logits: Tensor = read + image_only + beliefs[..., None, None, None] * claimed
        return logits

    def forward(self, image: Tensor, pose8: Tensor, pose4: Tensor) -> Tensor:
        """Heat maps as logits; a softmax over space gives where each joint is.

        Args:
            image: (B, 3, H, W) RGB in [-1, 1]; H and W are multiples of 32.
            pose8: (B, 2 J, H / 8, W / 8) pose maps: this person's, then those of the people nearby.
            pose4: (B, 2 J, H / 4, W / 4) pose maps.

        Returns:
            (B, J, H / 4, W / 4) logits.
        """
        return self.answers(self.context(*self.features(image), pose8), pose4, pose4.new_ones(1, 1))[0]
