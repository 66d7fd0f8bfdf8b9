"""Skeletons that users name themselves, wherever a skeleton's name is taken."""

import copy
import pickle

import numpy as np
import pytest
import torch

from pose_refine import Poses, Refiner, Skeleton
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.nn.predictor import Predictor
from pose_refine.skeletons import SKELETONS, get_skeleton

ARM = Skeleton("arm", ["LShoulder", "left elbow", "wrist_l", "watch", "neck"], limbs=[("LShoulder", "watch")])
IMAGE = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
POSE = np.float32([[[200, 60, 0.9], [220, 110, 0.8], [230, 160, 0.7], [231, 155, 0.6], [180, 50, 0.5]]])


@pytest.fixture(scope="module")
def random():
    torch.manual_seed(0)
    return Refiner(Predictor(lambda: Model(NetworkConfig(width=8, coarse=8), views=1).eval(), device="cpu"))


BAD = {
    "no joints": (("mine", []), "expected joints"),
    "twice": (("mine", ["nose", "LWrist", "left_wrist"]), r"each once, got \['left_wrist'\]"),
    "one text": (("mine", "nose"), "sequence of joint names, got 'nose'"),
    "numbers": (("mine", [1, 2]), "sequence of joint names"),
    "limb of others": (("mine", ["nose"], [("nose", "tail")]), r"limbs between its joints, got \['tail'\]"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    arguments, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        Skeleton(*arguments)


def test_spellings_and_mirror():
    assert ARM.joints == ("left_shoulder", "left_elbow", "left_wrist", "watch", "neck")
    assert ARM.limbs == (("left_shoulder", "watch"),)
    assert ARM.mirror.tolist() == [0, 1, 2, 3, 4]  # nothing is on the other side
    assert Skeleton("two", ["left_x", "right_x", "left_y"]).mirror.tolist() == [1, 0, 2]
    assert str(ARM) == "arm"
    assert {ARM: 1}[copy.deepcopy(ARM)] == {ARM: 1}[pickle.loads(pickle.dumps(ARM))] == 1


@pytest.mark.parametrize("name", SKELETONS)
def test_our_own_are_spelt_as_they_are(name):
    own = SKELETONS[name]
    assert Skeleton(name, own.joints, own.limbs) == own
    count = len(own.joints)
    assert Poses(np.ones((1, count, 2)), np.ones((1, count)), own).skeleton == name


def test_a_taken_name():
    with pytest.raises(ValueError, match="'coco17' has other joints here; give yours another name"):
        get_skeleton(Skeleton("coco17", ["nose"]))


FORMS = {
    "array": (POSE, lambda out: out),
    "one person": (POSE[0], lambda out: out[None]),
    "Poses": (Poses(POSE[..., :2], POSE[..., 2], ARM), lambda out: out.to_array()),
    "COCO": ([{"keypoints": POSE.reshape(-1).tolist()}], lambda out: np.reshape(out[0]["keypoints"], (1, -1, 3))),
    "OpenPose": (
        {"people": [{"pose_keypoints_2d": POSE.reshape(-1).tolist()}]},
        lambda out: np.reshape(out["people"][0]["pose_keypoints_2d"], (1, -1, 3)),
    ),
    "rtmlib": ((POSE[..., :2], POSE[..., 2]), lambda out: np.concatenate([out[0], out[1][..., None]], -1)),
}


@pytest.mark.parametrize("name", FORMS)
def test_known_joints_are_refined_and_others_come_back_untouched(random, name):
    given, values = FORMS[name]
    out = values(random.refine(IMAGE, given, skeleton=ARM))
    np.testing.assert_allclose(out[0, 3], POSE[0, 3], atol=1e-6)
    assert (np.abs(out - POSE)[0, [0, 1, 2, 4], :2].max(-1) > 0.01).all()
    if name == "array":
        coco = np.full((1, 17, 3), np.nan, np.float32)
        coco[0, [5, 7, 9]] = POSE[0, :3]
        np.testing.assert_allclose(out[0, :3], random.refine(IMAGE, coco)[0, [5, 7, 9]], atol=0.01)


def test_to_and_from(random):
    poses = Poses(POSE[..., :2], POSE[..., 2], ARM)
    assert poses.skeleton == ARM
    assert repr(poses).startswith("Poses(1 person, arm, 5 of 5 joints")
    assert poses.to("coco17").joint("left_wrist").tolist() == POSE[:, 2].tolist()
    assert poses.to("coco17").to(ARM).skeleton == ARM
    assert poses.to_dict()["skeleton"] == "arm"
    assert random.refine(IMAGE, np.nan_to_num(poses.to("coco17").to_array()), to=ARM).shape == (1, 5, 3)
    assert random.analyze(IMAGE, poses).poses.skeleton == ARM
    (out,) = random.refine_many([IMAGE], [POSE], skeleton=ARM)
    np.testing.assert_allclose(out, random.refine(IMAGE, POSE, skeleton=ARM), atol=0.01)
    (frame,) = random.refine_video([IMAGE], [POSE], skeleton=ARM, ids=[[1]])
    assert frame[0, 3].tolist() == POSE[0, 3].tolist()


def test_another_number_of_joints(random):
    with pytest.raises(ValueError, match="skeleton arm has 5 joints, got 17"):
        random.refine(IMAGE, np.ones((1, 17, 3)), skeleton=ARM)
