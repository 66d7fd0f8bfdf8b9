"""The package's own names: there at once, imported when they are used."""

import json
import subprocess
import sys

import pytest

import pose_refine

SCRIPT = """
import json, sys
import pose_refine
early = [name for name in ("torch", "cv2", "jinja2", "filelock") if name in sys.modules]
named = [pose_refine.refine.__name__, pose_refine.Poses.__name__, pose_refine.formats.__name__]
print(json.dumps([early, named]))
"""


def test_nothing_is_imported_before_it_is_used():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], ["refine", "Poses", "pose_refine.formats"]]


@pytest.mark.parametrize("name", pose_refine.__all__)
def test_public_names_are_there_and_documented(name):
    assert getattr(pose_refine, name).__doc__
    assert name in dir(pose_refine)


def test_what_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'pose_refine' has no attribute 'nothing'"):
        _ = pose_refine.nothing
    assert not hasattr(pose_refine, "__wrapped__")
