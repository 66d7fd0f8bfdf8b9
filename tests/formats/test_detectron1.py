import numpy as np
import pytest

from pose_refine import Poses, formats, refine
from pose_refine.formats import detectron1


def people(count=2, joints=17, dtype=np.float32):
    """cls_keyps[1] as Detectron's keypoint_results makes it: for each person rows of x, y, logit and prob.

    Source: https://github.com/facebookresearch/Detectron/blob/main/detectron/core/test.py
    """
    rows = np.array([[1.3, 2.6, 7.5, 0.1]]) + np.arange(joints)[:, None] * [3, 5, 0.1, 0.01]
    return [(rows.T + i).astype(dtype) for i in range(count)]


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


OTHERS = {
    "nobody": [],
    "joints in rows": [np.ones((17, 4))],
    "four joints": [np.ones((4, 4))],
    "triplets": [np.ones((17, 3))],
    "an array": np.ones((2, 4, 17)),
    "lists": [[[1] * 17] * 4],
    "all classes": [[], people()],
    "boxes": [np.ones(4)],
    "one of another kind": [*people(), None],
}


def test_recognised_and_read():
    poses = formats.read(people())
    assert formats.detect(people()) == "detectron1"
    assert poses.skeleton == "coco17"
    assert np.array_equal(poses.keypoints[1], people()[1][:2].T)
    assert np.array_equal(poses.scores[1], people()[1][3])


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_claimed(name):
    assert not detectron1.matches(OTHERS[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_is_exact(dtype):
    given = people(dtype=dtype)
    out = detectron1.write(detectron1.read(given), given)
    for new, old in zip(out, given, strict=True):
        assert new is not old
        assert new.dtype == dtype
        assert np.array_equal(new, old)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_the_changed_joint_changes_and_its_logit_stays(dtype):
    given = people(dtype=dtype)
    out = detectron1.write(moved(detectron1.read(given), 1, 5, (101.5, 102.25, 0.75)), given)
    expected = people(dtype=dtype)
    expected[1][[0, 1, 3], 5] = 101.5, 102.25, 0.75
    assert np.array_equal(out, expected)
    assert np.array_equal(given, people(dtype=dtype))


def test_another_number_of_joints():
    assert formats.read(people(joints=14), "lsp14").skeleton == "lsp14"


BAD = {
    "14 joints": (people(joints=14), None, "14 joints need skeleton="),
    "another skeleton": (people(), "mpii16", "mpii16 has 16 joints, got 17"),
    "two numbers of joints": (people() + people(joints=16), None, r"all of one K, got \[\(4, 17\)"),
    "infinite": ([people()[0] * np.float32(np.inf)], None, "Inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


def test_nobody_is_an_empty_list(photo):
    assert refine(photo, []) == refine(photo, [], format="detectron1") == []
    with pytest.raises(ValueError, match=r"arrays \(4, K\)"):
        formats.read([[]], format="detectron1")


def test_refine(photo, pose):
    given = np.zeros((4, 17), np.float32)
    given[[0, 1, 3]] = np.nan_to_num(pose[0]).T
    out = refine(photo, [given])
    assert np.array_equal(out[0][[0, 1, 3]].T, refine(photo, pose)[0])
    assert (out[0][2] == 0).all()
