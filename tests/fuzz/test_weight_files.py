"""Weight files that are cut short, flipped, disguised or laid as traps: refused in words that help, and never run."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest
import torch
from fakes.weights import tiny_model
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from fuzz.cases import cases
from fuzz.damage import answer
from fuzz.quick import picture
from pose_refine import Refiner, refine
from pose_refine.nn import weights

SEEDS = st.integers(0, 2**32 - 1)
POSE = np.random.default_rng(0).uniform(1, 60, (1, 17, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    weights.save(tiny_model(width=1, coarse=1, size=(32, 32)), "tiny", folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    """A copy of sound weights, to damage."""
    for path in sound.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def vouch(folder):
    """Let the config say what the tensors' digest is now: as if their maker had damaged them."""
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sha256": digest}))


def flipped(seed, data, low=0, high=None):
    """One to three bits of it, the first between these bytes."""
    rng, out = np.random.default_rng(seed), bytearray(data)
    for place in rng.integers(low, high or len(data), rng.integers(1, 4)):
        out[place] ^= 1 << rng.integers(8)
    return bytes(out)


def loaded(folder):
    """Every number of them is finite; None where they are refused."""
    found = answer(lambda: weights.load(folder))
    assert found is None or all(t.isfinite().all() for t in found[0].state_dict().values())
    return found


def test_flipped_bits(sound, tmp_path):
    (tmp_path / "config.json").write_bytes((sound / "config.json").read_bytes())
    data = (sound / "model.safetensors").read_bytes()

    @cases(0.1)
    @given(SEEDS)
    def flip(seed):
        bad = flipped(seed, data)
        (tmp_path / "model.safetensors").write_bytes(bad)
        if bad != data:
            assert loaded(tmp_path) is None

    flip()


@pytest.mark.parametrize("part", ["header", "numbers"])
def test_flipped_bits_that_are_vouched_for(folder, part):
    """What the header says is not believed; nor are numbers that are none."""
    data = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")

    @cases(0.01)
    @given(SEEDS)
    def flip(seed):
        bad = flipped(seed, data, *((0, start) if part == "header" else (start, None)))
        (folder / "model.safetensors").write_bytes(bad)
        vouch(folder)
        loaded(folder)

    flip()


def test_a_damaged_config(folder):
    data = (folder / "config.json").read_bytes()

    @cases(0.02)
    @given(SEEDS)
    def flip(seed):
        bad = flipped(seed, data)
        (folder / "config.json").write_bytes(bad[: np.random.default_rng(seed).integers(1, 2 * len(bad))])
        loaded(folder)

    flip()


class Evil:
    """What unpickling it does shows."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


DISGUISED = {
    "a pickle": lambda tensors, evil: pickle.dumps(evil),
    "torch's file": lambda tensors, evil: saved(evil),
    "a pickle behind sound tensors": lambda tensors, evil: save(tensors) + pickle.dumps(evil),
    "an .npy of objects": lambda tensors, evil: b"\x93NUMPY" + pickle.dumps(evil),
    "complex numbers": lambda t, _: save({k: v.to(torch.complex64) * 1j for k, v in t.items()}),
    "a row more": lambda t, _: save({k: torch.cat([v, v[:1]]) if v.ndim else v for k, v in t.items()}),
    "all flat": lambda t, _: save({k: v.reshape(-1) for k, v in t.items()}),
    "one that is not a number": lambda t, _: save({k: torch.full_like(v, torch.nan) for k, v in t.items()}),
    "infinite": lambda t, _: save({k: torch.full_like(v, torch.inf) for k, v in t.items()}),
}


def saved(evil):
    import io

    buffer = io.BytesIO()
    torch.save(evil, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", DISGUISED)
def test_disguised(folder, name):
    trap = folder / "executed"
    path = folder / "model.safetensors"
    path.write_bytes(DISGUISED[name](load_file(path), Evil(str(trap))))
    vouch(folder)
    assert loaded(folder) is None
    assert not trap.exists()


def test_poses_in_a_pickle(tmp_path):
    trap = tmp_path / "executed"
    for name, data in (("a.npy", pickle.dumps(Evil(str(trap)))), ("b.json", pickle.dumps(Evil(str(trap))))):
        (tmp_path / name).write_bytes(data)
        assert answer(lambda path=tmp_path / name: refine(picture(9, 9), path)) is None
    np.save(tmp_path / "c.npy", np.array([Evil(str(trap))], object), allow_pickle=True)
    assert answer(lambda: refine(picture(9, 9), tmp_path / "c.npy")) is None
    assert not trap.exists()


NAMES = {
    "a zero byte": "a\0b",
    "very long": "a" * 5000,
    "very long folders": "/".join(["a" * 200] * 100),
    "up and away": "../../../../nowhere",
    "hub, up": "hf://../..",
    "hub, hidden": "hf://.git/config",
    "hub, a long name": "hf://a/" + "b" * 5000,
    "hub, a revision that leads away": "hf://org/name@../../../../tmp/x",
    "hub, an address": "hf://http://127.0.0.1:9/x",
    "an address": "http://127.0.0.1:9/x",
    "not UTF-8": os.fsdecode(b"w\xff"),
    "empty": "",
    "a home": "~nobody/weights",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_tricks(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises((ValueError, FileNotFoundError)) as told:
        Refiner.from_pretrained(NAMES[name], device="cpu")
    assert len(str(told.value)) > 9 and type(told.value) in (ValueError, FileNotFoundError)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


TRAPS = {
    "a folder": lambda path, sound: path.mkdir(),
    "a pipe": lambda path, sound: os.mkfifo(path),
    "a link to itself": lambda path, sound: path.symlink_to(path.name),
    "a link to nowhere": lambda path, sound: path.symlink_to("nowhere"),
    "a device": lambda path, sound: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("name", TRAPS)
def test_files_that_are_traps(folder, sound, name, file):
    (folder / file).unlink()
    TRAPS[name](folder / file, sound)
    with pytest.raises((ValueError, FileNotFoundError), match=file):
        weights.load(folder)
