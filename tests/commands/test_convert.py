"""Conversions on the command line: any format in, three out."""

import io
import json

import numpy as np
import pytest

from pose_refine.cli import main
from pose_refine.skeletons import SKELETONS

BODY, COCO = SKELETONS["body25"].joints, SKELETONS["coco17"].joints


@pytest.fixture
def openpose(tmp_path):
    """Two people; the second lacks all but its nose and left wrist."""
    rows = np.arange(150, dtype=float).reshape(2, 25, 3) + 1
    rows[..., 2] = 0.5
    rows[1, [k for k, name in enumerate(BODY) if name not in ("nose", "left_wrist")]] = 0
    people = [{"person_id": [i + 4], "pose_keypoints_2d": row.reshape(-1).tolist()} for i, row in enumerate(rows)]
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return tmp_path / "a_keypoints.json", rows


def convert(source, out, *options):
    return main(["convert", str(source), "-o", str(out), *options])


def test_to_coco_results(openpose, tmp_path):
    source, rows = openpose
    assert convert(source, tmp_path / "coco.json", "--as", "coco", "--to", "coco17") == 0
    first, second = json.loads((tmp_path / "coco.json").read_text())
    assert (first["image_id"], first["category_id"], first["score"]) == ("a", 1, 0.5)
    keypoints = np.reshape(first["keypoints"], (17, 3))
    for k, name in enumerate(COCO):
        assert keypoints[k].tolist() == rows[0, BODY.index(name)].tolist()
    assert np.count_nonzero(np.reshape(second["keypoints"], (17, 3)).any(1)) == 2


def test_there_and_back_keeps_shared_joints_and_computes_middles(openpose, tmp_path):
    source, rows = openpose
    assert convert(source, tmp_path / "coco.json", "--as", "coco", "--to", "coco17") == 0
    assert convert(tmp_path / "coco.json", tmp_path / "back.json", "--as", "openpose") == 0
    people = json.loads((tmp_path / "back.json").read_text())["people"]
    back = np.reshape([p["pose_keypoints_2d"] for p in people], (2, 25, 3))
    for k, name in enumerate(BODY):
        if name in COCO:
            assert back[:, k].tolist() == rows[:, k].tolist()
        elif name == "neck":
            expected = rows[0, [BODY.index("left_shoulder"), BODY.index("right_shoulder")]].mean(0)
            assert back[0, k].tolist() == expected.tolist()
        elif "toe" in name or "heel" in name:
            assert (back[:, k] == 0).all()


@pytest.mark.parametrize("name", ["out.npy", "out.json"])
def test_to_an_array(openpose, tmp_path, name):
    source, rows = openpose
    assert convert(source, tmp_path / name, "--to", "mpii16") == 0
    out = np.load(tmp_path / name) if name == "out.npy" else np.array(json.loads((tmp_path / name).read_text()), float)
    assert out.shape == (2, 16, 3)
    wrist = SKELETONS["mpii16"].joints.index("left_wrist")
    np.testing.assert_array_equal(out[:, wrist], rows[:, BODY.index("left_wrist")])
    assert np.isnan(out[1, 0, :2]).all()


def test_streams(openpose, tmp_path, monkeypatch, capsysbinary):
    source, _ = openpose
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(source.read_bytes())}))
    assert convert("-", "-", "--as", "coco", "--to", "coco17", "--image-id", "7") == 0
    assert {entry["image_id"] for entry in json.loads(capsysbinary.readouterr().out)} == {7}


IDS = {
    "a number": (7, 7),
    "a number as text": ("7", 7),
    "a float": (7.0, 7),
    "COCO's file name": ("000000000785.jpg", 785),
    "another name": ("photo.jpg", "photo.jpg"),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_of_images_are_whole_numbers_where_they_can_be(tmp_path, caplog, name):
    given, expected = IDS[name]
    (tmp_path / "in.json").write_text(json.dumps([{"image_id": given, "keypoints": [5, 6, 0.5] * 17, "score": 0.5}]))
    assert convert(tmp_path / "in.json", tmp_path / "out.json", "--as", "coco") == 0
    (entry,) = json.loads((tmp_path / "out.json").read_text())
    assert (entry["image_id"], type(entry["image_id"])) == (expected, type(expected))
    assert ("--image-id" in caplog.text) == isinstance(expected, str)


BAD = {
    "coco as .npy": (["out.npy", "--as", "coco"], "--as coco is JSON"),
    "openpose of mpii": (["out.json", "--as", "openpose", "--to", "mpii16"], "holds body25, coco18, mpi15"),
    "another skeleton": (["out.json", "--skeleton", "coco17"], "but the poses are 'body25'"),
    "no folder": (["none/out.json"], "no such folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(openpose, tmp_path, caplog, name):
    (out, *options), words = BAD[name]
    assert convert(openpose[0], tmp_path / out, *options) == 1
    assert words in caplog.text
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize("text", ["640", "0x480", "640x", "axb"])
def test_a_size_is_width_and_height(openpose, tmp_path, text, capsys):
    with pytest.raises(SystemExit) as error:
        convert(openpose[0], tmp_path / "out.json", "--size", text)
    assert error.value.code == 2
    assert "640x480" in capsys.readouterr().err
