import json
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest

from pose_refine import cli
from pose_refine.cli import main


@pytest.fixture
def inputs(tmp_path, photo, pose):
    """A photograph and its pose as OpenPose, COCO results and .npy."""
    cv2.imwrite(str(tmp_path / "photo.png"), photo[:, :, ::-1])
    flat = [round(float(v), 3) for v in np.nan_to_num(pose[0]).reshape(-1)]
    (tmp_path / "coco.json").write_text(json.dumps([{"image_id": 7, "keypoints": flat, "score": 0.5}]))
    body = np.zeros((25, 3))
    body[[0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]] = np.nan_to_num(pose[0])
    people = [{"person_id": [3], "pose_keypoints_2d": body.reshape(-1).tolist(), "face_keypoints_2d": [1.5, 2, 0.5]}]
    (tmp_path / "openpose.json").write_text(json.dumps({"version": 1.3, "people": people}))
    np.save(tmp_path / "array.npy", pose)
    return tmp_path


def run(folder, *arguments):
    return main([str(folder / a) if "." in a else a for a in arguments])


def test_commands_keep_freed_memory(monkeypatch, capsys):
    kept = []
    monkeypatch.setattr(cli, "keep_memory", lambda: kept.append(True))
    assert main(["info"]) == 0
    assert kept == [True]


def test_openpose_in_openpose_out(inputs):
    assert run(inputs, "run", "photo.png", "openpose.json", "-o", "out.json", "--viz", "out.png") == 0
    before, after = (json.loads((inputs / n).read_text()) for n in ("openpose.json", "out.json"))
    values = np.array(after["people"][0].pop("pose_keypoints_2d")).reshape(25, 3)
    before["people"][0].pop("pose_keypoints_2d")
    assert after == before
    assert (values[:15, 2] > 0).all()
    assert (values[19:] == 0).all()  # feet: not known
    assert cv2.imread(str(inputs / "out.png")).shape[0] > 512  # and a legend


def test_coco_results(inputs):
    assert run(inputs, "run", "photo.png", "coco.json", "-o", "out.json") == 0
    (after,) = json.loads((inputs / "out.json").read_text())
    assert (after["image_id"], after["score"], len(after["keypoints"])) == (7, 0.5, 51)


def test_array_and_conversion(inputs):
    assert run(inputs, "run", "photo.png", "array.npy", "-o", "out.npy", "--to", "mpii16") == 0
    assert np.load(inputs / "out.npy").shape == (1, 16, 3)
    assert run(inputs, "run", "photo.png", "openpose.json", "-o", "coco17.json", "--to", "coco17") == 0
    assert np.array(json.loads((inputs / "coco17.json").read_text()), float).shape == (1, 17, 3)


@pytest.mark.filterwarnings("default")
def test_warnings_are_said_in_plain_words(inputs, pose, caplog):
    shown = warnings.showwarning
    np.save(inputs / "far.npy", pose + np.float32([5000, 0, 0]))
    assert run(inputs, "run", "photo.png", "far.npy", "-o", "out.npy") == 0
    (said,) = [r.getMessage() for r in caplog.records if "wholly outside" in r.getMessage()]
    assert said.startswith("pose-refine: warning: person 0 lies wholly outside the image of ")
    assert warnings.showwarning is shown


def test_never_overwrites_unasked(inputs, caplog):
    (inputs / "out.json").write_text("mine")
    assert run(inputs, "run", "photo.png", "coco.json", "-o", "out.json") == 1
    assert "--overwrite" in caplog.text
    assert (inputs / "out.json").read_text() == "mine"
    assert run(inputs, "run", "photo.png", "coco.json", "-o", "out.json", "--overwrite") == 0
    assert json.loads((inputs / "out.json").read_text())


BAD = {
    "no image": ("none.png", "coco.json", "out.json", "no such image"),
    "no poses": ("photo.png", "none.json", "out.json", "no such pose file"),
    "no array": ("photo.png", "none.npy", "out.json", "no such pose file"),
    "no JSON": ("photo.png", "photo.png", "out.json", "not a JSON file"),
    "no folder": ("photo.png", "coco.json", "none/out.json", "no such folder"),
    "JSON to .npy": ("photo.png", "coco.json", "out.npy", "--to"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_nothing_is_written(inputs, caplog, name):
    image, poses, out, words = BAD[name]
    assert run(inputs, "run", image, poses, "-o", out) == 1
    assert words in caplog.text
    assert not (inputs / out).exists()
    assert not list(inputs.glob(".*"))


def test_demo(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a second time, too
        assert main(["demo"]) == 0
    assert cv2.imread("pose_refine_demo.png").shape[1] > 1024
    assert main(["demo", "-o", "demo.xyz"]) == 1
    assert main(["demo", "-o", "pose_refine_demo.png"]) == 1  # a name that is given is somebody's
    assert "--overwrite" in caplog.text


def test_installed_command_answers_help():
    done = subprocess.run([sys.executable, "-m", "pose_refine", "--help"], capture_output=True, text=True, check=True)
    assert "demo" in done.stdout
    assert "run" in done.stdout
