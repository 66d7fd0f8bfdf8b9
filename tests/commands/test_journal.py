"""Two processes at the same files."""

import json
import subprocess
import sys

import pytest

from pose_refine.commands._journal import NO_LOCKS, Journal

COUNT = 2


@pytest.mark.parametrize("poses", ["poses", "poses.json"], ids=["files", "a document"])
def test_a_run_in_place_that_another_overtakes_does_not_overwrite_the_originals(
    coco, tiny, command, poses, monkeypatch
):
    """The other process does all its work after this one has begun, and before this one has the lock."""
    folder = coco(COUNT)
    ask = ["folder", folder / "images", folder / poses, "--in-place"]
    files = sorted((folder / poses).iterdir()) if poses == "poses" else [folder / poses]
    originals = {path.name: path.read_bytes() for path in files}
    enter, others = Journal.__enter__, []

    def overtaken(journal):
        options = ["--weights", tiny, "--device", "cpu"]
        others.append(subprocess.run([sys.executable, "-m", "pose_refine", *ask, *options], check=False).returncode)
        return enter(journal)

    monkeypatch.setattr(Journal, "__enter__", overtaken)
    command(*ask)
    assert others == [0]
    backup = folder / f"{poses}.backup"
    kept = {path.name: path.read_bytes() for path in (backup.iterdir() if backup.is_dir() else [backup])}
    assert {name.removesuffix(".backup"): data for name, data in kept.items() if ".jsonl" not in name} == originals
    assert all(path.read_bytes() != originals[path.name] for path in files)


def test_two_at_once_are_refused(tmp_path):
    path = tmp_path / "out" / ".journal.jsonl"
    with (
        Journal(path, {}) as first,
        pytest.raises(ValueError, match="another pose-refine is at work"),
        Journal(path, {}),
    ):
        pass
    assert not first.path.parent.exists()  # nothing was written


def test_what_was_written_is_read_under_the_lock(tmp_path):
    path = tmp_path / ".journal.jsonl"
    late = Journal(path, {"weights": "a"})
    with Journal(path, {"weights": "a"}) as early:
        early.append({"name": "x"})
    with late:
        assert late.entries == [{"name": "x"}]
        late.append({"name": "y"})
    with Journal(path, {"weights": "b"}) as other:
        assert (other.entries, other.others) == ([], [{"name": "x"}, {"name": "y"}])
        assert other.changed_options() == ["weights was a, now is b"]
    assert json.loads(path.read_text().partition("\n")[0]) == {"options": {"weights": "a"}}


HOLD = """
import sys
from pathlib import Path
from pose_refine.commands._journal import NO_LOCKS, Journal
with Journal(Path(sys.argv[1]), {}) as journal:
    journal.append({"name": "x"})
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_refused_until_this_one_dies(tmp_path):
    """Killed, so that it cannot let go of the lock itself; what it left of that is gone after the next run."""
    path = tmp_path / ".journal.jsonl"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline() == b"mine\n"
        with (
            pytest.raises(ValueError, match=f"another pose-refine is at work here: it holds {path}"),
            Journal(path, {}),
        ):
            pass
        other.kill()
    with Journal(path, {}) as own:
        assert own.entries == [{"name": "x"}]
    assert list(tmp_path.iterdir()) == [path]


def test_the_lock_of_a_file_that_is_gone_is_none(tmp_path, monkeypatch):
    """Who had it until now has just removed it, and somebody else may hold the next one."""
    fcntl = pytest.importorskip("fcntl")
    path, flock = tmp_path / ".journal.jsonl", fcntl.flock

    def late(*asked):
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        flock(*asked)

    with monkeypatch.context() as patched, pytest.raises(ValueError, match="at work"):
        patched.setattr(fcntl, "flock", late)
        with Journal(path, {}):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("why", sorted({*NO_LOCKS}))
def test_a_file_system_without_locks(tmp_path, monkeypatch, why):
    fcntl = pytest.importorskip("fcntl")

    def refused(*_):
        raise OSError(why, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refused)
    with Journal(tmp_path / "journal", {}) as journal:
        journal.append({"name": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
