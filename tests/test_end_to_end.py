"""Refining must improve real poses: the reason for everything else."""

import cv2
import numpy as np
import pytest

from pose_refine.metrics.oks import oks_recall, similarity
from pose_refine.skeletons import SKELETONS, convert
from pose_refine.training.data import read_coco, select

# Where the joints of the photograph that comes along are, marked by hand: name: (x, y).
MARKED = {
    "nose": (225, 126), "left_eye": (245, 103), "right_eye": (204, 103), "left_ear": (274, 124),
    "right_ear": (176, 122), "left_shoulder": (318, 266), "right_shoulder": (103, 256), "right_elbow": (57, 411),
}  # fmt: skip


@pytest.fixture(scope="module")
def marked():
    names = SKELETONS["coco17"].joints
    return [names.index(n) for n in MARKED], np.array(list(MARKED.values()), float)


def error(out, marked):
    joints, places = marked
    return np.linalg.norm(out[0, joints, :2] - places, axis=-1)


def test_exchanged_sides_are_put_right(refiner, photo, pose, marked):
    swapped = pose[:, SKELETONS["coco17"].mirror]
    before, after = error(swapped, marked), error(refiner.refine(photo, swapped), marked)
    assert np.median(before) > 40
    assert np.median(after) < 15


def test_scattered_joints_come_back(refiner, photo, pose, marked):
    rng = np.random.default_rng(0)
    before, after = [], []
    for _ in range(5):
        noisy = pose.copy()
        noisy[..., :2] += rng.normal(0, 20, pose[..., :2].shape)
        before.append(error(noisy, marked).mean())
        after.append(error(refiner.refine(photo, noisy), marked).mean())
    assert np.mean(after) < 0.6 * np.mean(before)


def test_good_joints_stay(refiner, photo, pose, marked):
    before, after = error(pose, marked), error(refiner.refine(photo, pose), marked)
    assert after.mean() < before.mean() + 3
    assert (after < 30).all()


# Harm at most: OpenPose light's and PoseNet's poses are often half a neighbour's. Few images tell little of it: on 30
# it is more than twice what it is on all of dev.
HARM = {"tinypose_v2": 0.01, "movenet_lightning": 0.01, "openpose_light_omz0001": 0.025, "posenet": 0.02}


@pytest.mark.parametrize("estimator", HARM)
def test_real_estimators_improve_on_real_photographs(refiner, shared, estimator):
    people = read_coco(
        shared / "data" / "coco", "dev", shared / "data" / "predictions" / "coco_dev", least=8, height=64
    )
    people = select(people, np.flatnonzero(people.image < 100))
    poses = people.predicted[:, people.estimators.index(estimator), :17, :2]
    after = np.full_like(people.keypoints, np.nan)
    for image in np.unique(people.image):
        rgb = cv2.imread(str(people.files[image]))[:, :, ::-1]
        after[people.image == image, :17] = refiner.refine(rgb, poses[people.image == image])[..., :2]
    before = convert(poses, SKELETONS["coco17"], SKELETONS["network19"])
    joints = np.ones(19, bool)
    recall = [oks_recall(p, people.keypoints, people.area, joints) for p in (before, after)]
    assert recall[1] > recall[0] + (0 if estimator == "tinypose_v2" else 2)
    right = similarity(before, people.keypoints, people.area) >= 0.85
    assert (similarity(after, people.keypoints, people.area)[right] < 0.5).mean() < HARM[estimator]
