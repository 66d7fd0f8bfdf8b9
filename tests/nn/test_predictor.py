"""The engine: batches that fit, and what does not."""

import logging

import numpy as np
import pytest
import torch

from pose_refine.crops.batches import CropBatch, Picture
from pose_refine.nn.predictor import Predictor


def batch_of(people):
    """A batch whose poses are the person's number."""
    numbered = np.broadcast_to(np.arange(people, dtype=np.float32)[:, None, None], (people, 19, 2))
    numbered = np.ascontiguousarray(numbered)
    picture, others = np.zeros(people, int), np.zeros((people, 3, 19, 2), np.float32)
    detail, mpii = np.ones(people, np.float32), np.zeros(people, bool)
    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (people, 1, 1))
    pictures = (Picture(np.zeros((8, 8, 3), np.uint8), "rgb"),)
    return CropBatch(pictures, picture, numbered, others, numbered, detail, mpii, detail * 0.5, matrices)


def holding(most, seen):
    """A model whose device's memory holds `most` people; it finds everybody where the pose says."""

    def model(crops, prompt, dtype):
        if len(crops) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        assert {len(told) for told in prompt} == {len(crops)}
        seen.append(len(crops))
        return prompt.initial, prompt.initial[..., 0] / 10, prompt.initial + 1

    return Predictor(lambda: model, device="cpu")


@pytest.mark.parametrize(("people", "most", "batches"), [(7, 8, [7]), (7, 4, [3, 4]), (5, 1, [1, 1, 1, 1, 1])])
def test_what_does_not_fit_is_halved_and_stays_in_order(people, most, batches, caplog):
    seen = []
    with caplog.at_level(logging.WARNING):
        out = holding(most, seen).run(batch_of(people))
    place = np.arange(people, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        out[:, 3], np.concatenate([place, place, place / 10, place + 1, place + 1], 1), atol=1e-5
    )
    assert seen == batches
    assert bool(caplog.records) == (len(batches) > 1)


def test_one_person_who_does_not_fit_is_an_error():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        holding(0, []).run(batch_of(3))


def test_nobody_needs_no_weights():
    predictor = Predictor(lambda: pytest.fail("there are no weights"), device="cpu")
    assert predictor.predict([], 4) == []


def test_other_dtypes():
    with pytest.raises(ValueError, match=r"dtype must be one of .*float64"):
        Predictor(lambda: None, device="cpu", dtype=torch.float64)
