"""docs/skeletons.md is what its script writes, and says what conversions do."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from pose_refine.skeletons import SKELETONS, convert

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def text():
    return (DOCS / "skeletons.md").read_text(encoding="utf-8")


def cells(text, heading):
    """A table's cells by row and column."""
    lines = text[text.index(heading) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    end = next((i for i, line in enumerate(lines) if i > start and not line.startswith("|")), len(lines))
    split = [[c.strip() for c in line.replace("\\|", "!").strip("|").split("|")] for line in lines[start:end]]
    return {row[0].strip("*"): dict(zip(split[0][1:], row[1:], strict=True)) for row in split[2:]}


def test_page_is_up_to_date(text):
    script = runpy.run_path(str(DOCS / "make_skeletons.py"))
    assert text == script["page"](), "run python docs/make_skeletons.py"


def test_page_says_what_is_known(text):
    joints = cells(text, "## Which skeleton")
    assert joints["left_shoulder"] | {"refining": ""} == {
        name: str(s.joints.index("left_shoulder")) for name, s in SKELETONS.items()
    } | {"refining": ""}
    assert joints["pelvis"]["coco17"] == "mid"
    assert joints["pelvis"]["mpii16"] == "6"
    assert joints["left_heel"]["coco17"] == ""
    assert joints["face_0 ... face_67"]["wholebody133"] == "23-90"
    assert [joints[j]["refining"] for j in ("nose", "neck", "left_heel")] == ["estimated", "moved along", "left"]


@pytest.mark.parametrize("source", SKELETONS)
def test_page_counts_what_conversions_give(text, source):
    """Every pair by conversion of a pose that is nowhere the same: x and y are those of one joint or a new middle."""
    pairs = cells(text, "## From any")
    given = np.random.default_rng(0).uniform(0, 99, (1, len(SKELETONS[source].joints), 2)).astype(np.float32)
    for target in set(SKELETONS) - {source}:
        out = convert(given, SKELETONS[source], SKELETONS[target])[0]
        unknown = int(np.isnan(out[:, 0]).sum())
        exact = sum(bool((given[0] == joint).all(-1).any()) for joint in out)
        computed = len(out) - unknown - exact
        expected = f"{exact}" + (f"+{computed}" if computed else "") + (f" ! {unknown}" if unknown else "")
        assert pairs[source][target] == expected
