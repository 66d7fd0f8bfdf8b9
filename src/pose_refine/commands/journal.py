"""What a long run has finished, written down as it goes, so that the same command can go on after an interruption."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

Entry = dict[str, Any]


class Journal:
    """One JSON line for each thing that is finished; lines count for the options that were last written before them.

    Reading needs nothing; `with journal:` opens the file to append to it, and keeps other processes out.

    Args:
        path: The file; it need not exist.
        options: What the results depend on.

    Attributes:
        entries: Earlier entries that were written under the same options.
        others: Those that were written under other options.
    """

    def __init__(self, path: Path, options: Entry) -> None:
        self.path, self.options = path, options
        self.entries: list[Entry] = []
        self.others: list[Entry] = []
        same = False
        self._lines = _read_lines(path)
        for line in self._lines:
            if "options" in line:
                same = line["options"] == options
            else:
                (self.entries if same else self.others).append(line)
        self._continues = same

    def changed_options(self) -> list[str]:
        """How the options that were last used differ, in words."""
        last = [line["options"] for line in self._lines if "options" in line][-1:]
        return [
            f"{k} was {old.get(k)}, now is {new}"
            for old in last
            for k, new in self.options.items()
            if old.get(k) != new
        ]

    def __enter__(self) -> "Journal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
        _lock(self._file.fileno(), self.path)
        if self.path.stat().st_size:
            self._file.write(b"\n")  # what was killed may have left half a line
        if not self._continues:
            self.append({"options": self.options})
        return self

    def append(self, entry: Entry) -> None:
        """Write one entry; it survives this process at once."""
        self._file.write(json.dumps(entry).encode() + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _read_lines(path: Path) -> list[Entry]:
    lines = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:  # half a line
            continue
        if isinstance(entry, dict):
            lines.append(entry)
    return lines


def _lock(file: int, path: Path) -> None:
    """Until the file is closed, or the process ends in whatever way.

    Raises:
        ValueError: Another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once are the user's to avoid
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(f"another pose-refine is at work here: it holds {path}") from error
    except OSError:  # a file system without locks
        return
