"""Weights that are quickly made, and damaged."""

import torch

from pose_refine.model import Model
from pose_refine.network import NetworkConfig


def tiny_model(seed=0):
    torch.manual_seed(seed)
    return Model(NetworkConfig("lightning", 19, 8)).eval()


def flip_a_bit(data):
    return data[:-1] + bytes([data[-1] ^ 1])
