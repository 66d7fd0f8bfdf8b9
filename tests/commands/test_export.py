import json

import cv2
import numpy as np
import pytest

from pose_refine.cli import main
from pose_refine.nn import weights

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def fast(monkeypatch):
    """Exports in no time."""
    monkeypatch.setattr("pose_refine.commands.export.to_onnx", lambda model, config: config.name.encode())


def test_a_file_that_runs(exported, tmp_path, photo, pose):
    refined = tmp_path / "refined.npy"
    cv2.imwrite(str(tmp_path / "photo.png"), photo[:, :, ::-1])
    np.save(tmp_path / "poses.npy", pose)
    inputs = [str(tmp_path / "photo.png"), str(tmp_path / "poses.npy")]
    assert main(["run", *inputs, "-o", str(refined), "--weights", str(exported)]) == 0
    assert np.load(refined).shape == (1, 17, 3)
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]


def test_nothing_is_overwritten_unasked(tiny, tmp_path, caplog, fast):
    output = tmp_path / "model.onnx"
    output.write_bytes(b"mine")
    assert main(["export", str(tiny), "-o", str(output)]) == 1
    assert "use --overwrite" in caplog.text
    assert output.read_bytes() == b"mine"
    assert main(["export", str(tiny), "-o", str(output), "--overwrite"]) == 0
    assert f"weights tiny, 0.0 MB -> {output}" in caplog.text
    assert output.read_bytes() == b"tiny"


def test_without_mirror_images(tmp_path, monkeypatch):
    exported = []
    monkeypatch.setattr("pose_refine.commands.export.to_onnx", lambda model, _: exported.append(model.views) or b"")
    for more in ([], ["--no-flip"]):
        assert main(["export", "base", "-o", str(tmp_path / "model.onnx"), "--overwrite", *more]) == 0
    assert exported == [2, 1]


def test_a_failure_leaves_nothing_behind(tiny, tmp_path, caplog, monkeypatch):
    def fail(model, config):
        raise ImportError("no package")

    monkeypatch.setattr("pose_refine.commands.export.to_onnx", fail)
    (tmp_path / "model.onnx").write_bytes(b"mine")
    assert main(["export", str(tiny), "-o", str(tmp_path / "model.onnx"), "--overwrite"]) == 1
    assert "no package" in caplog.text
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_to_standard_output(capsysbinary, fast):
    assert main(["export", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out == weights.DEFAULT.encode()


def test_another_kind_of_file(tiny, tmp_path, caplog):
    assert main(["export", str(tiny), "-o", str(tmp_path / "model.pt")]) == 1
    assert "-o: expected the name of a .onnx file" in caplog.text


def test_folder_and_video_run_it(tiny, video, tmp_path):
    """To the same joints as with the weights themselves; a journal of the one is not gone on with by the other."""
    given, file = video(2), tmp_path / "tiny.onnx"
    assert main(["export", str(tiny), "-o", str(file)]) == 0
    for command in ("folder", "video"):
        inputs = [str(given / name) for name in ("images", "poses")]
        for name, source in (("torch", tiny), ("onnx", file)):
            out = tmp_path / f"{command}_{name}"
            assert main([command, *inputs, "-o", str(out), "--weights", str(source), "--device", "cpu"]) == 0
        for path in sorted((tmp_path / f"{command}_torch").glob("*.json")):
            ours, theirs = (
                json.loads(p.read_text())["people"][0]["pose_keypoints_2d"]
                for p in (path, tmp_path / f"{command}_onnx" / path.name)
            )
            np.testing.assert_allclose(ours, theirs, atol=0.05)
        assert len(list((tmp_path / f"{command}_onnx").glob("*.json"))) == 2


def test_folder_says_that_a_file_is_not_there(video, tmp_path, caplog):
    given = video(1)
    inputs = [str(given / name) for name in ("images", "poses")]
    assert main(["folder", *inputs, "-o", str(tmp_path / "out"), "--weights", str(tmp_path / "no.onnx")]) != 0
    assert "no.onnx" in caplog.text
