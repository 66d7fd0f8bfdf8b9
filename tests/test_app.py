"""The app: what its button does, and that its page can be built. No browser looks at it here."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

APP = str(Path(__file__).parents[1] / "examples" / "app.py")


@pytest.fixture(scope="module")
def app():
    return runpy.run_path(APP)


def test_the_demo(app):
    (before, after), words = app["correct"](None, None)
    assert before.shape == after.shape == (512, 512, 3)
    assert (before != after).any()
    assert "joints" in words


@pytest.mark.parametrize("layout", ["nested lists", "COCO results"])
def test_poses_of_ones_own(app, tmp_path, photo, pose, layout):
    values = np.nan_to_num(pose).astype(float)
    flat = [{"image_id": 1, "keypoints": values.reshape(-1).tolist(), "score": 0.5}]
    (tmp_path / "poses.json").write_text(json.dumps(values.tolist() if layout == "nested lists" else flat))
    (before, after), words = app["correct"](photo, str(tmp_path / "poses.json"))
    assert before.shape == after.shape == photo.shape
    assert "joints" in words


def test_the_page_can_be_built(app):
    gradio = pytest.importorskip("gradio", reason="needs gradio, which is not installed")
    assert isinstance(app["build"](), gradio.Blocks)
