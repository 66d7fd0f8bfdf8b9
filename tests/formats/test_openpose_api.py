import logging

import numpy as np
import pytest
from fakes.openpose import BoundDatum, Datum

from pose_refine import Poses, formats, refine
from pose_refine.formats import openpose_api

MODELS = {25: "body25", 18: "coco18", 15: "mpi15"}


def keypoints(people=2, joints=25):
    """Joint k of person i at (k + 1, 10 i + 0.3), with score 0.5; the last joint was not found."""
    rows = [[[k + 1, 10 * i + 0.3, 0.5] for k in range(joints)] for i in range(people)]
    array = np.array(rows, np.float32).reshape(people, joints, 3)
    array[:, -1] = 0
    return array


def moved(poses, person, joint, triplet):
    points, scores = poses.keypoints.copy(), poses.scores.copy()
    points[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(points, scores, poses.skeleton, poses.ids)


@pytest.mark.parametrize("joints", MODELS)
def test_recognised_and_read(joints):
    datum = Datum(keypoints(joints=joints), np.array([7, 3]))
    assert formats.detect(datum) == "openpose_api"
    poses = formats.read(datum)
    assert poses.skeleton == MODELS[joints]
    assert poses.ids == [7, 3]
    assert poses.present[0].tolist() == [True] * (joints - 1) + [False]
    assert np.array_equal(poses.keypoints[1, 3], np.float32([4, 10.3]))
    assert (poses.scores[:, :-1] == 0.5).all()


@pytest.mark.parametrize("other", [keypoints(), {"people": []}, [], None, "datum"], ids=str)
def test_others_are_not_claimed(other):
    assert not openpose_api.matches(other)


@pytest.mark.parametrize("ids", [None, np.array(-1), np.array([1, 2, 3])], ids=["none", "no dimensions", "too many"])
def test_ids_that_do_not_fit_are_none(ids):
    assert formats.read(Datum(keypoints(), ids)).ids is None


def test_array_alone_is_body25():
    assert formats.read(keypoints()).skeleton == "body25"


def test_round_trip_is_exact():
    datum = Datum(keypoints())
    out = openpose_api.write(openpose_api.read(datum), datum)
    assert type(out) is Datum
    assert out is not datum
    assert out.poseKeypoints is not datum.poseKeypoints
    assert out.poseKeypoints.dtype == np.float32
    assert np.array_equal(out.poseKeypoints, keypoints())


def test_only_the_changed_joint_changes():
    datum = Datum(keypoints())
    out = openpose_api.write(moved(openpose_api.read(datum), 1, 24, (101.5, 102.25, 0.75)), datum)
    expected = keypoints()
    expected[1, 24] = 101.5, 102.25, 0.75
    assert np.array_equal(out.poseKeypoints, expected)
    assert np.array_equal(datum.poseKeypoints, keypoints())
    for name in ("handKeypoints", "faceKeypoints", "poseScores"):
        assert getattr(out, name) is getattr(datum, name)


def test_what_cannot_be_copied_gives_the_array_and_says_so(caplog):
    datum = BoundDatum(keypoints())
    with caplog.at_level(logging.WARNING, "pose_refine"):
        out = openpose_api.write(moved(openpose_api.read(datum), 0, 0, (7, 8, 0.75)), datum)
    assert out[0, 0].tolist() == [7, 8, 0.75]
    assert np.array_equal(out[1], keypoints()[1])
    assert np.array_equal(datum.poseKeypoints, keypoints())
    assert "BoundDatum cannot be copied" in caplog.text


NOBODY = {"none": None, "without dimensions": np.array(2.0, np.float32), "no rows": keypoints(0)}


@pytest.mark.parametrize("name", NOBODY)
def test_nobody(name, photo):
    datum = Datum(NOBODY[name])
    assert len(formats.read(datum)) == 0
    assert refine(photo, datum).poseKeypoints is NOBODY[name]
    assert refine(photo, BoundDatum(NOBODY[name])).shape == (0, 25, 3)


BAD = {
    "no scores": (keypoints()[..., :2], None, r"got \(2, 25, 2\)"),
    "one person": (keypoints()[0], None, r"got \(25, 3\)"),
    "24 joints": (keypoints(joints=24), None, "24 joints need skeleton="),
    "another skeleton": (keypoints(), "coco18", "coco18 has 18 joints, got 25"),
    "keypoint_scale 3": (keypoints() / np.float32(100), None, "keypoint_scale 0"),
    "infinite": (keypoints() + np.float32(np.inf), None, "Inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    array, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(Datum(array), skeleton)


def test_refine(photo, pose):
    array = np.nan_to_num(refine(photo, pose, to="body25", recover=False))
    datum = Datum(array)
    out = refine(photo, datum)
    assert np.array_equal(out.poseKeypoints, refine(photo, array))
    assert not np.array_equal(out.poseKeypoints, array)
    assert out.faceKeypoints is datum.faceKeypoints
