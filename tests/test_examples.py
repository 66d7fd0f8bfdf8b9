import ast
import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances

from pose_refine.skeletons import COCO_JOINTS, SKELETONS

EXAMPLES = Path(__file__).parents[1] / "examples"
WITHOUT_DETECTRON2 = importlib.util.find_spec("detectron2") is None


def run(name, folder):
    """Run an example as a new user would, and return what it prints."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_array(tmp_path):
    lines = run("refine_array.py", tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == list(COCO_JOINTS)
    numbers = np.array([[float(number) for number in re.findall(r"-?\d+\.?\d*", line)] for line in lines])
    assert numbers.shape == (len(COCO_JOINTS), 5)
    assert numbers[0, :2].tolist() == [220.9, 120.1]  # the nose in the packaged estimate
    shift = np.linalg.norm(numbers[:13, 2:4] - numbers[:13, :2], axis=1)
    assert 0 < shift.max() < 100
    assert ((numbers[:, 4] >= 0) & (numbers[:, 4] <= 100)).all()
    assert list(tmp_path.iterdir()) == []


def test_openpose(tmp_path):
    run("refine_openpose.py", tmp_path)
    names = ("astronaut_keypoints.json", "astronaut_refined_keypoints.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    before, after = (json.loads((tmp_path / name).read_text()) for name in names)
    bodies = [np.array(d["people"][0].pop("pose_keypoints_2d")).reshape(-1, 3) for d in (before, after)]
    assert before == after == {"version": 1.3, "people": [{"person_id": [-1], "face_keypoints_2d": []}]}
    assert bodies[0].shape == bodies[1].shape == (len(SKELETONS["coco18"].joints), 3)
    missing = (bodies[0] == 0).all(1)
    assert missing.sum() == 4  # knees and ankles are outside the picture
    there = ~missing
    shift = np.linalg.norm(bodies[1][there, :2] - bodies[0][there, :2], axis=1)
    assert 0 < shift.max() < 100
    assert ((bodies[1][:, 2] >= 0) & (bodies[1][:, 2] <= 1)).all()


@pytest.fixture
def detectron2_outputs(pose):
    keypoints = np.nan_to_num(pose + np.float32([0.5, 0.5, 0]))  # Detectron2 counts pixel edges
    keypoints[np.isnan(pose[..., 0])] = 0
    return {"instances": Instances((512, 512), scores=torch.ones(1), pred_keypoints=torch.from_numpy(keypoints))}


def test_detectron2(detectron2_outputs, refiner, pose):
    refine_outputs = runpy.run_path(str(EXAMPLES / "refine_detectron2.py"))["refine_outputs"]
    image = cv2.imread(str(files("pose_refine") / "demo" / "astronaut.jpg"))
    before = detectron2_outputs["instances"].pred_keypoints.clone()
    out = refine_outputs(image, detectron2_outputs)
    expected = refiner.refine(image[:, :, ::-1].copy(), pose) + np.float32([0.5, 0.5, 0])
    assert type(out["instances"]) is Instances
    assert np.allclose(out["instances"].pred_keypoints.numpy(), expected, atol=0.2)
    assert not torch.equal(out["instances"].pred_keypoints, before)
    assert torch.equal(detectron2_outputs["instances"].pred_keypoints, before)


@pytest.mark.skipif(not WITHOUT_DETECTRON2, reason="Detectron2 is installed")
def test_detectron2_says_what_it_needs(tmp_path):
    assert run("refine_detectron2.py", tmp_path).startswith("needs Detectron2: https://")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short(path):
    code = re.sub(r'EPILOG = """.*?"""', "", path.read_text(), flags=re.DOTALL)
    assert len(code.splitlines()) <= 45


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_say_what_they_are(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
