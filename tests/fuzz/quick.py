"""A refiner whose network answers at once: what is fuzzed is all that lies around it."""

from functools import partial

import numpy as np
import torch
from fakes.weights import tiny_model

from pose_refine import Refiner
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.nn.onnx_model import OnnxModel, to_onnx
from pose_refine.nn.predictor import Predictor
from pose_refine.nn.weights import save


class Quick(Model):
    """Moves what was claimed by as much as the crop is bright; joints that are missing go around the middle."""

    def forward(self, crops, prompt, dtype=torch.float32):
        bright = crops.float().mean((1, 2, 3))[:, None]
        joint = torch.arange(prompt.initial.shape[1], dtype=torch.float32)
        around = torch.stack([96 + 4 * joint.cos(), 128 + 4 * joint.sin()], -1)
        claimed = torch.where(prompt.initial.isnan(), around, prompt.initial)
        found = claimed + (bright / 64)[..., None]
        return found, torch.sigmoid(bright / 64 - joint / 19), found


def quick_refiner():
    """One that needs no weights and hardly any time."""
    torch.manual_seed(0)
    return Refiner(Predictor(lambda: Quick(NetworkConfig(width=1, coarse=1, size=(32, 32))).eval(), device="cpu"))


def tiny_refiner():
    """One with a true network, untrained and as small as can be."""
    return Refiner(Predictor(partial(tiny_model, width=1, coarse=1, size=(32, 32)), device="cpu"))


def exported_refiner(folder):
    """The same, exported, by ONNX Runtime; `folder` is for its weights."""
    model = tiny_model(width=1, coarse=1, size=(32, 32))
    data = to_onnx(model, save(model, "tiny", folder))
    return Refiner(Predictor(partial(OnnxModel, data, torch.device("cpu")), device="cpu"))


def picture(height, width, seed=0):
    """Noise, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
