import json
from copy import deepcopy

import numpy as np
import pytest

from pose_refine import Poses, formats, refine
from pose_refine.formats import alphapose


def document(people=2, joints=18):
    """A file of sep-json as AlphaPose's --format cmu writes it; joint k of person i at (k + 1, 10 i), score 1.5.

    Source: https://github.com/MVIG-SJTU/AlphaPose/blob/master/doc/output.md
    """
    bodies = [{"joints": [v for k in range(joints) for v in (k + 1.0, 10.0 * i, 1.5)]} for i in range(people)]
    return {"version": "AlphaPose v0.3", "bodies": bodies}


def moved(poses, person, joint, triplet):
    points, scores = poses.keypoints.copy(), poses.scores.copy()
    points[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(points, scores, poses.skeleton)


@pytest.mark.parametrize(("joints", "skeleton"), [(18, "coco18"), (15, "mpi15"), (17, "coco17")])
def test_recognised_and_read(joints, skeleton):
    given = document(joints=joints)
    assert formats.detect(given) == "alphapose"
    poses = formats.read(given)
    assert poses.skeleton == skeleton
    assert poses.keypoints[1, 2].tolist() == [3, 10]
    assert (poses.scores == 1.5).all()


def test_format_open_is_openposes():
    given = {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": document()["bodies"][0]["joints"]}]}
    assert formats.detect(given) == "openpose"
    poses = formats.read(given)
    assert poses.skeleton == "coco18"
    assert json.dumps(formats.write(poses, given)) == json.dumps(given)


OTHERS = {
    "all images": {"a.jpg": document(), "b.jpg": document()},
    "OpenPose": {"people": []},
    "Panoptic's": {"bodies": [{"joints19": [1, 2, 3, 4]}]},
    "results": [{"keypoints": [1, 2, 3]}],
    "nothing": None,
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_claimed(name):
    assert not alphapose.matches(OTHERS[name])


def test_round_trip_is_byte_for_byte():
    given = document()
    assert json.dumps(alphapose.write(alphapose.read(given), given)) == json.dumps(document())


def test_only_the_changed_joint_changes():
    given = document()
    out = alphapose.write(moved(alphapose.read(given), 1, 5, (101.5, 102.25, 0.75)), given)
    expected = document()
    expected["bodies"][1]["joints"][15:18] = [101.5, 102.25, 0.75]
    assert json.dumps(out) == json.dumps(expected)
    assert given == document()


def test_zeros_are_missing():
    given = document(1)
    given["bodies"][0]["joints"][:3] = [0, 0, 0]
    assert alphapose.read(given).present[0].tolist() == [False] + [True] * 17


def test_nobody(photo):
    empty = document(0)
    assert formats.read(empty).keypoints.shape == (0, 18, 2)
    assert refine(photo, empty) == empty


BAD = {
    "14 joints": (document(joints=14), None, "14 joints need skeleton="),
    "another skeleton": (document(), "mpii16", "mpii16 has 16 joints, got 18"),
    "words": ({"bodies": [{"joints": ["x"] * 54}]}, None, "expected numbers"),
    "two lengths": ({"bodies": [{"joints": [1] * 54}, {"joints": [1] * 45}]}, None, r"\[54, 45\]"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


def test_another_layout_by_name():
    with pytest.raises(ValueError, match="AlphaPose's dict with 'bodies'"):
        formats.read({"people": []}, format="alphapose")


def test_refine(photo, pose):
    array = np.nan_to_num(refine(photo, pose, to="coco18", recover=False))
    given = {"version": "AlphaPose v0.3", "bodies": [{"joints": array[0].ravel().tolist()}]}
    before = deepcopy(given)
    out = np.array(refine(photo, given)["bodies"][0]["joints"]).reshape(18, 3)
    assert np.abs(out - refine(photo, array, skeleton="coco18")[0]).max() < 0.01
    assert given == before
