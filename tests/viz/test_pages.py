"""Templates are filled with text, and with all that they ask for."""

import pytest
from jinja2 import UndefinedError

from pose_refine.viz.pages import number, render


def test_what_a_template_asks_for_must_be_there():
    with pytest.raises(UndefinedError, match="'tiles' is undefined"):
        render("report.html", title="x")


def test_numbers():
    assert [number(1 / 3), number(1 / 3, 1), number(float("nan"))] == ["0.33", "0.3", "\u2013"]
