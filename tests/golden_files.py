"""The official tools' numbers on synthetic data, and that data, as one compressed file beside this one.

    python tests/golden_files.py FOLDER

packs a folder as golden.tar.xz: the same bytes for the same content, whoever does it and when.
"""

import io
import sys
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "golden.tar.xz"


def pack(folder, archive=ARCHIVE):
    """All files under a folder, without what tells of the machine."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in paths:
            data = path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return len(paths)


def unpack(folder, archive=ARCHIVE):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    count = pack(Path(sys.argv[1]))
    sys.stdout.write(f"{count} files, {ARCHIVE.stat().st_size / 1e6:.2f} MB -> {ARCHIVE}\n")
