import unicodedata
from pathlib import Path

import pytest

from pose_refine.commands._matching import list_files, match_files, match_names

# Images that are there, the name of the poses, and the image: a name, None (missing), or ... (ambiguous).
FILES = {
    "same stem": (["a.jpg"], "a.json", "a.jpg"),
    "OpenPose": (["a.jpg"], "a_keypoints.json", "a.jpg"),
    "OpenPose, a video's frame": (
        ["dance_000000000012.png"],
        "dance_000000000012_keypoints.json",
        "dance_000000000012.png",
    ),
    "array": (["a.jpg"], "a.npy", "a.jpg"),
    "capital suffix": (["a.JPG"], "a.json", "a.JPG"),
    "with the image's suffix": (["a.jpg"], "a.jpg.json", "a.jpg"),
    "with the suffix of one of two": (["a.jpg", "a.png"], "a.jpg.json", "a.jpg"),
    "dots": (["a.0001.jpg", "a.jpg"], "a.0001_keypoints.json", "a.0001.jpg"),
    "dots that are no suffix": (["a.jpg"], "a.0001_keypoints.json", None),
    "an image that is called so": (["a.jpg", "a_keypoints.jpg"], "a_keypoints.json", "a_keypoints.jpg"),
    "subfolder": (["x/a.jpg", "a.jpg"], "x/a_keypoints.json", "x/a.jpg"),
    "other subfolder": (["x/a.jpg"], "a.json", None),
    "longer name": (["ab.jpg"], "a.json", None),
    "two images": (["a.jpg", "a.png"], "a_keypoints.json", ...),
    "hidden image": ([".a.jpg"], ".a.json", None),
    "no image": (["a.txt", "a.json"], "a.json", None),
}
NAMES = {
    "as it is": (["a.jpg"], "a.jpg", "a.jpg"),
    "with folders": (["val/1/a.jpg"], "val/1/a.jpg", "val/1/a.jpg"),
    "more folders than there are": (["1/a.jpg", "a.jpg"], "images/val/1/a.jpg", "1/a.jpg"),
    "backslashes": (["1/a.jpg"], "val\\1\\a.jpg", "1/a.jpg"),
    "other suffix": (["a.png"], "a.jpg", "a.png"),
    "the very suffix first": (["a.png", "a.jpg"], "x/a.jpg", "a.jpg"),
    "two with other suffixes": (["a.png", "a.bmp"], "a.jpg", ...),
    "no suffix": (["a.0.png"], "a.0", "a.0.png"),
    "not there": (["b.jpg"], "a.jpg", None),
}


def write(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def check(matches, folder, name, expected):
    if expected is None:
        assert matches.missing == [name]
    elif expected is ...:
        assert list(matches.ambiguous) == [name]
    else:
        assert matches.images == {name: folder / expected}
    assert len(matches.images) + len(matches.missing) + len(matches.ambiguous) == 1


@pytest.mark.parametrize("case", FILES)
def test_files(tmp_path, case):
    images, name, expected = FILES[case]
    write(tmp_path, images)
    check(match_files(tmp_path, [name]), tmp_path, name, expected)


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path, case):
    images, name, expected = NAMES[case]
    write(tmp_path, images)
    check(match_names(tmp_path, [name]), tmp_path, name, expected)


def test_two_files_of_poses_may_share_an_image(tmp_path):
    write(tmp_path, ["a.jpg"])
    assert len(match_files(tmp_path, ["a.json", "a_keypoints.json"]).images) == 2


def test_two_names_for_one_image_are_both_doubted(tmp_path):
    write(tmp_path, ["0.jpg", "1.jpg"])
    matches = match_names(tmp_path, ["x/0.jpg", "y/0.jpg", "x/1.jpg"])
    assert matches.images == {"x/1.jpg": tmp_path / "1.jpg"}
    assert matches.ambiguous["x/0.jpg"] == "0.jpg, but so do others (x/0.jpg, y/0.jpg)"
    assert sorted(match_names(tmp_path, ["0.jpg", "0.jpg"]).ambiguous) == ["0.jpg"]


def test_list_files(tmp_path):
    write(tmp_path, ["b.json", "a/c.NPY", "a/.hidden.json", ".git/d.json", "out/e.json", "f.txt"])
    assert list_files(tmp_path, (".json", ".npy"), leave_out=tmp_path / "out") == ["a/c.NPY", "b.json"]


@pytest.mark.parametrize("spelling", ["in/out", "in/../in/out", "absolute"])
def test_results_are_left_out_however_they_are_spelt(tmp_path, monkeypatch, spelling):
    (tmp_path / "in" / "out").mkdir(parents=True)
    for name in ("a.json", "out/a.json"):
        (tmp_path / "in" / name).touch()
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "in" / "out" if spelling == "absolute" else Path(spelling)
    assert list_files(Path("in"), (".json",), leave_out=out) == ["a.json"]


def test_a_link_into_a_folder_that_it_lies_in_is_not_gone_round(tmp_path):
    write(tmp_path, ["a/x.jpg", "b/y.jpg"])
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b", target_is_directory=True)
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a", target_is_directory=True)
    assert list_files(tmp_path, (".jpg",)) == ["a/to_b/y.jpg", "a/x.jpg", "b/to_a/x.jpg", "b/y.jpg"]


IDS = {"000000000139.jpg": "000000000139.jpg", "139": "000000000139.jpg", "139.0": "000000000139.jpg", "x": "x.png"}


@pytest.mark.parametrize("name", IDS)
def test_ids_and_stems(tmp_path, name):
    write(tmp_path, ["000000000139.jpg", "x.png"])
    assert match_names(tmp_path, [name]).images == {name: tmp_path / IDS[name]}


@pytest.mark.parametrize("match", [match_files, match_names])
def test_names_in_another_normalisation(tmp_path, match):
    write(tmp_path, ["caf\u00e9.jpg"])
    name = unicodedata.normalize("NFD", "caf\u00e9.json" if match is match_files else "caf\u00e9.jpg")
    assert match(tmp_path, [name]).images == {name: tmp_path / "caf\u00e9.jpg"}
