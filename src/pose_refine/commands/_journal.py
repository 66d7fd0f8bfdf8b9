"""What a long run has finished, written down as it goes, so that the same command can go on after an interruption."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

Entry = dict[str, Any]


class Journal:
    """One JSON line for each thing that is finished; lines count for the options that were last written before them.

    `with journal:` locks the file, and only then reads it: whatever is decided by it, or by the files that it tells of,
    must be decided inside. A journal to which nothing was written leaves nothing behind.

    Args:
        path: The file; it need not exist.
        options: What the results depend on. Those that depend on what only the lock makes safe to read are set inside.

    Attributes:
        entries: Earlier entries that were written under the same options.
        others: Those that were written under other options.
    """

    def __init__(self, path: Path, options: Entry) -> None:
        self.path, self.options = path, options
        self._lines: list[Entry] = []
        self._made: list[Path] = []
        self._told = False

    @property
    def entries(self) -> list[Entry]:
        return [line for line, same in self._marked() if same]

    @property
    def others(self) -> list[Entry]:
        return [line for line, same in self._marked() if not same]

    def _marked(self) -> Iterator[tuple[Entry, bool]]:
        same = False
        for line in self._lines:
            if "options" in line:
                same = line["options"] == self.options
            else:
                yield line, same

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
        """Raises ValueError where another process has it."""
        self._made = [folder for folder in (self.path.parent,) if not folder.exists()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(self.path)
        self._lines, self._told = _read_lines(self.path), False
        return self

    def append(self, entry: Entry) -> None:
        """Write one entry; it survives this process at once."""
        if not self._told:
            self._begin()
        self._write(json.dumps(entry).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        """All of it: a disk that is nearly full takes a part, and only then says that there is no space."""
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._told = False  # what comes next must not follow upon half a line
            raise

    def _begin(self) -> None:
        self._told = True
        if self.path.is_file() and self.path.stat().st_size:
            self._write(b"\n")  # what was killed may have left half a line
        last = [line["options"] for line in self._lines if "options" in line][-1:]
        if last != [self.options]:
            self.append({"options": self.options})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.path.is_file() and not self.path.stat().st_size:
            self.remove()
        self._file.close()
        for folder in self._made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _locked(path: Path) -> BinaryIO:
    """The file, open to append to, and ours. Another process may have removed it while we waited for the lock."""
    while True:
        file = path.open("ab", buffering=0)
        try:
            _lock(file.fileno(), path)
        except ValueError:
            file.close()
            raise
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


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
