"""How the command line sets up threads; none of it is measured here."""

import json
import os
import subprocess
import sys

import cv2
import pytest
import torch

from pose_refine.cli import main

SCRIPT = """
import json, os, sys
from pose_refine.__main__ import main
early = "torch" in sys.modules
sys.argv = ["pose-refine", "--version"]
try:
    main()
except SystemExit:
    print(json.dumps([early, "torch" in sys.modules, os.environ["OMP_WAIT_POLICY"]]))
"""
POLICIES = {"by default": (None, "passive"), "as the user says": ("active", "active")}


@pytest.mark.parametrize("name", POLICIES)
def test_waiting_threads_sleep_from_before_torch_is_imported(name):
    given, expected = POLICIES[name]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [False, True, expected]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_the_script_starts_there():
    from pathlib import Path

    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"pose-refine": "pose_refine.__main__:main"}


@pytest.fixture
def threads_put_back():
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.parametrize("count", [1, 2])
def test_threads(count, threads_put_back):
    assert main(["run", "none.jpg", "none.json", "-o", "out.json", "--threads", str(count)]) == 1
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (count, count)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_threads_are_a_number(text, capsys):
    with pytest.raises(SystemExit) as error:
        main(["run", "none.jpg", "none.json", "-o", "out.json", "--threads", text])
    assert error.value.code == 2
    assert "expected a number of at least 1" in capsys.readouterr().err
