"""MoveNet's published weights as a starting point, and MoveNet itself, to re-estimate for comparison."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose_refine.network import MOVENET_JOINTS, Head, Network, NetworkConfig
from pose_refine.weights import TENSORS, read_config

_TRUNK = ("stem.", "blocks.", "last.")
_COPIED = (*_TRUNK, "pyramid.", "heatmap.")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """MoveNet's tensors under the names that they have here, in float32."""
    tensors = load_file(path)
    return {n.replace("fpn.", "pyramid.").replace("head.", ""): t.float() for n, t in tensors.items()}


def load_trunk(network: Network, path: Path) -> None:
    """Copy MoveNet's trunk, pyramid and heat-map head, or a whole refiner's network, into `network`, in place.

    Args:
        network: A network whose config names the same trunk.
        path: safetensors file with MoveNet's tensors: stem, blocks, last, fpn.*, head.heatmap.*; or a weights folder.

    Raises:
        ValueError: A tensor is missing or has another shape: the file is of another trunk.
    """
    wanted = network.state_dict()
    if path.is_dir():
        shape, here = read_config(path), network.config
        if (shape.trunk, shape.width, shape.size) != (here.trunk, here.width, here.size):
            raise ValueError(f"{path} does not hold the {here.trunk} trunk of width {here.width} and size {here.size}: "
                             f"it has {shape.trunk}, {shape.width} and {shape.size}")  # fmt: skip
        tensors = load_file(path / TENSORS)
        tensors = {n.removeprefix("network."): t.float() for n, t in tensors.items()}
    else:
        tensors = read_tensors(path)
    expected = sorted(wanted if path.is_dir() else (n for n in wanted if n.startswith(_COPIED)))
    wrong = [n for n in expected if n not in tensors or tensors[n].shape != wanted[n].shape]
    if wrong:
        raise ValueError(f"{path} does not hold the {network.config.trunk} trunk; first mismatch: {wrong[0]}")
    with torch.no_grad():
        for name in expected:
            wanted[name].copy_(tensors[name])


class MoveNet(nn.Module):
    """MoveNet SinglePose as published: what re-running an estimator on the box gives.

    Args:
        trunk: "lightning" or "thunder".
        path: Its tensors.
    """

    def __init__(self, trunk: str, path: Path) -> None:
        super().__init__()
        network = Network(NetworkConfig(trunk))
        load_trunk(network, path)
        self.trunk = network
        self.center, self.regress, self.offset = Head(1), Head(2 * MOVENET_JOINTS), Head(2 * MOVENET_JOINTS)
        tensors = read_tensors(path)
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
        fine, _ = self.trunk.deeper(*self.trunk.features(image))
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
