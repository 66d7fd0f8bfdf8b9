import numpy as np
import pytest
import torch

from pose_refine.arguments import integer

GOOD = {"int": 3, "numpy": np.int64(3), "numpy, unsigned": np.uint8(3), "torch": torch.tensor(3)}
BAD = {
    "too small": 0,
    "too small, numpy": np.int8(-1),
    "a float": 3.0,
    "numpy's float": np.float32(3),
    "a bool": True,
    "text": "3",
    "nothing": None,
    "several": np.array([3, 4]),
}


@pytest.mark.parametrize("name", GOOD)
def test_integers_of_any_kind(name):
    assert type(integer("n", GOOD[name], 1)) is int
    assert integer("n", GOOD[name], 3) == 3


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    with pytest.raises(ValueError, match="n: expected an integer of at least 1, got "):
        integer("n", BAD[name], 1)
