"""Weights from the hub: a local server in its place."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading

import pytest
from fakes.hub import Hub
from fakes.weights import flip_a_bit, tiny_model

from pose_refine.nn import weights

# huggingface_hub reads its settings when it is imported, so this runs in a process of its own.
SCRIPT = """
import json, os, sys, time, urllib.request
from pose_refine.nn import weights
time.sleep = lambda seconds: None  # huggingface_hub waits for 23 s in all before it gives up

def outcome(source, revision=None):
    try:
        return weights.load(weights.find(source, revision))[1].name
    except Exception as error:
        return f"{type(error).__name__}: {error}"

answers = []
for line in sys.argv[1:]:
    if line == "stop":
        urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/stop").close()
    else:
        answers.append(outcome(*line.split()))
print(json.dumps(answers))
"""
UNREACHABLE = "^ValueError: there is no folder '{}' here; as weights of the hub, they could not be fetched"
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
    "another file": ("org/another", "^ValueError: .*config.json: not a weights config"),
    "stops half way": ("org/stops", UNREACHABLE.format("org/stops")),
    "stops half way, where it went well before": ("org/name stops", UNREACHABLE.format("org/name")),
    "redirects in a circle": ("org/goes-round", UNREACHABLE.format("org/goes-round")),
    "good ones after bad ones": ("org/name", "^main$"),
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
    weights.save(tiny_model(4), "stops", root / "org/stops/main")
    weights.save(tiny_model(5), "later", root / "org/name/stops")
    weights.save(tiny_model(6), "another", root / "org/another/main")
    (root / "org/another/main/config.json").write_text("<html>Please log in</html>")
    (root / "org/empty/main").mkdir(parents=True)


def ask_hub(endpoint, cache, *sources, offline="0"):
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": offline}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", SCRIPT, *sources]
    done = subprocess.run(command, env=kept | settings | quiet, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Retry" not in done.stderr  # what comes of it is said once
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
