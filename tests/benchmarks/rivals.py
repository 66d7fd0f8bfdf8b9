"""Networks that ours is timed against, with random weights: what they compute does not depend on them."""

import torch.nn.functional as F
from movenet import MOVENET_JOINTS, Head, Trunk
from torch import Tensor, nn


class MoveNetLightning(nn.Module):
    """MoveNet SinglePose Lightning's layers (see movenet.py), all four heads, without its decoding."""

    size = (192, 192)

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk("lightning")
        self.others = nn.ModuleList(Head(n) for n in (1, 2 * MOVENET_JOINTS, 2 * MOVENET_JOINTS))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        fine = self.trunk(image)
        return self.trunk.heatmap(fine), *(head(fine) for head in self.others)


class Bottleneck(nn.Module):
    """ResNet's (He et al. 2016), batch norms folded in."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(inputs, width, 1), nn.Conv2d(width, 4 * width, 1)
        self.middle = nn.Conv2d(width, width, 3, stride, 1)
        same = stride == 1 and inputs == 4 * width
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(F.relu(self.middle(F.relu(self.reduce(x)))))
        return F.relu(y + self.skip(x))


class PoseFix(nn.Module):
    """PoseFix's best network (Moon et al. 2019): ResNet-152 on 384 x 288, the pose as heat maps beside the image's
    first features, three deconvolutions of 256 channels; 69 M parameters."""

    size = (384, 288)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3)
        self.pose = nn.Conv2d(MOVENET_JOINTS, 64, 1)
        blocks, inputs = [], 64
        for i, (count, width) in enumerate(((3, 64), (8, 128), (36, 256), (3, 512))):
            for n in range(count):
                blocks.append(Bottleneck(inputs, width, 2 if n == 0 and i else 1))
                inputs = 4 * width
        self.blocks = nn.Sequential(*blocks)
        deconvolutions = (nn.ConvTranspose2d(n, 256, 4, 2, 1) for n in (2048, 256, 256))
        self.up = nn.Sequential(*(layer for d in deconvolutions for layer in (d, nn.ReLU())))
        self.out = nn.Conv2d(256, MOVENET_JOINTS, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(image)), 3, 2, 1)
        pose = image.new_zeros(len(image), MOVENET_JOINTS, *x.shape[2:])
        heat: Tensor = self.out(self.up(self.blocks(x + self.pose(pose))))
        return heat


def vitpose() -> nn.Module:
    """ViTPose-B (Xu et al. 2022, 90 M parameters) as transformers builds it, 256 x 192.

    Raises:
        ImportError: transformers is not installed.
    """
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    backbone = VitPoseBackboneConfig(out_indices=[12])
    model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, use_simple_decoder=False)).eval()
    model.size = (256, 192)
    return model
