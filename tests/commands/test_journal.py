"""Two processes at the same files."""

import json
import subprocess
import sys

import pytest

from pose_refine.commands._journal import Journal

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


def test_a_journal_that_its_owner_removed_is_made_anew(tmp_path, monkeypatch):
    """Who waited for a file that is gone must not take it for the lock."""
    path = tmp_path / ".journal.jsonl"
    from pose_refine.commands import _journal as journal

    lock, tried = journal._lock, []

    def late(file, path):
        if not tried:
            path.unlink()  # what the process did that had the lock until now
        tried.append(file)
        lock(file, path)

    monkeypatch.setattr(journal, "_lock", late)
    with Journal(path, {}) as own:
        own.append({"name": "x"})
        assert path.is_file()
    assert len(tried) == 2
