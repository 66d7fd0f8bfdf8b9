"""The part of the network that reads the image: Lite-HRNet without attention, as PP-TinyPose has it.

Four branches at strides 4, 8, 16 and 32 exchange what they see (HRNet, Sun et al. 2019; Lite-HRNet, Yu et al. 2021;
PP-TinyPose, PaddleDetection, Apache-2.0). The published network mixes the halves of its shuffle blocks (ShuffleNet V2,
Ma et al. 2018) by moving channels about, which is copying. Here no channel moves: the convolutions that follow take
them in the order in which they lie. `training.tinypose` translates the published weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM = 32  # channels at stride 4 before the branches part
WIDTHS = (40, 80, 160, 320)  # of the branches at strides 4, 8, 16 and 32
STAGES = ((2, 2), (3, 4), (4, 2))  # how many branches, how many exchanges


def conv(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1, and halves it at stride 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)


def relu(x: Tensor) -> Tensor:
    """In place: it follows convolutions and sums, of whose results nobody else has need."""
    return F.relu(x, inplace=True)


class Separable(nn.Module):
    """A depthwise 3x3 convolution, then a 1x1."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = conv(inputs, inputs, 3, stride=stride, groups=inputs)
        self.pointwise = conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class Unit(nn.Module):
    """What a shuffle block does to half of its channels."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.expand = conv(inputs, hidden)
        self.separable = Separable(hidden, outputs, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.separable(relu(self.expand(x))))


class Blocks(nn.Module):
    """Two shuffle blocks of stride 1.

    Channels lie as (a quarter that neither block changes, one that the second does, a half that the first does).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.quarter, half = width // 4, width // 2
        self.first, self.second = Unit(half, half, half), Unit(half, half, half)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed, half = torch.split(x, [self.quarter, self.quarter, 2 * self.quarter], 1)
        once_kept, once_changed = torch.chunk(self.first(half), 2, 1)
        twice = self.second(torch.cat([changed, once_changed], 1))
        return torch.cat([kept, once_kept, twice], 1)


class Exchange(nn.Module):
    """Two blocks in each branch, then each branch gets what all others see, brought to its size."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Blocks(WIDTHS[i]) for i in range(branches))
        self.paths = nn.ModuleList(nn.ModuleList(_path(j, i) for j in range(branches)) for i in range(branches))

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [blocks(x) for blocks, x in zip(self.blocks, branches, strict=True)]
        finest = self._into(0, branches)  # what the others get of the finest branch is what it has become, as published
        branches = [finest, *branches[1:]]
        return [F.relu(finest), *(relu(self._into(i, branches)) for i in range(1, len(branches)))]

    def _into(self, i: int, branches: list[Tensor]) -> Tensor:
        """What branch i becomes."""
        parts: list[Tensor] = [path(x) for path, x in zip(self.paths[i].children(), branches, strict=True)]
        total = parts[i]
        for j, part in enumerate(parts):
            if j != i:
                total = total + (F.interpolate(part, scale_factor=2.0 ** (j - i)) if j > i else part)
        return total


def _path(source: int, target: int) -> nn.Module:
    """From one branch to another; upsampling comes after, where there are fewer pixels to convolve before."""
    if source >= target:
        return conv(WIDTHS[source], WIDTHS[target])
    width, steps = WIDTHS[source], target - source
    layers: list[nn.Module] = []
    for _ in range(steps - 1):
        layers += [Separable(width, width, stride=2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, Separable(width, WIDTHS[target], stride=2))


class Trunk(nn.Module):
    """Images to features; `enter` and `read` are apart so that something can be added between them."""

    def __init__(self) -> None:
        super().__init__()
        half = STEM // 2
        self.stem = nn.Conv2d(3, STEM, 3, 2)
        self.stem_plain, self.stem_unit = Separable(half, half, stride=2), Unit(half, STEM, half, stride=2)
        self.enter4, self.enter8 = Separable(STEM, WIDTHS[0]), Separable(STEM, WIDTHS[1], stride=2)
        self.stages = nn.ModuleList(
            nn.ModuleList(Exchange(branches) for _ in range(count)) for branches, count in STAGES
        )
        self.deeper = nn.ModuleList(Separable(WIDTHS[i], WIDTHS[i + 1], stride=2) for i in (1, 2))
        self.down = nn.ModuleList(  # from the coarsest branch to the finest
            Separable(WIDTHS[i], WIDTHS[max(i - 1, 0)]) for i in (3, 2, 1, 0)
        )

    def enter(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The first layers: image (B, 3, H, W) to strides 4 (B, 40, H / 4, W / 4) and 8 (B, 80, H / 8, W / 8)."""
        # Cells count from their corner in the published network, from their middle here: two pixels.
        plain, unit = relu(self.stem(F.pad(image, (-1, 2, -1, 2)))).chunk(2, 1)
        x = torch.cat([relu(self.stem_plain(plain)), self.stem_unit(unit)], 1)
        return relu(self.enter4(x)), relu(self.enter8(x))

    def read(self, x4: Tensor, x8: Tensor) -> tuple[Tensor, list[Tensor]]:
        """All that follows.

        Returns:
            The finest features (B, 40, H / 4, W / 4), to which all branches add; and the branches themselves, at
            strides 4, 8, 16 and 32.
        """
        branches = [x4, x8]
        for stage, exchanges in enumerate(self.stages):
            if stage:
                branches.append(relu(self.deeper[stage - 1](branches[-1])))
            for exchange in exchanges.children():
                branches = exchange(branches)
        y = relu(self.down[0](branches[3]))
        for layer, branch in zip(list(self.down)[1:], reversed(branches[:3]), strict=True):
            y = branch + F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=True)
            y = relu(layer(y))
        return y, branches
