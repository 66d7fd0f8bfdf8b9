import os

import golden_files


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_packed_comes_out_again_and_time_does_not_matter(tmp_path):
    given = tmp_path / "given"
    for name, data in (("golden.json", b"{}"), ("edge/a/gt/s.json", b"[1]"), ("pckh/x.npz", bytes(range(256)))):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).write_bytes(data)
    assert golden_files.pack(given, tmp_path / "a.tar.xz") == 3
    os.utime(given / "golden.json", (1, 1))
    (given / "golden.json").chmod(0o600)
    golden_files.pack(given, tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()
    assert tree(golden_files.unpack(tmp_path / "out", tmp_path / "a.tar.xz")) == tree(given)


def test_the_repositorys_own_is_small_and_whole(golden_files_folder):
    names = tree(golden_files_folder)
    assert "golden.json" in names
    assert sum(name.startswith("edge/") for name in names) > 40
    if golden_files.ARCHIVE.is_file():
        assert golden_files.ARCHIVE.stat().st_size < 2_000_000
