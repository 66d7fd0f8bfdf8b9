"""Weights that are quickly made, and damaged."""

import torch

from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig


def tiny_model(seed=0, **shape):
    """An untrained model; of the network's shape, what is not given is small."""
    torch.manual_seed(seed)
    return Model(NetworkConfig(**{"width": 8, "coarse": 8, **shape})).eval()


@torch.no_grad()
def lively(network):
    """With weights by which what is seen is as strong in the last layer as in the first, and poses enter.

    torch's own shrink it from layer to layer, as if there were batch norms; and those of the layers that poses and the
    head's answer go through are zero before training.
    """
    for trunk in (network.trunk, network.alone.trunk):
        for parameter in trunk.parameters():
            if parameter.ndim == 4:
                parameter.mul_(3**0.5)
    entrances = [network.pose4, network.pose8, network.alone.others4, network.alone.others8]
    for layer in [network.head.out, network.image_only, network.alone.out, *(each.write for each in entrances)]:
        torch.nn.init.normal_(layer.weight, std=0.5)
    return network


def flip_a_bit(data):
    return data[:-1] + bytes([data[-1] ^ 1])
