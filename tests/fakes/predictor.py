"""A predictor without a network."""

import pytest
import torch

from pose_refine.nn.predictor import Predictor


class Told(Predictor):
    """Says of each batch what a function does, (B, 19, 3), and agrees with it; as many people at once as are wanted.
    It has no weights."""

    def __init__(self, answer):
        super().__init__(lambda: pytest.fail("there are no weights"), device="cpu")
        self.answer = answer

    def fitting(self, most):
        return most

    def run(self, batch):
        found = self.answer(batch)
        return torch.cat([found, found[..., :2]], -1)
