"""The notebook runs from top to bottom, offline, and says what it should."""

import json
from pathlib import Path

import numpy as np
import pytest

import pose_refine

PATH = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_it_is_a_valid_notebook_without_outputs(notebook):
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_it_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    lines = [line for line in capsys.readouterr().out.splitlines() if "P(right)" in line]
    assert len(lines) == 17
    assert names["refined"].shape == names["array"].shape == (1, 17, 3)
    right, left = (names["refined"][0, k, 0] for k in (6, 5))
    assert right < left  # the exchange is undone: she faces us
    assert names["array"][0, 6, 0] > names["array"][0, 5, 0]
    assert isinstance(names["result"], pose_refine.Refinement)
    assert np.isfinite(names["result"].poses.scores).all()
    assert list(tmp_path.iterdir()) == []
