import cv2
import numpy as np
import pytest

from pose_refine import weights
from pose_refine.cli import main

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
