import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes.hub import Hub
from safetensors.torch import load_file, save

from pose_refine import refine, weights
from pose_refine.model import Model
from pose_refine.network import NetworkConfig

SHA256 = "0" * 64
CONFIG = dict(format=1, name="tiny", trunk="lightning", joints=19, width=8, size=(256, 192), sha256=SHA256)  # noqa: C408
BAD_CONFIGS = {
    "a later layout": CONFIG | {"format": 2},
    "a size that is no multiple of 32": CONFIG | {"size": (250, 192)},
    "no name": CONFIG | {"name": ""},
    "unknown trunk": CONFIG | {"trunk": "storm"},
    "other joints": CONFIG | {"joints": 17},
    "no width": CONFIG | {"width": 0},
    "short digest": CONFIG | {"sha256": "0" * 63},
    "digest in capitals": CONFIG | {"sha256": "A" * 64},
    "unknown key": CONFIG | {"widht": 8},
    "a list": [CONFIG],
    **{
        f"without {key}": {k: v for k, v in CONFIG.items() if k != key}
        for key in CONFIG
        if key not in ("format", "size")
    },
}
NO_JSON = {"empty": b"", "truncated": b'{"format": 1', "not UTF-8": b"\xff\xfe", "YAML": b"trunk: lightning"}
IMAGE = np.zeros((64, 64, 3), np.uint8)
POSE = np.random.default_rng(0).uniform(8, 56, (1, 17, 3)).astype(np.float32)


def tiny_model(seed=0):
    torch.manual_seed(seed)
    return Model(NetworkConfig("lightning", 19, 8)).eval()


@pytest.fixture
def folder(tmp_path):
    weights.save(tiny_model(), "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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


def flip_a_bit(data):
    return data[:-1] + bytes([data[-1] ^ 1])


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


@pytest.mark.parametrize("change", [{"trunk": "thunder"}, {"width": 16}], ids=["trunk", "width"])
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
    "unknown name": ("huge", None, FileNotFoundError, r"no weights at 'huge'.*'small', 'base'"),
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


@pytest.mark.parametrize(("source", "name"), [(None, "base"), ("base", "base"), ("small", "small")])
def test_find_embedded(here, source, name):
    folder = weights.find(source)
    assert here not in folder.resolve().parents  # although there is a folder of that name
    assert weights.read_config(folder).name == name


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


# huggingface_hub reads its settings when it is imported, so this runs in a process of its own.
SCRIPT = """
import json, os, sys, time, urllib.request
from pose_refine import weights

def outcome(source, revision=None):
    try:
        return weights.load(weights.find(source, revision))[1].name
    except Exception as error:
        return f"{type(error).__name__}: {error}"

answers = []
for line in sys.argv[1:]:
    if line == "stop":
        urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/stop").close()
        time.sleep = lambda seconds: None  # huggingface_hub waits for 23 s in all before it gives up
    else:
        answers.append(outcome(*line.split()))
print(json.dumps(answers))
"""
UNREACHABLE = "^ValueError: could not reach the hub for '{}', and it is not in the cache"
ONLINE = {
    "first time": ("org/name", "^main$"),
    "second time": ("org/name", "^main$"),
    "pinned": ("hf://org/name@v1", "^first$"),
    "revision": ("org/name v1", "^first$"),
    "unknown repository": ("org/unknown", "^ValueError: the hub has no weights 'org/unknown' at revision 'main'"),
    "unknown revision": ("org/name v9", "^ValueError: the hub has no weights 'org/name' at revision 'v9'"),
    "no weights in it": ("org/empty", "^ValueError: the hub has no weights 'org/empty'"),
    "no name that a hub could have": ("org/a--b", "^ValueError: the hub has no weights 'org/a--b'"),
    "tampered": ("org/tampered", "^ValueError: .*SHA-256 is .* its config says"),
    "changes between two requests": ("org/moving", "^ValueError: 'org/moving' changed while it was fetched"),
    "hangs up": ("org/hangs-up", UNREACHABLE.format("org/hangs-up")),
}
DOWN = {
    "in the cache": ("org/name", "^main$"),
    "pinned, in the cache": ("hf://org/name@v1", "^first$"),
    "not in the cache": ("org/other", UNREACHABLE.format("org/other")),
}


def fill_hub(root):
    weights.save(tiny_model(0), "main", root / "org/name/main")
    weights.save(tiny_model(1), "first", root / "org/name/v1")
    weights.save(tiny_model(2), "moving", root / "org/moving/main")
    weights.save(tiny_model(3), "tampered", root / "org/tampered/main")
    path = root / "org/tampered/main/model.safetensors"
    path.write_bytes(flip_a_bit(path.read_bytes()))
    (root / "org/empty/main").mkdir(parents=True)


def ask_hub(endpoint, cache, *sources, offline="0"):
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": offline}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", SCRIPT, *sources]
    done = subprocess.run(command, env=kept | settings | quiet, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """What came of every source online, with the server down, and offline; and what the server was asked."""
    root = tmp_path_factory.mktemp("hub")
    fill_hub(root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.root, server.asked = root, []
        threading.Thread(target=server.serve_forever).start()
        endpoint, cache = f"http://127.0.0.1:{server.server_port}", tmp_path_factory.mktemp("cache")
        online, down = [s for s, _ in ONLINE.values()], [s for s, _ in DOWN.values()]
        try:
            answers = ask_hub(endpoint, cache, *online, "stop", *down)
        finally:
            server.shutdown()  # where it did not come to "stop"
    answers += ask_hub(endpoint, cache, *down, offline="1")  # nobody listens there any more
    keys = [("online", n) for n in ONLINE] + [(state, n) for state in ("down", "offline") for n in DOWN]
    return dict(zip(keys, answers, strict=True)), server.asked


@pytest.mark.parametrize("name", ONLINE)
def test_hub(hub, name):
    assert re.search(ONLINE[name][1], hub[0]["online", name], re.DOTALL), hub[0]["online", name]


@pytest.mark.parametrize("state", ["down", "offline"])
@pytest.mark.parametrize("name", DOWN)
def test_hub_that_cannot_be_reached(hub, name, state):
    assert re.search(DOWN[name][1], hub[0][state, name]), hub[0][state, name]


def test_hub_sends_the_tensors_once(hub):
    assert hub[1].count(("GET", "/cdn/org/name/main/model.safetensors")) == 1
