"""Two processes, started by torchrun on the tiny set, end where one does."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import distributed as dist

from pose_refine.training import distributed

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pose_refine.training")
# Five crops are three for one process and two for the other.
SMALL = "--width 8 --height 64 --across 64 --side 128"
OPTIONS = f"{SMALL} --batch 5 --watch-every 1 --watch-people 2 --seed 1 --device cpu"


def run(out, data, trunk_file, *module, steps):
    """A run as a user starts it."""
    places = ["--data", data, "--init", trunk_file, "--out", out, "--steps", str(steps)]
    command = [sys.executable, "-m", *module, "train", *places, *OPTIONS.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def runs(data, trunk_file, tmp_path_factory):
    """Folders of the same three steps: by one process, and by two that leave off after two steps and are resumed."""
    one, two = (tmp_path_factory.mktemp("runs") / name for name in ("one", "two"))
    run(one, data, trunk_file, "pose_refine.training", steps=2)
    run(one, data, trunk_file, "pose_refine.training", steps=3)
    run(two, data, trunk_file, *TORCHRUN, steps=2)
    told = run(two, data, trunk_file, *TORCHRUN, steps=3)
    return one, two, told


def read_log(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_write_one_log_with_the_losses_of_one(runs):
    one, two, told = runs
    alone, together = read_log(one), read_log(two)
    assert [entry.get("step") for entry in together] == [None, 1, 2, None, 3]
    assert [entry["first"] for entry in together if "first" in entry] == [0, 2]
    assert all({"entropy", "oks_loss", "doubled"} <= entry.keys() for entry in alone if "step" in entry)
    for a, b in zip(alone, together, strict=True):
        for key in a.keys() & {"entropy", "oks_loss", "doubled"}:
            assert b[key] == pytest.approx(a[key], abs=1e-4)
    assert told.count("resumed at step 2") == 1


def test_two_processes_end_with_the_weights_of_one(runs):
    alone, together = (torch.load(out / "checkpoint.pt", weights_only=True) for out in runs[:2])
    assert alone["step"] == together["step"] == 3
    for which in ("network", "average"):
        for name, tensor in alone[which].items():
            torch.testing.assert_close(together[which][name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("count", "world"), [(5, 2), (32, 8), (33, 8), (3, 3)])
def test_parts_are_even_and_make_the_whole(count, world, monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: world)
    parts = []
    for rank in range(world):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        parts.append(list(range(count))[distributed.part(count)])
    assert [crop for crops in parts for crop in crops] == list(range(count))
    assert {len(part) for part in parts} <= {count // world, -(-count // world)}


def test_fewer_crops_than_processes_are_refused(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    with pytest.raises(ValueError, match="one crop for each of 4 processes, got 3"):
        distributed.part(3)
