"""PP-TinyPose's published weights as a starting point."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose_refine._types import AnyArray
from pose_refine.nn.network import FIRST_MPII, Network, NetworkConfig
from pose_refine.nn.trunk import STEM, Blocks, Exchange, Separable, Trunk, Unit
from pose_refine.nn.weights import TENSORS, read_config
from pose_refine.skeletons import COCO_JOINTS

# ImageNet's mean and deviation of RGB in [-1, 1]: what the published weights expect.
MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
SHARPNESS = 12.0  # of the published maps, which are Gaussians of height 1, as logits
FRESH = ("pose4.", "pose8.", "head.", "prior", "alone.others")  # parameters that PP-TinyPose does not have

Layer = tuple[Tensor, Tensor]
Kind = TypeVar("Kind", bound=nn.Module)


def read_layers(path: Path) -> Iterator[Layer]:
    """Weight and bias of every convolution of an ONNX file, in the order in which the published network has them.

    Nodes lie in any order that can run, in which branches may change places; their biases' names are numbered.

    Raises:
        ImportError: The package onnx is not installed.
        ValueError: No ONNX file.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('reading ONNX needs more packages: pip install "pose-refine[onnx]"') from error
    data = path.read_bytes()
    try:
        graph = onnx.load_from_string(data).graph
    except Exception as error:  # protobuf's errors have nothing else in common
        raise ValueError(f"no ONNX file: {error}") from error
    values = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    for node in sorted((node for node in graph.node if node.op_type == "Conv"), key=_number):
        weight, bias = (torch.tensor(values[name], dtype=torch.float32) for name in node.input[1:])
        yield weight, bias


def _number(node: Any) -> int:
    """Of a convolution, by its bias's name: Conv_12.bias, batch_norm2d_12.w_1.bias_24; 0 where there is none."""
    found = re.search(r"_(\d+)\.", node.input[-1])
    return int(found[1]) if found else 0


class Copier:
    """Copies layers into modules, one after the other, and knows in which order the channels of each tensor lie.

    An order is an array: at each place, which of the published channels lies there.

    Args:
        layers: As `read_layers` gives them.
    """

    def __init__(self, layers: Iterator[Layer]) -> None:
        self.layers = layers

    @torch.no_grad()
    def conv(self, layer: nn.Conv2d, inputs: AnyArray | None = None, scale: float = 1.0) -> None:
        """The next layer, whose inputs lie in the order `inputs`, times `scale`."""
        weight, bias = next(self.layers)
        if inputs is not None and layer.groups > 1:
            weight, bias = weight[inputs], bias[inputs]
        elif inputs is not None:
            weight = weight[:, inputs]
        layer.weight.copy_(weight * scale)
        assert layer.bias is not None  # all published ones have one
        layer.bias.copy_(bias * scale)

    def separable(self, layer: Separable, inputs: AnyArray | None = None, scale: float = 1.0) -> None:
        self.conv(layer.depthwise, inputs)
        self.conv(layer.pointwise, inputs, scale)

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

    def exchange(self, exchange: Exchange) -> None:
        """The published sum counts the first branch twice; it comes to the others as what it has become."""
        orders = [self.blocks(blocks) for blocks in children(exchange.blocks, Blocks)]
        for i, paths in enumerate(children(exchange.paths, nn.ModuleList)):
            for j, path in enumerate(paths):
                scale = 2.0 if j == 0 else 1.0
                if i == j:
                    keep(path, orders[i], scale)
                elif isinstance(path, nn.Conv2d):
                    self.conv(path, orders[j], scale)
                else:
                    self.downwards(children(path, Separable), orders[j] if j else None, scale)

    def downwards(self, layers: list[Separable], order: AnyArray | None, scale: float) -> None:
        """A path of one or more steps to a coarser branch."""
        for n, layer in enumerate(layers):
            self.separable(layer, None if n else order, scale if n == len(layers) - 1 else 1.0)

    def trunk(self, trunk: Trunk) -> None:
        self.conv(trunk.stem)
        self.separable(trunk.stem_plain)
        self.unit(trunk.stem_unit)
        shuffled = np.arange(STEM).reshape(-1, 2).T.reshape(-1)  # the published network mixes both halves
        self.separable(trunk.enter4, shuffled)
        self.separable(trunk.enter8, shuffled)
        deeper = [None, *children(trunk.deeper, Separable)]
        for layer, exchanges in zip(deeper, children(trunk.stages, nn.ModuleList), strict=True):
            if layer is not None:
                self.separable(layer)
            for exchange in children(exchanges, Exchange):
                self.exchange(exchange)
        for layer in children(trunk.down, Separable):
            self.separable(layer)


@torch.no_grad()
def keep(layer: nn.Module, order: AnyArray, scale: float) -> None:
    """Let a 1x1 convolution put channels that lie in that order back into the published one."""
    width = len(order)
    weight = torch.zeros(width, width)
    weight[order, torch.arange(width)] = scale
    layer.load_state_dict({"weight": weight[..., None, None], "bias": torch.zeros(width)})


def children(modules: nn.Module, kind: type[Kind]) -> list[Kind]:
    """The modules of that kind in a list or a sequence."""
    return [module for module in modules.children() if isinstance(module, kind)]


def load_start(network: Network, path: Path, alone: Path | None = None) -> None:
    """Copy PP-TinyPose, or a whole refiner's network, into `network`, in place.

    Args:
        network: To be trained.
        path: PP-TinyPose as an ONNX file (batch norms folded in), or a weights folder of the same shape.
        alone: Another such file, for the part that is told nothing of the pose; by default the same.

    Raises:
        ValueError: The file or folder is of another network; two are given, and the first is a folder.
    """
    if path.is_dir():
        if alone is not None:
            raise ValueError(f"{path}: a weights folder has all parts: expected nothing beside it, got {alone}")
        if read_config(path).network() != network.config:
            raise ValueError(f"{path}: expected weights of the shape {network.config}, got {read_config(path)}")
        tensors = load_file(path / TENSORS)
        own = {n.removeprefix("network."): t.float() for n, t in tensors.items() if n.startswith("network.")}
        network.load_state_dict(own)
        return
    copy_published(path, network.trunk, network.image_only, network.config)
    copy_published(alone or path, network.alone.trunk, network.alone.out, network.config)


@torch.no_grad()
def mix(network: Network, path: Path, alone: Path | None = None, *, kept: float) -> None:
    """Let what began as PP-TinyPose lie between that and what it has become, in place.

    Long training on few people forgets what the published weights learnt from many: between both a network finds more
    than either (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022; tests/benchmarks/experiments.md).

    Args:
        network: As it has become.
        path: As of `load_start`,
        alone: likewise; errors too.
        kept: Share in [0, 1] of what it has become.
    """
    published = Network(network.config)
    load_start(published, path, alone)
    for (name, own), theirs in zip(network.named_parameters(), published.parameters(), strict=True):
        if not name.startswith(FRESH):
            own.copy_(theirs.lerp(own, kept))


def copy_published(path: Path, trunk: Trunk, out: nn.Conv2d, config: NetworkConfig) -> None:
    """Copy PP-TinyPose into a trunk and what reads it; errors as of `load_start`."""
    copier = Copier(read_layers(path))
    try:
        copier.trunk(trunk)
        weight, bias = next(copier.layers)
    except (RuntimeError, IndexError, KeyError, ValueError, StopIteration) as error:
        raise ValueError(f"{path}: expected PP-TinyPose with batch norms folded in: {error}") from error
    normalize(trunk.stem)
    begin(out, config, weight, bias)


@torch.no_grad()
def begin(out: nn.Conv2d, config: NetworkConfig, weight: Tensor, bias: Tensor) -> None:
    """Let a layer's maps, and those of MPII's limbs, begin as the published ones (17, 40, 1, 1) and (17,)."""
    published = len(COCO_JOINTS)
    known = [*range(published), *range(config.joints, config.joints + published - FIRST_MPII)]
    which = [*range(published), *range(FIRST_MPII, published)]
    state = {name: torch.zeros_like(value) for name, value in out.state_dict().items()}
    state["weight"][known], state["bias"][known] = SHARPNESS * weight[which], SHARPNESS * bias[which]
    out.load_state_dict(state)


@torch.no_grad()
def normalize(stem: nn.Conv2d) -> None:
    """Let the first layer take RGB in [-1, 1] instead of ImageNet's normalisation."""
    weight = stem.weight / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    stem.weight.copy_(weight)
    assert stem.bias is not None
    stem.bias.sub_((weight * torch.tensor(MEAN).view(1, 3, 1, 1)).sum((1, 2, 3)))
