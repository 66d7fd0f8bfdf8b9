import json
import logging

import cv2
import numpy as np
import pytest
from fakes.weights import tiny_model

from pose_refine.cli import main
from pose_refine.nn import weights
from pose_refine.skeletons import SKELETONS

SIDE = 96  # pixels of a frame


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    """The command line sets the level only where nobody else has set up logging, as pytest has."""
    caplog.set_level(logging.INFO)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A small network that was never trained: it finds missing joints, and always in the same place."""
    folder = tmp_path_factory.mktemp("weights")
    weights.save(tiny_model(width=4), "tiny", folder)
    return folder


@pytest.fixture(scope="session")
def command(tiny):
    """The command line with the tiny weights, in this process; returns the exit code."""

    def run(name, *arguments):
        return main([name, *map(str, arguments), "--weights", str(tiny), "--device", "cpu"])

    return run


def person(pose, shift):
    """The demo's pose as OpenPose writes it, in a frame of SIDE pixels whose content moved to the left."""
    body = np.zeros((25, 3))
    known = np.array([SKELETONS["body25"].joints.index(j) for j in SKELETONS["coco17"].joints])
    body[known] = np.nan_to_num((pose[0] - [shift, 0, 0]) * [SIDE / 512, SIDE / 512, 1])
    return {"person_id": [-1], "pose_keypoints_2d": body.round(3).reshape(-1).tolist(), "face_keypoints_2d": []}


@pytest.fixture
def video(tmp_path, photo, pose):
    """Writes frames and what OpenPose makes of them: images/000000000000.png, poses/000000000000_keypoints.json."""

    def write(count):
        folder = tmp_path / "given"
        for name in ("images", "poses"):
            (folder / name).mkdir(parents=True)
        for i in range(count):
            frame = cv2.resize(np.roll(photo, -4 * i, 1), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / "images" / f"{i:012d}.png"), frame[:, :, ::-1])
            document = {"version": 1.3, "people": [person(pose, 4 * i)]}
            (folder / "poses" / f"{i:012d}_keypoints.json").write_text(json.dumps(document))
        return folder

    return write


@pytest.fixture
def coco(video):
    """The same people as COCO results, too: poses.json, whose image_id is the number of the frame."""

    def write(count):
        folder, results = video(count), []
        for i, path in enumerate(sorted((folder / "poses").iterdir())):
            keypoints = json.loads(path.read_text())["people"][0]["pose_keypoints_2d"]
            joints = [SKELETONS["body25"].joints.index(j) for j in SKELETONS["coco17"].joints]
            flat = np.reshape(keypoints, (25, 3))[joints].reshape(-1).tolist()
            results.append({"image_id": i, "category_id": 1, "keypoints": flat, "score": 0.5})
        (folder / "poses.json").write_text(json.dumps(results))
        return folder

    return write


@pytest.fixture(scope="session")
def contents():
    """Files under a folder: relative name to bytes; journals only by name, their lines tell of times."""

    def read(folder):
        paths = [p for p in folder.rglob("*") if p.is_file()]
        return {p.relative_to(folder).as_posix(): p.suffix != ".jsonl" and p.read_bytes() for p in paths}

    return read
