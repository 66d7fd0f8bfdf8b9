"""What is not in the plain install is asked for before any work: here, before files are found that are not there."""

import sys
from pathlib import Path

import pytest

from pose_refine.cli import main
from pose_refine.commands import _needs as needs

NEEDS = {
    "evaluate by OKS": ("pycocotools", ["evaluate", "--truth", "a", "--predictions", "b", "--metric", "oks"], "eval"),
    "export": ("onnx", ["export", "nowhere", "-o", "model.onnx"], "onnx"),
    "run exported weights": ("onnxruntime", ["run", "a.jpg", "a.json", "-o", "b", "--weights", "m.onnx"], "onnx"),
    "folder, exported weights": ("onnxruntime", ["folder", "a", "b", "-o", "c", "--weights", "m.onnx"], "onnx"),
    "info of exported weights": ("onnxruntime", ["info", "--weights", "m.onnx"], "onnx"),
    "video, exported weights": ("onnxruntime", ["video", "a", "b", "-o", "c", "--weights", "m.onnx"], "onnx"),
}


@pytest.mark.parametrize("name", NEEDS)
def test_what_is_needed_is_said_first(name, caplog, monkeypatch, tmp_path):
    package, command, extra = NEEDS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(command) == 1
    assert f'{command[0]} needs {package}: pip install "pose-refine[{extra}]"' in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["convert", "a.json", "-o", "b.json"], ["video", "a", "b", "-o", "c"]])
def test_the_plain_install_is_enough(command, caplog, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for package in (*needs.EXTRAS, "av"):  # without the latter, videos are written by OpenCV
        monkeypatch.setitem(sys.modules, package, None)
    assert main(command) == 1  # the files are not there
    assert "needs" not in caplog.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_extras_have_what_is_asked_for():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for package, extra in needs.EXTRAS.items():
        assert any(line.startswith(package) for line in project["optional-dependencies"][extra]), package
    assert any(line.startswith("scipy") for line in project["dependencies"])  # links people: no extra for that
