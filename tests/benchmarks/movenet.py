"""MoveNet SinglePose as published (Google, Apache-2.0), to estimate again for comparison, and as a measure of speed."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

MOVENET_JOINTS = 17  # COCO-17
BLOCK_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
WIDTHS = {
    "lightning": (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320),
    "thunder": (56, 32, 40, 40, 56, 56, 56, 112, 112, 112, 112, 168, 168, 168, 280, 280, 280, 560),
}
LAST_WIDTH = 1280
PYRAMID = (64, 64, 32, 24)  # widths of the laterals at strides 32, 16, 8, 4
STRIDE4_BLOCK, STRIDE8_BLOCK, STRIDE16_BLOCK = 2, 5, 9  # where the pyramid taps the trunk


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


class Trunk(nn.Module):
    """What MoveNet's heads read: MobileNetV2 and its pyramid, and the heat-map head.

    Args:
        name: "lightning" (2.2 M parameters) or "thunder" (6.1 M).
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        widths = WIDTHS[name]
        self.stem = conv(3, widths[0], 3, stride=2)
        self.blocks = nn.ModuleList(
            Block(widths[i], widths[i + 1], stride, expand=i > 0) for i, stride in enumerate(BLOCK_STRIDES)
        )
        self.last = conv(widths[-1], LAST_WIDTH)
        x16, x8, x4 = (widths[i + 1] for i in (STRIDE16_BLOCK, STRIDE8_BLOCK, STRIDE4_BLOCK))
        self.pyramid = Pyramid((LAST_WIDTH, x16, x8, x4))
        self.heatmap = Head(MOVENET_JOINTS)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [-1, 1] to the pyramid's finest level (B, 24, H / 4, W / 4)."""
        x, taps = relu6(self.stem(image)), {}
        for i, block in enumerate(self.blocks):
            x = taps[i] = block(x)
        fine, _ = self.pyramid(relu6(self.last(x)), taps[STRIDE16_BLOCK], taps[STRIDE8_BLOCK], taps[STRIDE4_BLOCK])
        return fine


def read_tensors(path: Path) -> dict[str, Tensor]:
    """MoveNet's tensors under the names that they have here, in float32."""
    tensors = load_file(path)
    return {n.replace("fpn.", "pyramid.").replace("head.", ""): t.float() for n, t in tensors.items()}


class MoveNet(nn.Module):
    """MoveNet SinglePose as published: what re-running an estimator on the box gives.

    Args:
        trunk: "lightning" or "thunder".
        path: Its tensors.
    """

    def __init__(self, trunk: str, path: Path) -> None:
        super().__init__()
        tensors = read_tensors(path)
        self.trunk = Trunk(trunk)
        self.trunk.load_state_dict({n: tensors[n] for n in self.trunk.state_dict()})
        self.center, self.regress, self.offset = Head(1), Head(2 * MOVENET_JOINTS), Head(2 * MOVENET_JOINTS)
        for name in ("center", "regress", "offset"):
            head = {n.removeprefix(f"{name}."): t for n, t in tensors.items() if n.startswith(f"{name}.")}
            getattr(self, name).load_state_dict(head)

    @torch.inference_mode()
    def forward(self, image: Tensor) -> Tensor:
        """One person a crop.

        Args:
            image: (B, 3, S, S) RGB in [-1, 1], S a multiple of 32 (published: 192 lightning, 256 thunder).

        Returns:
            (B, 17, 3): x, y in crop pixels (a pixel's centre is an integer), score.
        """
        fine = self.trunk(image)
        cells = fine.shape[-1]
        grid = torch.arange(cells, dtype=torch.float32)
        y, x = torch.meshgrid(grid, grid, indexing="ij")
        middle = torch.sqrt((x - cells / 2) ** 2 + (y - cells / 2) ** 2)
        best = (torch.sigmoid(self.center(fine)) / (middle + 1.8)).flatten(1).argmax(1)
        rows = torch.arange(len(image))
        guess = self.regress(fine).flatten(2)[rows, :, best].view(-1, MOVENET_JOINTS, 2)
        guess = guess + torch.stack([best // cells, best % cells], -1)[:, None]
        heat = torch.sigmoid(self.trunk.heatmap(fine))
        distance = torch.sqrt((y - guess[..., 0, None, None]) ** 2 + (x - guess[..., 1, None, None]) ** 2)
        peak = (heat / (distance + 1.8)).flatten(2).argmax(-1)
        offset = self.offset(fine).view(len(image), MOVENET_JOINTS, 2, -1)
        offset = offset.gather(3, peak[:, :, None, None].expand(-1, -1, 2, 1))[..., 0]
        place = torch.stack([peak % cells + offset[..., 1], peak // cells + offset[..., 0]], -1)
        return torch.cat([place * (image.shape[-1] / cells) - 0.5, heat.flatten(2).gather(2, peak[..., None])], -1)
