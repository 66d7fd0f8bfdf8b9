import json
import shutil

import cv2
import numpy as np
import pytest

from pose_refine import Refiner

COUNT = 4
NAMES = [f"{i:012d}_keypoints.json" for i in range(COUNT)]


@pytest.fixture
def given(video):
    return video(COUNT)


@pytest.fixture
def folder(given, command):
    """Runs `pose-refine folder given/images given/poses ...`."""
    return lambda *arguments: command("folder", given / "images", given / "poses", *arguments)


def times(path):
    return {p.name: p.stat().st_mtime_ns for p in path.iterdir()}


def body(path):
    return np.reshape(json.loads(path.read_text())["people"][0]["pose_keypoints_2d"], (25, 3))


def test_each_file_is_what_run_makes_of_it(folder, given, command, caplog):
    originals = {p.name: p.read_bytes() for p in (given / "poses").iterdir()}
    assert folder("-o", given / "out") == 0
    assert "4 of 4 frames refined (4 people: " in caplog.text
    for i, name in enumerate(NAMES):
        command(
            "run", given / "images" / f"{i:012d}.png", given / "poses" / name, "-o", given / "one.json", "--overwrite"
        )
        assert (given / "out" / name).read_bytes() == (given / "one.json").read_bytes()
        assert (given / "poses" / name).read_bytes() == originals[name]
        assert (given / "out" / name).read_bytes() != originals[name]
    assert sorted(p.name for p in (given / "out").glob("[!.]*")) == NAMES


@pytest.mark.filterwarnings("ignore:.*wholly outside")  # the pose is of a larger image
def test_subfolders_arrays_and_other_spellings(given, command, pose):
    (given / "images" / "a.b").mkdir()
    (given / "poses" / "a.b").mkdir()
    shutil.copy(given / "images" / f"{1:012d}.png", given / "images" / "a.b" / "x.1.JPG")
    shutil.copy(given / "poses" / NAMES[1], given / "poses" / "a.b" / "x.1.JPG.json")
    np.save(given / "poses" / "a.b" / "x.1.npy", pose)
    assert command("folder", given / "images", given / "poses", "-o", given / "out") == 0
    assert np.array_equal(body(given / "out" / "a.b" / "x.1.JPG.json"), body(given / "out" / NAMES[1]))
    assert np.load(given / "out" / "a.b" / "x.1.npy").shape == (1, 17, 3)


def test_done_frames_are_not_done_again(folder, given, monkeypatch, caplog):
    assert folder("-o", given / "out") == 0
    before = times(given / "out")
    monkeypatch.setattr(Refiner, "from_pretrained", None)  # is not even loaded
    assert folder("-o", given / "out") == 0
    assert times(given / "out") == before
    assert "0 of 4 frames refined, 4 were done before" in caplog.text


def test_what_is_new_or_changed_is_done(folder, given):
    assert folder("-o", given / "out") == 0
    before = times(given / "out")
    (given / "poses" / NAMES[0]).write_bytes((given / "poses" / NAMES[3]).read_bytes() + b"\n")
    shutil.copy(given / "images" / f"{3:012d}.png", given / "images" / f"{1:012d}.png")
    (given / "out" / NAMES[2]).unlink()
    assert folder("-o", given / "out") == 0
    after = times(given / "out")
    changed = {name for name in NAMES if after[name] != before[name]}
    assert changed == set(NAMES[:3])


def test_interrupted_and_resumed(folder, given, monkeypatch, caplog, contents):
    analyze, calls = Refiner.analyze, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return analyze(*arguments, **options)

    monkeypatch.setattr(Refiner, "analyze", interrupted)
    assert folder("-o", given / "out") == 130
    assert "interrupted: 2 of 4 frames refined" in caplog.text
    assert len(list((given / "out").glob("*.json"))) == 2
    assert folder("-o", given / "out") == 0
    assert "2 of 4 frames refined (2 people" in caplog.text
    assert "2 were done before" in caplog.text
    assert folder("-o", given / "other") == 0
    assert contents(given / "out") == contents(given / "other")


def test_other_options_are_told_and_need_overwrite(folder, given, caplog):
    assert folder("-o", given / "out") == 0
    before = (given / "out" / NAMES[0]).read_bytes()
    assert folder("-o", given / "out", "--no-recover") == 1
    assert "refined with other options (recover was True, now is False)" in caplog.text
    assert (given / "out" / NAMES[0]).read_bytes() == before
    assert folder("-o", given / "out", "--no-recover", "--overwrite") == 0
    assert (given / "out" / NAMES[0]).read_bytes() != before
    assert folder("-o", given / "out", "--overwrite") == 0
    assert (given / "out" / NAMES[0]).read_bytes() == before


def test_files_of_others_are_not_replaced_unasked(folder, given, caplog):
    (given / "out").mkdir()
    (given / "out" / NAMES[1]).write_text("mine")
    assert folder("-o", given / "out") == 1
    assert f"files exist that this command did not write; use another folder, or --overwrite: {NAMES[1]}" in caplog.text
    assert [p.name for p in (given / "out").iterdir()] == [NAMES[1]]
    assert folder("-o", given / "out", "--overwrite") == 0
    (given / "out" / NAMES[0]).write_text("edited")
    assert folder("-o", given / "out") == 1
    assert (given / "out" / NAMES[0]).read_text() == "edited"


# What is done to the files of frame 1, and what is said of it.
BAD = {
    "no image": (lambda f: (f / "images" / f"{1:012d}.png").unlink(), "left out, no such image in"),
    "two images": (
        lambda f: shutil.copy(f / "images" / f"{1:012d}.png", f / "images" / f"{1:012d}.jpg"),
        f"not clear which image: {NAMES[1]} may mean {1:012d}.jpg, {1:012d}.png",
    ),
    "no picture": (lambda f: (f / "images" / f"{1:012d}.png").write_bytes(b"no"), "not an image file"),
    "half a JSON": (lambda f: (f / "poses" / NAMES[1]).write_text('{"people": ['), "not a JSON file"),
    "no poses": (lambda f: (f / "poses" / NAMES[1]).write_text('{"people": 3}'), "expected"),
    "nothing": (lambda f: (f / "poses" / NAMES[1]).write_text("3"), "expected a JSON object or list, got int"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_file_is_told_and_skipped(folder, given, caplog, name):
    damage, words = BAD[name]
    damage(given)
    assert folder("-o", given / "out") == 1
    assert words in caplog.text
    assert "3 of 4 frames refined" in caplog.text
    assert sorted(p.name for p in (given / "out").glob("[!.]*")) == [NAMES[0], *NAMES[2:]]


def test_bad_files_in_place_stay_as_they_are(folder, given):
    (given / "images" / f"{1:012d}.png").unlink()
    (given / "poses" / NAMES[2]).write_text("{")
    before = {name: (given / "poses" / name).read_bytes() for name in NAMES}
    assert folder("--in-place") == 1
    after = {name: (given / "poses" / name).read_bytes() for name in NAMES}
    assert [after[name] == before[name] for name in NAMES] == [False, True, True, False]


def test_in_place_is_the_same_and_keeps_the_originals(folder, given, contents):
    (given / "poses" / NAMES[0]).chmod(0o640)
    before = contents(given / "poses")
    assert folder("-o", given / "out") == 0
    expected = {name: data for name, data in contents(given / "out").items() if name in NAMES}
    assert folder("--in-place") == 0
    assert contents(given / "poses") == expected
    assert {n: d for n, d in contents(given / "poses.backup").items() if n in NAMES} == before
    assert (given / "poses" / NAMES[0]).stat().st_mode & 0o777 == 0o640


def test_in_place_refines_nothing_twice(folder, given, contents, caplog):
    assert folder("--in-place") == 0
    after, kept = contents(given / "poses"), contents(given / "poses.backup")
    for arguments in ["--in-place"], ["--in-place", "--overwrite"]:
        assert folder(*arguments) == 0
        assert (contents(given / "poses"), contents(given / "poses.backup")) == (after, kept)
    shutil.copytree(given / "poses", given / "copied", copy_function=shutil.copy)  # other times
    shutil.rmtree(given / "poses")
    (given / "copied").rename(given / "poses")
    assert folder("--in-place") == 0
    assert (contents(given / "poses"), contents(given / "poses.backup")) == (after, kept)
    assert caplog.text.count("4 were done before") == 3


def test_without_mirror_images_is_another_option(folder, given, caplog):
    assert folder("-o", given / "out") == 0
    assert folder("-o", given / "out", "--no-flip") == 1
    assert "refined with other options (flip was None, now is False)" in caplog.text


def test_in_place_with_other_options_starts_from_the_originals(folder, given, contents, caplog):
    kept = contents(given / "poses")
    assert folder("-o", given / "out", "--no-recover") == 0
    assert folder("--in-place") == 0
    assert folder("--in-place", "--no-recover") == 1
    assert "recover was True, now is False" in caplog.text
    assert folder("--in-place", "--no-recover", "--overwrite") == 0
    assert contents(given / "poses") == {n: d for n, d in contents(given / "out").items() if n in NAMES}
    assert {n: d for n, d in contents(given / "poses.backup").items() if n in NAMES} == kept


def test_in_place_new_poses_after_a_run(folder, given, caplog):
    """The estimator ran again: one file is new, one has changed."""
    first = (given / "poses" / NAMES[0]).read_bytes()
    last = (given / "poses" / NAMES[3]).read_bytes()
    (given / "poses" / NAMES[3]).unlink()
    assert folder("--in-place") == 0
    (given / "poses" / NAMES[3]).write_bytes(last)
    assert folder("--in-place") == 0
    assert (given / "poses" / NAMES[3]).read_bytes() != last
    (given / "poses" / NAMES[0]).write_bytes(first + b"\n")
    assert folder("--in-place") == 1
    assert "holds other originals" in caplog.text
    assert (given / "poses.backup" / NAMES[0]).read_bytes() == first
    assert folder("--in-place", "--overwrite") == 0
    assert (given / "poses.backup" / NAMES[0]).read_bytes() == first + b"\n"
    assert (given / "poses.backup" / NAMES[3]).read_bytes() == last


def test_in_place_does_not_touch_a_backup_of_others(folder, given, contents, caplog):
    (given / "poses.backup").mkdir()
    (given / "poses.backup" / NAMES[2]).write_text("mine")
    before = contents(given)
    assert folder("--in-place") == 1
    assert NAMES[2] in caplog.text
    assert contents(given) == before


def test_in_place_lost_originals_are_told(folder, given, caplog):
    assert folder("--in-place") == 0
    (given / "poses.backup" / NAMES[2]).unlink()
    before = (given / "poses" / NAMES[2]).read_bytes()
    assert folder("--in-place") == 1
    assert (
        f"lacks originals of refined files; put them back, or --overwrite to refine these once more: {NAMES[2]}"
        in caplog.text
    )
    assert (given / "poses" / NAMES[2]).read_bytes() == before


def test_images_and_poses_in_one_folder_and_results_inside_poses(given, command, contents):
    for path in (given / "poses").iterdir():
        path.rename(given / "images" / path.name)
    for _ in range(2):
        assert command("folder", given / "images", given / "images", "-o", given / "images" / "refined") == 0
    assert sorted(p.name for p in (given / "images" / "refined").glob("[!.]*")) == NAMES


def test_what_is_not_refined_stays_byte_for_byte(folder, given):
    """As OpenPose lays its JSON out: no blanks, no line feed."""
    path, data = given / "poses" / NAMES[1], b'{"version":1.3,"people":[],"part_candidates":[{"0":[1.5,2,0.75]}]}'
    path.write_bytes(data)
    assert folder("-o", given / "out") == 0
    assert (given / "out" / NAMES[1]).read_bytes() == data


def test_nobody_in_a_frame(folder, given):
    document = {"version": 1.3, "people": [], "part_candidates": []}
    (given / "poses" / NAMES[1]).write_text(json.dumps(document))
    assert folder("-o", given / "out") == 0
    assert json.loads((given / "out" / NAMES[1]).read_text()) == document


# Images, poses, where to write, and what is said.
WRONG = {
    "image instead of folder": (f"images/{0:012d}.png", "poses", "out", "pose-refine run IMAGE POSES"),
    "no images": ("none", "poses", "out", "is not there"),
    "no poses": ("images", "none", "out", "POSES: no such folder or file"),
    "poses in poses": ("images", "poses", "poses", "--in-place"),
    "out is a file": ("images", "poses", f"images/{0:012d}.png", "so OUT must be one"),
    "no folder for out": ("images", "poses", "a/b", "no such folder"),
    "no pose files": ("images", "images", "out", "no files of poses"),
    "other images": ("empty", "poses", "out", "no poses have an image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_explained(given, command, contents, caplog, name):
    images, poses, out, words = WRONG[name]
    (given / "empty").mkdir()
    before = contents(given)
    assert command("folder", given / images, given / poses, "-o", given / out) == 1
    assert words in caplog.text
    assert contents(given) == before


@pytest.mark.parametrize("where", [[], ["-o", "out", "--in-place"]], ids=["neither", "both"])
def test_one_place_to_write_is_needed(folder, where):
    with pytest.raises(SystemExit) as error:
        folder(*where)
    assert error.value.code == 2


@pytest.mark.filterwarnings("ignore:.*wholly outside")  # the pose is of a larger image
def test_large_images_and_order_of_reading(command, tmp_path, pose):
    """More frames than are read ahead, of sizes that take different times to read."""
    for name in ("images", "poses"):
        (tmp_path / name).mkdir()
    for i in range(30):
        side = 64 if i % 5 else 1024
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), np.full((side, side, 3), 8 * i, np.uint8))
        np.save(tmp_path / "poses" / f"{i}.npy", pose[:, :, :] + np.float32([i, 0, 0]))
    assert command("folder", tmp_path / "images", tmp_path / "poses", "-o", tmp_path / "out") == 0
    for i in (0, 1, 29):
        command("run", tmp_path / "images" / f"{i}.png", tmp_path / "poses" / f"{i}.npy", "-o", tmp_path / f"{i}.npy")
        assert np.array_equal(np.load(tmp_path / "out" / f"{i}.npy"), np.load(tmp_path / f"{i}.npy"))
