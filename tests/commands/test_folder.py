"""Kills the command at random points, goes on, and compares with a run that nobody disturbed.

Five kills for each way of writing; the recorded run has fifty:

    POSE_REFINE_KILLS=50 python -m pytest -rP tests/commands/test_folder.py
"""

import multiprocessing
import os
import random
import shutil
import time

import pytest

from pose_refine.cli import main

KILLS = int(os.environ.get("POSE_REFINE_KILLS", "5"))
KILLS_A_RUN = 5
FRAMES = 30

# POSES, the arguments for where to write, what is written, and the journal.
MODES = {
    "into a folder": ("poses", ["-o", "{}/out"], "out", "out/.pose_refine.jsonl"),
    "in place": ("poses", ["--in-place"], "poses", "poses.backup/.pose_refine.jsonl"),
    "COCO document": ("poses.json", ["-o", "{}/out.json"], "out.json", ".out.json.pose_refine.jsonl"),
    "COCO document in place": ("poses.json", ["--in-place"], "poses.json", ".poses.json.pose_refine.jsonl"),
}


@pytest.fixture(scope="module")
def processes():
    """A server that has imported everything: its forks start at once, and can be killed for real."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pose_refine.cli"])
    return context


def start(processes, folder, mode, tiny):
    poses, where, _, _ = MODES[mode]
    where = [w.format(folder) for w in where]
    arguments = ["folder", str(folder / "images"), str(folder / poses), *where]
    process = processes.Process(target=main, args=([*arguments, "--weights", str(tiny), "--device", "cpu"],))
    process.start()
    return process


def kill_after(process, journal, lines, pause):
    """SIGKILL once so many lines have been added to the journal, and a pause has passed."""
    lines += count(journal)
    while process.is_alive() and count(journal) < lines:
        time.sleep(0.0005)
    time.sleep(pause)
    process.kill()
    process.join()
    return process.exitcode < 0


def count(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def written(folder, mode):
    """What other programs would see of the result."""
    path = folder / MODES[mode][2]
    files = [path] if path.is_file() else [p for p in path.glob("*") if not p.name.startswith(".")]
    return {p.name: p.read_bytes() for p in files}


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_and_resumed(coco, tmp_path, tiny, processes, contents, mode):
    given = coco(FRAMES)
    originals = {p.name: p.read_bytes() for p in [given / "poses.json", *(given / "poses").iterdir()]}
    whole = shutil.copytree(given, tmp_path / "whole")
    process = start(processes, whole, mode, tiny)
    process.join()
    assert process.exitcode == 0
    expected, final = contents(whole), written(whole, mode)
    assert final.keys() <= originals.keys() | {"out.json"}
    assert all(data != originals.get(name) for name, data in final.items())
    chance, kills = random.Random(mode), 0
    for run in range(max(1, KILLS // KILLS_A_RUN)):
        folder = shutil.copytree(given, tmp_path / f"killed{run}")
        journal = folder / MODES[mode][3]
        for _ in range(KILLS_A_RUN):
            process = start(processes, folder, mode, tiny)
            kills += kill_after(process, journal, chance.randint(0, FRAMES // 3), chance.random() / 30)
            assert all(data in (final[name], originals.get(name)) for name, data in written(folder, mode).items())
        finish(processes, folder, mode, tiny)
        assert contents(folder) == expected
        kept = folder / (MODES[mode][0] + ".backup")
        backups = [kept] if kept.is_file() else sorted(kept.glob("*.json"))
        assert len(backups) == len(final) * ("in place" in mode)
        assert all(p.read_bytes() == originals[p.name.removesuffix(".backup")] for p in backups)
    print(f"{kills} kills")  # pytest -rP shows it
    assert kills > KILLS // 2


def finish(processes, folder, mode, tiny):
    """The last run goes through; a document may have been finished just before the last kill."""
    process = start(processes, folder, mode, tiny)
    process.join()
    over = "document" in mode and not (folder / MODES[mode][3]).exists()
    assert process.exitcode == 0 or (process.exitcode == 1 and over)
