"""Publishing weights: a local server stands for the hub."""

import http.server
import json
import os
import threading

import huggingface_hub
import huggingface_hub.constants as constants
import pytest
import torch
import yaml
from fakes.hub_upload import UploadHub
from fakes.weights import flip_a_bit

from pose_refine.cli import main
from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig


@pytest.fixture
def folder(tmp_path):
    """Weights that are quickly made, a log of their training, and what nobody else should get."""
    torch.manual_seed(0)
    place = tmp_path / "mine"
    weights.save(Model(NetworkConfig(width=8, coarse=8, size=(64, 32)), views=2), "mine", place)
    (place / "training.jsonl").write_text("{}\n")
    (place / "secret.txt").write_text("mine alone")
    (place / "frames").mkdir()
    return place


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """What huggingface_hub talks to in this process, and what it was asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), UploadHub) as server:
        server.root, server.asked, server.created, server.blobs = tmp_path / "hub", [], [], {}
        server.root.mkdir()
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        origin, cache = f"http://127.0.0.1:{server.server_port}", str(tmp_path / "cache")
        address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, origin)
        settings = {"ENDPOINT": origin, "HUGGINGFACE_CO_URL_TEMPLATE": address, "HF_HUB_CACHE": cache}
        for name, value in {**settings, "HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True}.items():
            monkeypatch.setattr(constants, name, value)
        for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        huggingface_hub.close_session()  # which may know proxies
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        yield server
        server.shutdown()
        thread.join()
        huggingface_hub.close_session()


def header_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_nothing_is_sent_unasked(folder, capsys, caplog, monkeypatch):
    monkeypatch.setattr("pose_refine.commands.publish.send", lambda *_, **__: pytest.fail("sent"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(["publish", str(folder), "org/name"]) == 0
    out = capsys.readouterr().out
    files, card = out.split("README.md, written anew:\n\n")
    assert "to org/name (public" in files
    for name in ("config.json", "model.safetensors", "README.md", "training.jsonl"):
        assert f"  {name}" in files
    assert "left out: frames/, secret.txt" in files
    assert "--really" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert header_of(card)["license"] == "apache-2.0"


def test_the_card(folder, capsys):
    assert main(["publish", str(folder), "org/name", "--card", "--license", "cc-by-4.0"]) == 0
    card = capsys.readouterr().out
    header = header_of(card)
    assert (header["library_name"], header["pipeline_tag"]) == ("pose_refine", "keypoint-detection")
    assert header["license"] == "cc-by-4.0"
    assert 'Refiner.from_pretrained("org/name")' in card
    assert "@inproceedings" in card
    assert json.loads((folder / "config.json").read_text())["sha256"] in card
    assert "$" not in card
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert main(["publish", str(folder), "org/name", "--private"]) == 0
    out = capsys.readouterr().out
    assert "written anew" not in out
    assert "(private" in out


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own
def test_published_weights_load(folder, hub, caplog):
    command = ["publish", str(folder), "org/name", "--really"]
    assert main([*command, "--private"]) == 0, caplog.text
    assert hub.created == [{"name": "name", "organization": "org", "visibility": "private"}]
    there = hub.root / "org/name/main"
    sent = {"README.md", "config.json", "model.safetensors", "training.jsonl"}
    assert {p.name for p in there.iterdir()} == sent
    assert (there / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert weights.load(weights.find("hf://org/name"))[1].name == "mine"

    assert main(command) == 1
    assert "org/name: this repository exists; --overwrite adds a commit to it" in caplog.text
    (folder / "README.md").write_text("# Mine, said better\n")
    assert main([*command, "--overwrite"]) == 0, caplog.text
    assert (there / "README.md").read_text() == "# Mine, said better\n"


def test_with_a_token_that_is_not_known(folder, hub, caplog, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert main(["publish", str(folder), "org/name", "--really"]) == 1
    assert "hf auth login" in caplog.text
    assert not hub.created


def damaged(folder):
    path = folder / "model.safetensors"
    path.write_bytes(flip_a_bit(path.read_bytes()))


BAD = {
    "damaged": (damaged, "org/name", "SHA-256"),
    "no tensors": (lambda folder: (folder / "model.safetensors").unlink(), "org/name", "no model.safetensors"),
    "no organisation": (lambda folder: None, "name", "expected ORG/NAME"),
    "no name that a hub could have": (lambda folder: None, "org/a--b", "ORG/NAME"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_weights_and_names_are_refused(folder, caplog, monkeypatch, name):
    monkeypatch.setattr("pose_refine.commands.publish.send", lambda *_, **__: pytest.fail("sent"))
    damage, repository, words = BAD[name]
    damage(folder)
    assert main(["publish", str(folder), repository, "--really"]) == 1
    assert words in caplog.text


def test_no_folder(tmp_path, caplog):
    assert main(["publish", str(tmp_path / "none"), "org/name"]) == 1
    assert "no such folder" in caplog.text
