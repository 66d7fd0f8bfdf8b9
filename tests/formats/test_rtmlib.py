import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from pose_refine import Poses, formats, refine
from pose_refine.formats import rtmlib

PLAIN = settings(deadline=None, max_examples=40)


def pair(count=17, people=2, dtypes=(np.float64, np.float32)):
    """As rtmlib 0.0.16 gives them: RTMPose's keypoints are float64, its scores float32; RTMO's are both float32."""
    keypoints = np.arange(people * count * 2).reshape(people, count, 2) + 0.3
    return keypoints.astype(dtypes[0]), np.linspace(0.1, 0.9, people * count).reshape(people, count).astype(dtypes[1])


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


# What rtmlib's classes give: number of joints, and the skeleton.
CLASSES = {
    "Body": (17, "coco17"),
    "BodyWithFeet": (26, "halpe26"),
    "Wholebody": (133, "wholebody133"),
    "Body, to_openpose": (18, "coco18"),
}
OTHERS = {
    "3D": (np.ones((1, 17, 3)), np.ones((1, 17))),
    "scores of other people": (np.ones((2, 17, 2)), np.ones((1, 17))),
    "four arrays": (*pair(), *pair()),
    "whole numbers": (np.ones((1, 17, 2), int), np.ones((1, 17))),
    "tensors": (torch.ones(1, 17, 2), torch.ones(1, 17)),
    "lists": ([[1, 2]], [[1]]),
    "a list": list(pair()),
    "words": ("ab", "cd"),
    "nothing": (),
    "one person": (np.ones((17, 2)), np.ones(17)),
}


@pytest.mark.parametrize("name", CLASSES)
def test_recognised(name):
    count, skeleton = CLASSES[name]
    keypoints, scores = pair(count)
    assert formats.detect((keypoints, scores)) == "rtmlib"
    poses = formats.read((keypoints, scores))
    assert poses.skeleton == skeleton
    assert np.array_equal(poses.keypoints, keypoints.astype(np.float32))
    assert np.array_equal(poses.scores, scores)


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_claimed(name):
    assert not rtmlib.matches(OTHERS[name])


@pytest.mark.parametrize("name", OTHERS)
def test_says_what_was_expected(name):
    with pytest.raises(ValueError, match=r"expected a tuple of float arrays|expected shape"):
        formats.read(OTHERS[name], format="rtmlib")


finite = st.floats(-5000, 5000)


@PLAIN
@given(
    numpy_arrays(np.float64, (2, 17, 2), elements=finite),
    numpy_arrays(np.float32, (2, 17), elements=st.floats(-1, 1, width=32)),
)
def test_round_trip_is_exact(keypoints, scores):
    before = keypoints.copy(), scores.copy()
    out = rtmlib.write(rtmlib.read((keypoints, scores)), (keypoints, scores))
    assert type(out) is tuple
    for new, old, source in zip(out, before, (keypoints, scores), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)
        assert np.array_equal(source, old)


@pytest.mark.parametrize("dtypes", [(np.float64, np.float32), (np.float32, np.float32), (np.float16, np.float64)])
def test_only_the_changed_joint_changes(dtypes):
    keypoints, scores = pair(dtypes=dtypes)
    before = keypoints.copy(), scores.copy()
    out = rtmlib.write(moved(rtmlib.read((keypoints, scores)), 1, 5, (101.5, 102.25, 0.75)), (keypoints, scores))
    assert [a.dtype for a in out] == list(dtypes)
    assert np.array_equal(keypoints, before[0])
    assert np.array_equal(scores, before[1])
    before[0][1, 5], before[1][1, 5] = (101.5, 102.25), 0.75
    assert np.array_equal(out[0], before[0])
    assert np.array_equal(out[1], before[1])


def test_scores_of_one_column():
    keypoints, scores = pair()
    poses = formats.read((keypoints, scores[..., None]))
    assert np.array_equal(poses.scores, scores)
    assert rtmlib.write(moved(poses, 0, 0, (1, 2, 0.5)), (keypoints, scores[..., None]))[1].shape == (2, 17, 1)


# Keypoint, score, and whether the joint is there.
JOINTS = {
    "no peak, as recorded": ((-29.81, -2.94), -1, False),
    "peak of 0": ((-29.81, -2.94), 0, False),
    "all zero": ((0, 0), 0, False),
    "NaN": ((np.nan, 4), 0.5, False),
    "low": ((3, 4), 0.01, True),
    "corner with a score": ((0, 0), 0.5, False),
    "-1 with a score": ((-1, -1), 0.5, False),
    "score over 1": ((3, 4), 5.5, True),
}


@pytest.mark.parametrize("name", JOINTS)
def test_which_joints_are_missing(name):
    keypoint, score, there = JOINTS[name]
    keypoints, scores = pair()
    keypoints[0, 5], scores[0, 5] = keypoint, score
    poses = rtmlib.read((keypoints, scores))
    assert poses.present[0].tolist() == [True] * 5 + [there] + [True] * 11
    assert poses.present[1].all()
    out = rtmlib.write(moved(poses, 0, 0, (1, 2, 0.5)), (keypoints, scores))
    assert np.array_equal(out[0][0, 5], keypoints[0, 5], equal_nan=True)
    assert out[1][0, 5] == scores[0, 5]
    out = rtmlib.write(moved(poses, 0, 5, (1, 2, 0.5)), (keypoints, scores))
    assert out[0][0, 5].tolist() == [1, 2]


def test_scores_of_0_for_all_say_nothing():
    keypoints, scores = pair()
    scores[0] = 0
    assert rtmlib.read((keypoints, scores)).present.all()


NOBODY = {
    "no rows": (np.empty((0, 17, 2)), np.empty((0, 17), np.float32)),
    "tracker's lists": ([], []),
    "tracker's arrays": (np.array([]), np.array([])),
    "RTMO's one person of zeros": (np.zeros((1, 17, 2), np.float32), np.zeros((1, 17), np.float32)),
}


@pytest.mark.parametrize("name", NOBODY)
def test_nobody(name, photo):
    given = NOBODY[name]
    assert formats.detect(given) == "rtmlib"
    assert not formats.read(given).present.any()
    out = refine(photo, given)
    assert type(out) is tuple
    for new, old in zip(out, given, strict=True):
        assert type(new) is type(old)
        assert new is not old
        assert np.array_equal(new, old)


BAD = {
    "hands": (pair(21), None, "21 joints need skeleton="),
    "another skeleton": (pair(), "mpii16", "mpii16 has 16 joints, got 17"),
    "infinite": ((pair()[0] * np.inf, pair()[1]), None, "Inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


def test_skeleton_by_name():
    assert formats.read(pair(14), "crowdpose14").skeleton == "crowdpose14"


def test_refine(photo, pose):
    keypoints, scores = np.nan_to_num(pose[..., :2]).astype(np.float64), pose[..., 2]
    out = refine(photo, (keypoints, scores))
    expected = refine(photo, pose)
    assert [a.dtype for a in out] == [np.float64, np.float32]
    assert np.array_equal(out[0], expected[..., :2].astype(np.float64))
    assert np.array_equal(out[1], expected[..., 2])
