"""docs/metrics.md names what there is, and its code runs."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
HOMES = {"average_precision": "multi_person", "tracking": "posetrack", "pckh": "pckh"}


def test_functions_exist():
    named = re.findall(r"`(oks|pckh|multi_person|posetrack|groups)\.(\w+)`", TEXT)
    assert len(named) >= 9
    for module, function in named:
        assert callable(getattr(importlib.import_module(f"pose_refine.metrics.{module}"), function))


def test_options_exist_and_have_these_defaults():
    rows = re.findall(r"\| `(\w+)\((\w+)=\)` \| (on|off)", TEXT)
    assert len(rows) == 7
    for function, option, default in rows:
        home = importlib.import_module(f"pose_refine.metrics.{HOMES[function]}")
        assert bool(inspect.signature(getattr(home, function)).parameters[option].default) == (default == "on")


def test_code_runs(capsys):
    exec(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0], {})
    total, *aps = capsys.readouterr().out.split("\n", 1)
    assert float(total) == pytest.approx(0)
    assert np.array(re.findall(r"\d+", aps[0]), dtype=float).tolist() == [100] * 16
