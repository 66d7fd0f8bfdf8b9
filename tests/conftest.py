import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from importlib.resources import files
from pathlib import Path

import cv2
import golden_files
import numpy as np
import pytest

from pose_refine import Refiner
from pose_refine.cli import main
from pose_refine.commands.demo import demo_input

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session")
def refiner():
    return Refiner.from_pretrained(device="cpu")


@pytest.fixture(scope="session")
def photo():
    """The photograph that comes with the package, RGB."""
    path = files("pose_refine") / "demo" / "astronaut.jpg"
    return cv2.imread(str(path))[:, :, ::-1].copy()


@pytest.fixture(scope="session")
def pose():
    """MoveNet's pose on it as (1, 17, 3); the joints that are not in the picture are NaN with score 0."""
    _, poses = demo_input("astronaut", "movenet_lightning")
    return np.concatenate([poses.keypoints, poses.scores[..., None]], -1)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The embedded weights as the command line exports them; that takes a while."""
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert main(["export", "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def golden_files_folder(tmp_path_factory):
    """The official tools' numbers on synthetic data, and that data."""
    return golden_files.unpack(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def shared():
    """Real images and predictions, kept outside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the data set folder ../shared, which is not there")
    return SHARED
