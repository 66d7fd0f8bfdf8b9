"""What a long run has finished, written down as it goes, so that the same command can go on after an interruption."""

import errno
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

Entry = dict[str, Any]
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # what file systems without locks say


class Journal:
    """One JSON line for each thing that is finished; lines count for the options that were last written before them.

    `with journal:` locks it, and only then reads it: whatever is decided by it, or by the files that it tells of, must
    be decided inside. A journal to which nothing was written leaves nothing behind.

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
        with ExitStack() as stack:
            stack.enter_context(_folder(self.path.parent))
            stack.enter_context(_locked(self.path))
            self._lines, self._told = _read_lines(self.path), False
            self._leave = stack.pop_all()
        return self

    def append(self, entry: Entry) -> None:
        """Write one entry; it survives this process at once."""
        if not self._told:
            self._begin()
        self._write(json.dumps(entry).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        """All of it: a disk that is nearly full takes a part, and only then says that there is no space."""
        try:
            with self.path.open("ab", buffering=0) as file:
                while data:
                    data = data[file.write(data) :]
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
        self._leave.close()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder, made if need be; what is made here and stays empty is removed again."""
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if made and path.is_dir() and not any(path.iterdir()):
            path.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Nobody else works at this file meanwhile; the lock of a process that died holds nobody up.

    The lock is a file of its own beside it, which only a process that was killed leaves there, until the next run.

    Raises:
        ValueError: Another process has it.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(f"another pose-refine is at work here: it holds {path}") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:  # without any, two runs at once are the user's to avoid
            raise
    try:
        yield
    finally:
        if sys.platform != "win32":  # there filelock itself does, and a file that is held cannot be removed
            Path(lock.lock_file).unlink(missing_ok=True)  # while it is ours: who waits for it sees that it is gone
        lock.release()


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
