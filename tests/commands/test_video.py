"""`pose-refine video`."""

import json
import logging
import struct

import cv2
import numpy as np
import pytest

from pose_refine import Poses, Refiner
from pose_refine.nn.predictor import Predictor
from pose_refine.poses import Refinement

COUNT = 6
SIDE = 96  # pixels, as in conftest.py


@pytest.fixture
def folder(video):
    """images/000000000000.png ..., poses/000000000000_keypoints.json ..., and the images as movie.mp4."""
    folder = video(COUNT)
    images = [cv2.imread(str(path)) for path in sorted((folder / "images").iterdir())]
    writer = cv2.VideoWriter(str(folder / "movie.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    return folder


@pytest.fixture
def run(folder, command):
    """Runs `pose-refine video folder/VIDEO folder/POSES ...`."""
    return lambda video, poses, *arguments: command("video", folder / video, folder / poses, *arguments)


def people(path):
    return json.loads(path.read_text())["people"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


@pytest.mark.parametrize("source", ["movie.mp4", "images"])
def test_a_folder_of_poses(folder, run, source, caplog):
    assert run(source, "poses", "-o", folder / "out") == 0
    assert names(folder / "out") == names(folder / "poses")
    assert f"{COUNT} of {COUNT} frames refined" in caplog.text
    for name in names(folder / "out"):
        before, after = people(folder / "poses" / name)[0], people(folder / "out" / name)[0]
        assert after["person_id"] == [1]
        assert before["pose_keypoints_2d"] != after["pose_keypoints_2d"]
        assert before["face_keypoints_2d"] == after["face_keypoints_2d"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert run(source, "poses", "-o", folder / "out") == 1
    assert "--overwrite" in caplog.text
    assert run(source, "poses", "-o", folder / "out", "--overwrite") == 0


def test_a_document_and_a_picture_of_it(folder, run):
    results = []
    for i, name in enumerate(names(folder / "poses")):
        keypoints = people(folder / "poses" / name)[0]["pose_keypoints_2d"]
        results.append({"image_id": i, "keypoints": keypoints[: 3 * 17], "score": 0.5})
    (folder / "poses.json").write_text(json.dumps(results))
    assert run("movie.mp4", "poses.json", "-o", folder / "out.json", "--viz", folder / "viz.mp4") == 0
    out = json.loads((folder / "out.json").read_text())
    assert [p["track_id"] for p in out] == [1] * COUNT
    assert [p["image_id"] for p in out] == list(range(COUNT))
    pictures = frames_of(folder / "viz.mp4")
    assert len(pictures) == COUNT
    assert pictures[0].shape[:2] == (96, 194)  # two of 96 and a gap of 2


def test_it_goes_on_where_it_was(folder, run, monkeypatch, caplog):
    assert run("movie.mp4", "poses", "-o", folder / "whole") == 0
    predict = Predictor.predict
    with monkeypatch.context() as patch:
        interrupt_after(patch, COUNT // 2 + 1)
        assert run("movie.mp4", "poses", "-o", folder / "out", "--viz", folder / "viz.mp4") == 130
    assert "goes on from here" in caplog.text
    assert not (folder / "viz.mp4").exists()
    again = []
    monkeypatch.setattr(
        Predictor, "predict", lambda self, asked, size: again.extend(asked) or predict(self, asked, size)
    )
    assert run("movie.mp4", "poses", "-o", folder / "out", "--viz", folder / "viz.mp4") == 0
    assert 0 < len(again) < COUNT
    for name in names(folder / "whole"):
        assert (folder / "out" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert len(frames_of(folder / "viz.mp4")) == COUNT


def interrupt_after(patch, looks):
    """Have the network interrupted at that look."""
    asked, predict = [], Predictor.predict

    def interrupted(self, now, size):
        asked.extend(now)
        if len(asked) >= looks:
            raise KeyboardInterrupt
        return predict(self, now, size)

    patch.setattr(Predictor, "predict", interrupted)


@pytest.mark.parametrize("change", ["options", "file"])
def test_it_does_not_go_on_over_what_it_did_not_write_so(video, command, monkeypatch, caplog, change):
    folder = video(24)  # of which the first eight are written before others are looked at
    ask = ("video", folder / "images", folder / "poses", "-o", folder / "out")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 21)
        assert command(*ask) == 130
    done = sorted((folder / "out").iterdir())
    assert 0 < len(done) < 24
    if change == "file":
        done[0].write_text('"mine"')
    options = ["--mode", "mota"] if change == "options" else []
    before = {path: path.read_bytes() for path in done}
    assert command(*ask, *options) == 1
    assert f"{done[0]} exists" in caplog.text
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before
    assert command(*ask, *options, "--overwrite") == 0
    assert len(names(folder / "out")) == 24


def test_poses_of_frames_that_are_not_there_are_told(folder, run, caplog):
    extra = folder / "poses" / f"{COUNT + 3:012d}_keypoints.json"
    extra.write_bytes((folder / "poses" / names(folder / "poses")[0]).read_bytes())
    assert run("movie.mp4", "poses", "-o", folder / "out") == 1
    assert f"the video has only {COUNT} frames: poses of {extra.name}" in caplog.text
    assert len(names(folder / "out")) == COUNT


def test_what_cannot_be_read_is_told_and_skipped(folder, run, caplog):
    poses = names(folder / "poses")
    (folder / "poses" / poses[1]).write_text("{")
    image = sorted((folder / "images").iterdir())[3]
    image.write_bytes(image.read_bytes()[:60])
    assert run("images", "poses", "-o", folder / "out") == 1
    assert f"{poses[1]}: " in caplog.text
    assert "frame 3" in caplog.text
    assert names(folder / "out") == [n for n in poses if n != poses[1]]
    # The frame that does not decode keeps its joints, and gets an identity like the others.
    before, after = people(folder / "poses" / poses[3]), people(folder / "out" / poses[3])
    assert before[0]["pose_keypoints_2d"] == after[0]["pose_keypoints_2d"]
    assert after[0]["person_id"] == [1]
    assert f"{COUNT - 2} of {COUNT} frames refined" in caplog.text


def test_mota_drops_joints(folder, run):
    assert run("movie.mp4", "poses", "-o", folder / "all", "--smooth", "none") == 0
    assert run("movie.mp4", "poses", "-o", folder / "sure", "--smooth", "none", "--mode", "mota", "--threshold", 1) == 0
    count = {
        kind: sum(np.count_nonzero(people(path)[0]["pose_keypoints_2d"][2::3]) for path in (folder / kind).iterdir())
        for kind in ("all", "sure")
    }
    assert count["sure"] == 0 < count["all"]


BAD = {
    "no video": (("none.mp4", "poses", "-o", "out"), "no such video"),
    "not a video": (("text.mp4", "poses", "-o", "out"), "not a video"),
    "no poses": (("movie.mp4", "none", "-o", "out"), "no such pose file"),
    "OUT is POSES": (("movie.mp4", "poses", "-o", "poses"), "OUT is POSES"),
    "OUT of another kind": (("movie.mp4", "poses", "-o", "movie.mp4"), "OUT is POSES or VIDEO"),
    "a file for a folder": (("movie.mp4", "poses", "-o", "text.mp4"), "POSES is a folder, so OUT must be one"),
    "no folder for it": (("movie.mp4", "poses", "-o", "a/b/out"), "no such folder"),
    "numbers before the first": (("movie.mp4", "poses", "-o", "out", "--first", "1"), "said to be the first"),
    "a threshold of 70": (("movie.mp4", "poses", "-o", "out", "--threshold", "70"), "expected a probability"),
    "a picture that is none": (("movie.mp4", "poses", "-o", "out", "--viz", "viz.gif"), "name of an .mp4"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(folder, run, name, caplog):
    (video, poses, *rest), words = BAD[name]
    (folder / "text.mp4").write_text("text")
    places = [str(folder / a) if flag in ("-o", "--viz") else a for flag, a in zip(["", *rest], rest, strict=False)]
    with caplog.at_level(logging.ERROR):
        assert run(video, poses, *places) == 1
    assert words in caplog.text
    assert not (folder / "out").exists()


LAYOUTS = {
    "none": {"separators": (",", ":")},
    "spaces": {},
    "indented": {"indent": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_keeps_its_layout(folder, run, layout):
    for path in (folder / "poses").iterdir():
        path.write_text(json.dumps(json.loads(path.read_text()), **LAYOUTS[layout]))
    assert run("images", "poses", "-o", folder / "out") == 0
    for path in (folder / "out").iterdir():
        assert path.read_text() == json.dumps(json.loads(path.read_text()), **LAYOUTS[layout])


def test_a_document_keeps_its_layout(folder, run):
    whole = [json.loads(path.read_text()) for path in sorted((folder / "poses").iterdir())]
    (folder / "all.json").write_text(json.dumps(whole, indent=4) + "\n")
    assert run("movie.mp4", "all.json", "-o", folder / "out.json") == 0
    text = (folder / "out.json").read_text()
    out = json.loads(text)
    assert text == json.dumps(out, indent=4) + "\n"
    assert [d["people"][0]["person_id"] for d in out] == [[1]] * COUNT
    assert run("movie.mp4", "poses", "-o", folder / "out") == 0
    assert out == [json.loads(path.read_text()) for path in sorted((folder / "out").iterdir())]


def test_poses_that_are_numbered_from_1_are_told(folder, run, caplog):
    for path in sorted((folder / "poses").iterdir(), reverse=True):
        path.rename(path.with_name(f"{int(path.name[:12]) + 1:012d}_keypoints.json"))
    assert run("movie.mp4", "poses", "-o", folder / "out") == 1
    assert "numbered from 1? Then give --first 1" in caplog.text
    caplog.clear()
    assert run("movie.mp4", "poses", "-o", folder / "out", "--first", "1", "--overwrite") == 0
    assert "--first" not in caplog.text


def turn(path):
    """Have an .mp4's metadata say that it is to be turned by 90 degrees."""
    data = bytearray(path.read_bytes())
    start = data.find(b"tkhd") + 8 + 20 + 16  # version 0 of a track's header: its matrix
    assert data[start : start + 36] == struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, SIDE * 65536, 0, 1 << 30)
    path.write_bytes(data)


def test_poses_made_on_frames_that_were_not_turned_are_told(folder, run, caplog, monkeypatch):
    """The first frames' poses fit them as stored: here the network is sure of those alone."""
    stored = cv2.VideoCapture(str(folder / "movie.mp4")).read()[1]
    turn(folder / "movie.mp4")
    turned = cv2.VideoCapture(str(folder / "movie.mp4")).read()[1]
    assert np.abs(turned.astype(int) - stored).mean() > 20
    analyze = Refiner.analyze

    def sure(refiner, image, *arguments, **options):
        result = analyze(refiner, image, *arguments, **options)
        score = 0.9 if np.abs(image.astype(int) - stored).mean() < 20 else 0.2
        poses = Poses(result.poses.keypoints, np.full_like(result.poses.scores, score), result.poses.skeleton)
        return Refinement(poses, result.initial, result.shift, result.verdict)

    monkeypatch.setattr(Refiner, "analyze", sure)
    assert run("movie.mp4", "poses", "-o", folder / "out", "--viz", folder / "turned.mp4") == 0
    assert "turned by 90 degrees" in caplog.text
    assert "Then give --unrotated" in caplog.text
    caplog.clear()
    assert run("movie.mp4", "poses", "-o", folder / "other", "--unrotated", "--viz", folder / "stored.mp4") == 0
    assert "--unrotated" not in caplog.text
    both = [frames_of(folder / name)[0][:, :SIDE].astype(int) for name in ("turned.mp4", "stored.mp4")]
    off = [[np.abs(shown - frame).mean() for frame in (turned, stored)] for shown in both]
    assert off[0][0] < off[0][1]
    assert off[1][1] < off[1][0]
