"""What a user's type checker sees: an array gives an array, Poses give Poses, and no Any leaks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
USERS_FILE = """\
from collections.abc import Iterator
from typing import Any, assert_type  # type: ignore[attr-defined, unused-ignore]

import numpy as np
from numpy.typing import NDArray

from pose_refine import Poses, Refiner, refine, refine_many
from pose_refine.poses import Refinement

image = np.zeros((48, 64, 3), np.uint8)
array = np.zeros((1, 17, 3), np.float64)
assert_type(refine(image, array), NDArray[np.float32])
assert_type(refine("photo.jpg", array, to="mpii16", color="bgr", trust=0.3), NDArray[np.float32])
poses = Poses.from_any(array)
assert_type(poses, Poses)
assert_type(refine(image, poses), Poses)
assert_type(refine(image, poses, to="mpii16"), Poses)
document: dict[str, object] = {"people": []}
assert_type(refine(image, document, skeleton="body25"), dict[str, Any])
assert_type(refine(image, [document]), list[Any])
assert_type(refine(image, document, to="coco17"), NDArray[np.float32])
refiner = Refiner.from_pretrained("small", device="cpu")
assert_type(refiner, Refiner)
assert_type(refiner.refine(image, array, batch_size=8), NDArray[np.float32])
assert_type(refiner.refine(image, poses), Poses)
assert_type(refiner.analyze(image, array), Refinement)
assert_type(refiner.analyze(image, array).poses, Poses)
assert_type(refine_many([image], [array], progress=True), Iterator[Any])
refine(image, array, color="RGB")  # type: ignore[call-overload]
refine(image, array, batchsize=8)  # type: ignore[call-overload]
"""


def test_a_users_file(tmp_path):
    """Also that what is no option is an error: an ignore that nothing needs is one."""
    file = tmp_path / "users_file.py"
    file.write_text(USERS_FILE)
    options = ["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--python-version", "3.11"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(file)], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
