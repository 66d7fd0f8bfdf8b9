"""`pose-refine folder` where the disk is full, folders vanish, links go round and names are not UTF-8."""

import json
import os
import shutil
import subprocess
from functools import partial

import cv2
import numpy as np
import pytest

from fuzz.quick import picture, quick_refiner
from pose_refine import Refiner
from pose_refine.cli import main
from pose_refine.commands import _pipeline as pipeline
from pose_refine.commands._journal import Journal

FRAMES = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The command line runs, and the network is none."""
    monkeypatch.setattr(Refiner, "from_pretrained", partial(lambda *_, **__: quick_refiner()))


def fill(folder, names=None, padding=0):
    """Images and OpenPose files; returns the folder."""
    for part in ("images", "poses"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names or [f"{n:04d}" for n in range(FRAMES)]):
        flat = np.random.default_rng(n).uniform(1, 60, (25, 3)).round(3).reshape(-1).tolist()
        person = {"person_id": [-1], "pose_keypoints_2d": flat}
        (folder / "images" / f"{name}.png").write_bytes(cv2.imencode(".png", picture(64, 64, n))[1].tobytes())
        document = {"version": 1.3, "people": [person], "more": " " * padding}
        (folder / "poses" / f"{name}_keypoints.json").write_text(json.dumps(document))
    return folder


def run(folder, out):
    return main(["folder", str(folder / "images"), str(folder / "poses"), "-o", str(out), "--device", "cpu"])


def results(out):
    """What is in a folder, but for hidden files; every one of them must be whole."""
    found = {p.name: p.read_bytes() for p in out.glob("*.json")}
    assert all(json.loads(data)["people"] for data in found.values())
    return found


@pytest.fixture
def expected(tmp_path):
    folder = fill(tmp_path / "expected")
    assert run(folder, tmp_path / "whole") == 0
    return results(tmp_path / "whole")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here: needs root and tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk, tmp_path, caplog):
    """What is there is whole, the error says why, and with more space the same command goes on to the same end."""
    folder = fill(tmp_path / "given", padding=30000)
    assert run(folder, small_disk / "out") == 1
    assert "No space left on device" in caplog.text
    before = results(small_disk / "out")
    assert 0 < len(before) < FRAMES
    assert not list((small_disk / "out").glob(".*.partial"))
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert run(folder, small_disk / "out") == 0
    after = results(small_disk / "out")
    assert len(after) == FRAMES and before.items() <= after.items()


def test_a_journal_on_a_full_disk(small_disk):
    """A line that is only half written is told: its result must not be written as if it were."""
    with Journal(small_disk / "journal", {}) as journal:
        journal.append({"name": "first"})
        rest = os.statvfs(small_disk)
        (small_disk / "much").write_bytes(b"x" * (rest.f_bavail * rest.f_frsize))
        with pytest.raises(OSError, match="No space left"):
            for n in range(200):
                journal.append({"name": f"{n}" + "y" * 300})
        (small_disk / "much").unlink()
        journal.append({"name": "last"})
    with Journal(small_disk / "journal", {}) as journal:
        names = [entry["name"] for entry in journal.entries]
    assert names[0] == "first" and names[-1] == "last"


def test_a_folder_that_vanishes(tmp_path, caplog, expected, monkeypatch):
    """Images go while the command is at work: the rest is told, nothing else is harmed; later it goes on."""
    folder, out = fill(tmp_path / "given"), tmp_path / "out"
    shutil.copytree(folder / "images", tmp_path / "kept")

    def gone(*asked, read=pipeline.read_image):
        shutil.rmtree(folder / "images", ignore_errors=True)
        return read(*asked)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "read_image", gone)
        assert run(folder, out) == 1
    assert "no such image" in caplog.text
    shutil.copytree(tmp_path / "kept", folder / "images")
    assert run(folder, out) == 0
    assert results(out) == expected


def test_a_result_folder_that_vanishes(tmp_path, caplog, monkeypatch):
    folder, out = fill(tmp_path / "given"), tmp_path / "out"

    def gone(*asked, read=pipeline.read_image):
        shutil.rmtree(out, ignore_errors=True)
        return read(*asked)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "read_image", gone)
        assert run(folder, out) == 1
    assert "No such file or directory" in caplog.text
    assert run(folder, out) == 0
    assert len(results(out)) == FRAMES


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder(tmp_path, caplog):
    folder = fill(tmp_path / "given")
    (tmp_path / "locked").mkdir(mode=0o555)
    assert run(folder, tmp_path / "locked" / "out") == 1
    assert "Permission denied" in caplog.text


def test_links_that_go_round(tmp_path, caplog, expected):
    folder = fill(tmp_path / "given")
    for part in ("images", "poses"):
        (folder / part / "self").symlink_to(".")
        (folder / part / "up").symlink_to("..")
    (folder / "poses" / "9_keypoints.json").symlink_to("9_keypoints.json")
    (folder / "poses" / "10.json").symlink_to("nowhere")
    (folder / "images" / "9.png").symlink_to("9.png")
    (folder / "images" / "10.png").symlink_to("10.png")
    assert run(folder, tmp_path / "out") == 1
    assert results(tmp_path / "out").items() >= expected.items()


def test_names_that_are_not_utf8(tmp_path):
    names = [os.fsdecode(b"caf\xe9"), "\u65e5\u672c", "a b", "new\nline", "-o", "%s{}"]
    try:
        folder = fill(tmp_path / "given", names)
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    assert run(folder, tmp_path / "out") == 0
    assert len(results(tmp_path / "out")) == len(names)
    assert run(folder, tmp_path / "out") == 0
