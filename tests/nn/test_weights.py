import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes.weights import flip_a_bit, tiny_model
from safetensors.torch import load_file, save

from pose_refine import refine
from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig

SHA256 = "0" * 64
CONFIG = dict(format=2, name="tiny", joints=19, width=8, coarse=8, size=(256, 192), views=1, trust=0.5, sha256=SHA256)  # noqa: C408
BAD_CONFIGS = {
    "a later layout": CONFIG | {"format": 3},
    "an earlier layout": CONFIG | {"format": 1},
    "MoveNet's": {k: v for k, v in CONFIG.items() if k != "coarse"} | {"format": 1, "trunk": "lightning"},
    "a size that is no multiple of 32": CONFIG | {"size": (250, 192)},
    "no name": CONFIG | {"name": ""},
    "a trunk": CONFIG | {"trunk": "lightning"},
    "other joints": CONFIG | {"joints": 17},
    "no width": CONFIG | {"width": 0},
    "no views": CONFIG | {"views": 0},
    "too many views": CONFIG | {"views": 3},
    "flip": CONFIG | {"flip": True},
    "no coarse width": CONFIG | {"coarse": 0},
    "short digest": CONFIG | {"sha256": "0" * 63},
    "digest in capitals": CONFIG | {"sha256": "A" * 64},
    "unknown key": CONFIG | {"widht": 8},
    "a list": [CONFIG],
    **{
        f"without {key}": {k: v for k, v in CONFIG.items() if k != key}
        for key in CONFIG
        if key not in ("size", "views", "trust")
    },
}
NO_JSON = {"empty": b"", "truncated": b'{"format": 2', "not UTF-8": b"\xff\xfe", "YAML": b"name: tiny"}
IMAGE = np.zeros((64, 64, 3), np.uint8)
POSE = np.random.default_rng(0).uniform(8, 56, (1, 17, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    weights.save(tiny_model(), "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("views", [1, 2])
def test_views_are_kept(folder, views):
    model = tiny_model()
    model.views = views
    weights.save(model, "tiny", folder)
    assert weights.load(folder)[0].views == weights.read_config(folder).views == views


VIEWS = [  # of the weights, what `flip` says -> views
    (1, None, 1), (2, None, 2), (1, True, 2), (2, True, 2), (1, False, 1), (2, False, 1),
]  # fmt: skip


@pytest.mark.parametrize(("views", "flip", "expected"), VIEWS)
def test_flip_chooses_among_views(folder, views, flip, expected):
    rewrite_config(folder, views=views)
    assert weights.load_source(folder, flip=flip)[0].views == expected


@pytest.mark.parametrize(("name", "views"), [("small", 1), ("base", 2), (None, 2)])
def test_names_are_numbers_of_views_of_the_same_weights(folder, monkeypatch, name, views):
    monkeypatch.setattr(weights, "find", lambda source, revision=None: {name: folder}[source])
    rewrite_config(folder, views=2)
    assert weights.load_source(name)[0].views == views
    assert weights.load_source(name, flip=False)[0].views == 1


def test_the_shape_of_the_network_is_kept(tmp_path):
    config = weights.save(tiny_model(width=4, coarse=12, size=(192, 160)), "tiny", tmp_path)
    assert config.network() == NetworkConfig(19, 4, 12, (192, 160))
    assert weights.load(tmp_path)[0].network.config == config.network()


def test_round_trip(folder):
    model, config = weights.load(folder)
    path = folder / "model.safetensors"
    assert config.model_dump() == CONFIG | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    original, loaded = tiny_model().state_dict(), model.state_dict()
    assert list(loaded) == list(original)
    for name, tensor in loaded.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, original[name].half().float()), name


def test_saving_leaves_the_model_alone_and_repeats(folder, tmp_path):
    model, untouched = tiny_model(), tiny_model().state_dict()
    assert weights.save(model, "tiny", tmp_path / "deeper" / "again") == weights.read_config(folder)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in model.state_dict().items())


def test_saving_that_fails_leaves_the_old_weights(folder, monkeypatch):
    def full(self, data):
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left on device")

    old = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        weights.save(tiny_model(seed=1), "tiny", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == old


@pytest.mark.parametrize("name", [*BAD_CONFIGS, *NO_JSON])
def test_config_that_is_wrong(tmp_path, name):
    content = NO_JSON[name] if name in NO_JSON else json.dumps(BAD_CONFIGS[name]).encode()
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json: not a weights config"):
        weights.read_config(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name} in"):
        weights.load(folder)


DAMAGE = {"truncated": lambda d: d[:-1], "empty": lambda d: b"", "longer": lambda d: d + b"\0", "a bit": flip_a_bit}


@pytest.mark.parametrize("name", DAMAGE)
def test_tensors_that_are_not_what_the_config_vouches_for(folder, name):
    path = folder / "model.safetensors"
    path.write_bytes(DAMAGE[name](path.read_bytes()))
    with pytest.raises(ValueError, match=r"model\.safetensors: SHA-256 is [0-9a-f]{64}, its config says"):
        weights.load(folder)


MISFITS = {
    "empty": lambda tensors: b"",
    "another kind of file": lambda tensors: b"PK\x03\x04" + bytes(100),
    "truncated": lambda tensors: save(tensors)[:-1],
    "one tensor short": lambda tensors: save({k: v for k, v in tensors.items() if k != "network.prior"}),
    "one tensor more": lambda tensors: save(tensors | {"network.more": torch.zeros(1)}),
}


@pytest.mark.parametrize("name", MISFITS)
def test_tensors_that_do_not_fit_the_network(folder, name):
    path = folder / "model.safetensors"
    path.write_bytes(MISFITS[name](load_file(path)))
    rewrite_config(folder, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit its config"):
        weights.load(folder)


@pytest.mark.parametrize("change", [{"coarse": 16}, {"width": 16}], ids=["coarse", "width"])
def test_config_of_another_network(folder, change):
    rewrite_config(folder, **change)
    with pytest.raises(ValueError, match="does not fit its config"):
        weights.load(folder)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the folders my, my/weights, base and small; a hub that only takes note."""
    for name in ("my/weights", "base", "small"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "_fetch", lambda *asked: ("fetched", *asked))
    return tmp_path


LOCAL = {
    "folder": ("my", "my"),
    "folder in a folder": ("my/weights", "my/weights"),
    "dotted": ("./base", "base"),
    "Path": (Path("my"), "my"),
    "Path that reads like our name": (Path("base"), "base"),
}
HUB = {
    "repository": ("org/name", None, ("org/name", None)),
    "repository at a revision": ("org/name", "v1", ("org/name", "v1")),
    "address": ("hf://org/name", None, ("org/name", None)),
    "address with a revision": ("hf://org/name@v1", None, ("org/name", "v1")),
    "address of what is also a folder": ("hf://my/weights", None, ("my/weights", None)),
}
NOWHERE = {
    "unknown name": ("huge", None, FileNotFoundError, "no weights at 'huge'.*small, base,"),
    "typo behind a folder that is there": ("my/wieghts", None, FileNotFoundError, "no weights at 'my/wieghts'"),
    "Path is never the hub's": (Path("org/name"), None, FileNotFoundError, "no weights"),
    "revision of a folder": ("my", "v1", ValueError, "revision: only weights on the hub.*'my' is not there"),
    "revision of the embedded": (None, "v1", ValueError, "revision: only weights on the hub"),
    "no name on the hub": ("hf://bad", None, ValueError, r"expected hf://org/name\[@revision\], got 'hf://bad'"),
    "a file on the hub": ("hf://org/name/file", None, ValueError, "expected hf://org/name"),
    "two revisions": ("hf://org/name@v1", "v2", ValueError, "two revisions: 'v1' .*='v2'"),
    "number": (5, None, TypeError, "got int"),
    "model": (Model, None, TypeError, "expected a folder, a name or None"),
}


@pytest.mark.parametrize("name", LOCAL)
def test_find_local(here, name):
    source, expected = LOCAL[name]
    assert weights.find(source).resolve() == here / expected


@pytest.mark.parametrize("source", [None, *weights.NAMES])
def test_find_embedded(here, source):
    """One set under all names."""
    folder = weights.find(source)
    assert here not in folder.resolve().parents  # although there are folders of some of these names
    assert weights.read_config(folder).name == "base"


@pytest.mark.parametrize("name", HUB)
def test_find_on_the_hub(here, name):
    source, revision, expected = HUB[name]
    assert weights.find(source, revision) == ("fetched", *expected)


@pytest.mark.parametrize("name", NOWHERE)
def test_find_says_what_is_wrong(here, name):
    source, revision, error, words = NOWHERE[name]
    with pytest.raises(error, match=words):
        weights.find(source, revision)


@pytest.fixture
def loads(monkeypatch):
    """Folders that `weights.load` was asked for."""
    asked = []

    def load(folder, load=weights.load):
        asked.append(folder)
        time.sleep(0.05)  # long enough for every thread to come by
        return load(folder)

    monkeypatch.setattr(weights, "load", load)
    return asked


def test_refine_loads_once(folder, loads):
    first, second = (refine(IMAGE, POSE, model=folder, device="cpu") for _ in range(2))
    assert loads == [folder]
    assert np.array_equal(first, second)


def test_refine_loads_every_source(folder, loads, tmp_path):
    weights.save(tiny_model(seed=1), "other", tmp_path / "other")
    for source in (folder, tmp_path / "other", folder):
        refine(IMAGE, POSE, model=source, device="cpu")
    assert loads == [folder, tmp_path / "other"]


def test_refine_loads_once_for_all_threads(folder, loads):
    start = threading.Barrier(8)

    def work():
        start.wait()
        return refine(IMAGE, POSE, model=folder, device="cpu")

    with ThreadPoolExecutor(8) as pool:
        results = [job.result() for job in [pool.submit(work) for _ in range(8)]]
    assert loads == [folder]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_refine_of_nobody_loads_nothing(folder, loads):
    assert refine(IMAGE, POSE[:0], model=folder).shape == (0, 17, 3)
    assert loads == []


def test_refine_tries_again_after_a_failure(folder, loads):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="truncated or changed"):
        refine(IMAGE, POSE, model=folder, device="cpu")
    path.write_bytes(data)
    assert refine(IMAGE, POSE, model=folder, device="cpu").shape == (1, 17, 3)
