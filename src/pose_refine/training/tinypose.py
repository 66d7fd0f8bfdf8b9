"""PP-TinyPose's published weights as a starting point."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose_refine._types import AnyArray
from pose_refine.network import COCO_JOINTS, LIMB_JOINTS, Network
from pose_refine.trunk import WIDTHS, Blocks, Exchange, Separable, Trunk, Unit
from pose_refine.weights import TENSORS, read_config

# ImageNet's mean and deviation of RGB in [-1, 1]: what the published weights expect.
MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
SHARPNESS = 12.0  # of the published maps, which are Gaussians of height 1, as logits

Layer = tuple[Tensor, Tensor]


def read_layers(path: Path) -> Iterator[Layer]:
    """Weight and bias of every convolution of an ONNX file, in the order in which they run.

    Raises:
        ImportError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('reading ONNX needs more packages: pip install "pose-refine[onnx]"') from error
    graph = onnx.load(path).graph
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (torch.tensor(values[name], dtype=torch.float32) for name in node.input[1:])
            yield weight, bias


class _Copier:
    """Copies layers into modules, one after the other, and knows in which order the channels of each tensor lie.

    An order is an array: at each place, which of the published channels lies there.
    """

    def __init__(self, layers: Iterator[Layer]) -> None:
        self.layers = layers

    @torch.no_grad()
    def conv(
        self,
        layer: nn.Module,
        inputs: AnyArray | None = None,
        outputs: AnyArray | None = None,
        scale: float = 1.0,
    ) -> None:
        weight, bias = next(self.layers)
        if inputs is not None and weight.shape[1] > 1:
            weight = weight[:, inputs]
        elif inputs is not None:  # depthwise
            weight, bias = weight[inputs], bias[inputs]
        if outputs is not None:
            weight, bias = weight[outputs], bias[outputs]
        layer.weight.copy_(weight * scale)
        layer.bias.copy_(bias * scale)

    def separable(
        self, layer: Separable, inputs: AnyArray | None = None, outputs: AnyArray | None = None, scale: float = 1.0
    ) -> None:
        self.conv(layer.depthwise, inputs)
        self.conv(layer.pointwise, inputs, outputs, scale)

    def unit(self, unit: Unit, inputs: AnyArray | None = None) -> None:
        self.conv(unit.expand, inputs)
        self.separable(unit.separable)

    def blocks(self, blocks: Blocks) -> AnyArray:
        """Two shuffle blocks, whose input lies in the published order; returns the order of their output."""
        quarter = blocks.quarter
        half = 2 * quarter
        self.unit(blocks.first)
        low, high = np.arange(quarter), np.arange(quarter, half)
        self.unit(blocks.second, np.concatenate([2 * high, 2 * high + 1]) - half)
        return np.concatenate([4 * low, 4 * low + 2, 2 * np.arange(half) + 1])

    @torch.no_grad()
    def exchange(self, exchange: Exchange) -> None:
        """The published sum counts the first branch twice; what a branch keeps of itself is copied in its order."""
        orders = [self.blocks(blocks) for blocks in exchange.blocks]
        plain = np.arange(WIDTHS[0])  # how the finest branch lies by then
        count = len(orders)
        for i, paths in enumerate(exchange.paths):
            for j in range(count):
                scale = 2.0 if j == 0 else 1.0
                if i == j:
                    keep = torch.zeros(WIDTHS[i], WIDTHS[i])
                    keep[orders[i], torch.arange(WIDTHS[i])] = scale
                    paths[j].weight.copy_(keep[..., None, None])
                    paths[j].bias.zero_()
                elif j > i:
                    self.conv(paths[j], orders[j], scale=scale)
                else:
                    *before, last = [layer for layer in paths[j] if isinstance(layer, Separable)]
                    order = orders[j] if j else plain
                    for layer in before:
                        self.separable(layer, order)
                        order = np.arange(WIDTHS[j])
                    self.separable(last, order, scale=scale)

    def trunk(self, trunk: Trunk) -> None:
        self.conv(trunk.stem)
        self.separable(trunk.stem_plain)
        self.unit(trunk.stem_unit)
        half = len(trunk.stem.weight) // 2
        shuffled = np.arange(2 * half).reshape(half, 2).T.reshape(-1)  # where each channel of (plain, unit) goes
        self.separable(trunk.enter4, shuffled)
        self.separable(trunk.enter8, shuffled)
        for stage, exchanges in enumerate(trunk.stages):
            if stage:
                self.separable(trunk.deeper[stage - 1])
            for exchange in exchanges:
                self.exchange(exchange)
        for layer in trunk.down:
            self.separable(layer)


def load_start(network: Network, path: Path) -> None:
    """Copy PP-TinyPose, or a whole refiner's network, into `network`, in place.

    Args:
        network: To be trained.
        path: PP-TinyPose as an ONNX file (batch norms folded in), or a weights folder of the same shape.

    Raises:
        ValueError: The file or folder is of another network.
    """
    if path.is_dir():
        if read_config(path).network() != network.config:
            raise ValueError(f"{path}: expected weights of the shape {network.config}, got {read_config(path)}")
        tensors = load_file(path / TENSORS)
        own = {n.removeprefix("network."): t.float() for n, t in tensors.items() if n.startswith("network.")}
        network.load_state_dict(own)
        return
    copier = _Copier(read_layers(path))
    try:
        copier.trunk(network.trunk)
        weight, bias = next(copier.layers)
    except (RuntimeError, IndexError, StopIteration) as error:
        raise ValueError(f"{path}: expected PP-TinyPose with batch norms folded in: {error}") from error
    normalize(network.trunk.stem)
    with torch.no_grad():
        layer = network.image_only
        layer.weight.zero_()
        layer.bias.zero_()  # type: ignore[union-attr]
        for first, joints in ((0, range(COCO_JOINTS)), (network.config.joints, range(LIMB_JOINTS, COCO_JOINTS))):
            rows = slice(first, first + len(joints))
            layer.weight[rows] = SHARPNESS * weight[list(joints)]
            layer.bias[rows] = SHARPNESS * bias[list(joints)]  # type: ignore[index]


@torch.no_grad()
def normalize(stem: nn.Conv2d) -> None:
    """Let the first layer take RGB in [-1, 1] instead of ImageNet's normalisation."""
    weight = stem.weight / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    stem.weight.copy_(weight)
    stem.bias.sub_((weight * torch.tensor(MEAN).view(1, 3, 1, 1)).sum((1, 2, 3)))  # type: ignore[union-attr]
