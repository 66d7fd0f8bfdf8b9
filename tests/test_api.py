"""Refiners that are cached, copied and sent elsewhere."""

import os
import pickle
import threading
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_refine import Refiner, api, refine
from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.nn.predictor import Predictor

IMAGE = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
POSE = np.random.default_rng(1).uniform(50, 250, (2, 17, 3)).astype(np.float32)
CPU = torch.device("cpu")


def tiny(seed=0):
    torch.manual_seed(seed)
    return Model(NetworkConfig(width=8, coarse=8), views=1).eval()


@pytest.fixture
def folder(tmp_path):
    weights.save(tiny(), "tiny", tmp_path / "tiny")
    api._refiner.cache_clear()
    yield tmp_path / "tiny"
    api._refiner.cache_clear()


def test_one_refiner_however_it_is_spelt(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    spelt = [str(folder), folder, "./tiny", Path("tiny"), f"{folder}/", folder / ".." / "tiny"]
    assert len({id(api._cached(s, d)) for s in spelt for d in ("cpu", CPU)}) == 1
    assert len({id(api._cached(s, "cpu")) for s in (None, "base")}) == 1
    assert api._cached("base", "cpu") is not api._cached("small", "cpu")


def test_changed_weights_are_noticed(folder):
    before = refine(IMAGE, POSE, model=folder, device="cpu")
    assert np.array_equal(refine(IMAGE, POSE, model=str(folder), device="cpu"), before)
    weights.save(tiny(1), "tiny", folder)
    os.utime(folder / weights.TENSORS, ns=(1, 1))
    after = refine(IMAGE, POSE, model=folder, device="cpu")
    assert not np.array_equal(after, before)
    assert np.array_equal(after, Refiner.from_pretrained(folder, device="cpu").refine(IMAGE, POSE))


def test_the_cache_is_bounded(folder, tmp_path):
    first = api._cached(folder, "cpu")
    for n in range(api.KEPT):
        weights.save(tiny(), "tiny", tmp_path / f"other{n}")
        api._cached(tmp_path / f"other{n}", "cpu")
    assert api._refiner.cache_info().currsize == api.KEPT
    assert api._cached(folder, "cpu") is not first


def test_threads_get_the_same_one(folder):
    found = []
    threads = [threading.Thread(target=lambda: found.append(api._cached(folder, "cpu"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_an_exported_file_behind_a_link_is_known_by_the_links_name(tmp_path, monkeypatch):
    """The hub's cache keeps files without their names."""
    (tmp_path / "blob").write_bytes(b"")
    (tmp_path / "model.onnx").symlink_to(tmp_path / "blob")
    monkeypatch.chdir(tmp_path)
    assert api._place("model.onnx") == tmp_path / "model.onnx"
    assert api._place(tmp_path / "model.onnx") == tmp_path / "model.onnx"


COPIES = {"pickle": lambda r: pickle.loads(pickle.dumps(r)), "deepcopy": deepcopy}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("gone", [False, True], ids=["weights there", "weights gone"])
def test_a_refiner_travels_with_its_model(folder, how, gone):
    refiner = Refiner.from_pretrained(folder, device="cpu")
    expected = refiner.refine(IMAGE, POSE)
    if gone:
        (folder / weights.TENSORS).unlink()
    copy = COPIES[how](refiner)
    assert np.array_equal(copy.refine(IMAGE, POSE), expected)
    assert (copy.device, copy.dtype) == (refiner.device, refiner.dtype)
    assert copy.predictor.model is not refiner.predictor.model
    assert np.array_equal(COPIES[how](copy).refine(IMAGE, POSE), expected)  # and on from there


@pytest.mark.parametrize("how", COPIES)
def test_what_is_not_loaded_is_loaded_there(folder, how):
    refiner = api._cached(folder, "cpu")
    copy = COPIES[how](refiner)
    assert refiner.predictor.__getstate__()["_loaded"] is None
    assert np.array_equal(copy.refine(IMAGE, POSE), refiner.refine(IMAGE, POSE))


@pytest.mark.parametrize("how", COPIES)
def test_one_of_a_models_own(how):
    refiner = Refiner(Predictor(lambda: tiny(), device="cpu"))
    expected = refiner.refine(IMAGE, POSE)
    assert np.array_equal(COPIES[how](refiner).refine(IMAGE, POSE), expected)
