"""What is missing, in every format: as it is read, as it is written, and by whichever route it comes."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances
from fakes.kinds import KINDS, PIXELS, SHAPE, deeplabcut, joints_of
from fakes.mediapipe import PoseLandmarkerResult
from fakes.mmpose import InstanceData, PoseDataSample, inferencer
from fakes.openpose import Datum
from fakes.supervision import KeyPoints
from fakes.ultralytics import Results

from pose_refine import Poses, formats, refine
from pose_refine.formats.common.missing import MARKS, TOLD

EVERY = pytest.mark.parametrize("name", KINDS)


def made(name, joints):
    format, _, make, _ = KINDS[name]
    given = make(joints)
    assert formats.detect(given) == format
    return given, formats.read(given, shape=SHAPE)


def test_the_table_has_every_format():
    assert set(MARKS) == set(formats.FORMATS)
    assert {kind[0] for kind in KINDS.values()} == set(formats.FORMATS)


@EVERY
@pytest.mark.parametrize("seed", range(4))
def test_a_dropped_joint_is_missing_and_the_others_are_as_they_were(name, seed):
    rng = np.random.default_rng([seed, 1])
    given, poses = made(name, joints_of(rng, 2, KINDS[name][1]))
    before = formats.read(deepcopy(given), shape=SHAPE)
    gone = rng.random(poses.scores.shape) < (0, 0.2, 0.8, 1)[seed]
    keypoints = np.where(gone[..., None], np.float32(np.nan), poses.keypoints)
    out = formats.write(Poses(keypoints, poses.scores, poses.skeleton, poses.ids), given, shape=SHAPE)
    again = formats.read(out, None if name != "ViTPose" else "coco17", shape=SHAPE)
    assert np.array_equal(again.present, poses.present & ~gone)
    assert np.array_equal(again.keypoints[~gone], poses.keypoints[~gone])
    if name != "array of integers":
        assert np.array_equal(again.scores[~gone], poses.scores[~gone], equal_nan=True)
    assert formats.read(given, shape=SHAPE) == before  # nothing handed in is changed


LOST = {  # x, y and score of a joint, None for one that the format has for unknown, and whether it is there
    "-1 with a score": ((-1, -1, 0.9), False),
    "-1 without": ((-1, -1, 0), False),
    "-1 all through": ((-1, -1, -1), False),
    "0 with a low score": ((0, 0, 0.01), False),
    "0 with a score": ((0, 0, 0.9), False),
    "all 0": ((0, 0, 0), False),
    "a score of 0": ((30, 40, 0), False),
    "at the border": ((0, 40, 0.5), True),
    "outside": ((-20, -30, 0.5), True),
    "a low score": ((30, 40, 0.001), True),
}
WITH_SCORES = [n for n in PIXELS if KINDS[n][3]]


@pytest.mark.parametrize("name", WITH_SCORES)
@pytest.mark.parametrize("lost", LOST)
def test_every_format_and_its_array_say_the_same(name, lost):
    joints = joints_of(np.random.default_rng(0), 2, KINDS[name][1])
    joints[0, 3] = LOST[lost][0]
    _, poses = made(name, joints)
    twin = formats.read(joints, poses.skeleton)
    assert poses.present[0, 3] == twin.present[0, 3] == LOST[lost][1]
    assert np.array_equal(poses.keypoints, twin.keypoints, equal_nan=True)
    assert np.array_equal(poses.scores, twin.scores, equal_nan=True)


@pytest.mark.parametrize("name", WITH_SCORES)
@pytest.mark.parametrize("value", [0, -1])
def test_a_whole_person_of_0_or_minus_1_is_missing(name, value):
    joints = joints_of(np.random.default_rng(0), 2, KINDS[name][1])
    joints[1] = value
    _, poses = made(name, joints)
    assert poses.present.tolist() == [[True] * len(joints[0]), [False] * len(joints[0])]


def test_two_routes_are_refined_alike(photo, pose):
    """Ultralytics' Results and its .data, whose joints below its threshold are at (0, 0) with their scores."""
    data = np.nan_to_num(pose).astype(np.float32)
    data[0, [3, 9], :] = (0, 0, 0.3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        array = refine(photo, data)
    results = refine(photo, Results(torch.from_numpy(data)))
    assert [str(w.message) for w in told] == [TOLD]
    assert np.array_equal(results.keypoints.data.numpy(), array)
    assert (array[0, [3, 9], :2] != 0).all()


def test_openpose_and_its_array_are_refined_alike(photo, pose):
    joints = np.zeros((1, 18, 3), np.float32)
    joints[0, [0, 2, 3, 4, 5, 6, 7]] = np.nan_to_num(pose)[0, [0, 6, 8, 10, 5, 7, 9]]
    joints[0, 8] = (-1, -1, 0.4)
    document = {"people": [{"pose_keypoints_2d": joints[0].reshape(-1).astype(float).tolist()}]}
    out = refine(photo, document)["people"][0]["pose_keypoints_2d"]
    assert np.allclose(np.reshape(out, (18, 3)), refine(photo, joints, skeleton="coco18")[0], atol=1e-3)


def test_the_warning_is_one_and_points_at_the_callers_line(photo, pose):
    data = np.nan_to_num(pose).astype(np.float32)
    data[0, 3] = (-1, -1, 0.9)
    for call in (lambda: refine(photo, data), lambda: formats.read(data)):
        with pytest.warns(UserWarning, match="taken for missing") as told:
            call()
        assert [w.filename for w in told] == [__file__]


def test_shares_are_told_at_the_callers_line(photo, pose):
    with pytest.warns(UserWarning, match=r"are they in \[0, 1\]") as told:
        refine(photo, np.nan_to_num(pose) / 512)
    assert [w.filename for w in told] == [__file__]


@pytest.mark.parametrize("given", [np.nan, -1])
def test_an_array_gets_back_its_own_mark(given):
    array = joints_of(np.random.default_rng(0), 1, 17)
    array[0, 2] = (given, given, 0)
    poses = formats.read(array)
    keypoints = poses.keypoints.copy()
    keypoints[0, 5] = np.nan
    out = formats.write(Poses(keypoints, poses.scores, "coco17"), array)
    assert np.array_equal(out[0, 5, :2], [given, given], equal_nan=True)
    assert np.array_equal(out[0, 2], array[0, 2], equal_nan=True)


EMPTY = InstanceData(
    keypoints=np.zeros((0, 17, 2)), keypoint_scores=np.zeros((0, 17)), bboxes=np.zeros((0, 4)), bbox_scores=np.zeros(0)
)
BOXES = {"boxes": torch.zeros(0, 4)}
NOBODY = {  # as each library writes it
    "Ultralytics": Results(torch.zeros(1, 0, 51)),
    "Ultralytics' data": np.zeros((1, 0, 51), np.float32),
    "Ultralytics, in a list": [Results(torch.zeros(1, 0, 51))],
    "Ultralytics, one row for each": Results(torch.zeros(0, 17, 3)),
    "array": np.zeros((0, 17, 3), np.float32),
    "array of one axis": np.zeros(0, np.float32),
    "array of two": np.zeros((0, 3), np.float32),
    "array of halves": np.zeros((0, 17, 2), np.float16),
    "array without joints": np.zeros((0, 0, 3), np.float64),
    "OpenPose": {"version": 1.3, "people": []},
    "OpenPose, null": {"version": 1.3, "people": None},
    "AlphaPose": {"version": "AlphaPose v0.3", "bodies": []},
    "AlphaPose, null": {"version": "AlphaPose v0.3", "bodies": None},
    "COCO results": [],
    "COCO annotations": {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []},
    "PoseTrack 2017": {"image": [{"name": "a.jpg"}], "annorect": []},
    "PoseTrack 2017, a list": {"annolist": []},
    "Detectron2": Instances((9, 9), pred_keypoints=torch.zeros(0, 17, 3)),
    "Detectron2, no such field": Instances((9, 9), scores=torch.zeros(0)),
    "Detectron2, no field": {"instances": Instances((9, 9))},
    "MMPose": PoseDataSample(),
    "MMPose, no people": PoseDataSample(pred_instances=EMPTY),
    "MMPose's Inferencer": inferencer(PoseDataSample(pred_instances=EMPTY)),
    "MMPose's Inferencer, no image": {"visualization": [], "predictions": []},
    "MMPose's JSON": {"meta_info": {"dataset_name": "coco"}, "instance_info": []},
    "rtmlib": (np.zeros((0, 17, 2)), np.zeros((0, 17))),
    "rtmlib's tracker": ([], []),
    "rtmlib's tracker, as arrays": (np.zeros(0), np.zeros(0)),
    "ViTPose": [[]],
    "supervision": KeyPoints(np.zeros((0, 0, 2), np.float32)),
    "supervision, of a model": KeyPoints(np.zeros((0, 17, 2), np.float32), keypoint_confidence=np.zeros((0, 17))),
    "MediaPipe": PoseLandmarkerResult([], []),
    "MoveNet": np.zeros((1, 6, 56), np.float32),
    "torchvision": {**BOXES, "keypoints": torch.zeros(0, 17, 3), "keypoints_scores": torch.zeros(0, 17)},
    "torchvision, no logits": {**BOXES, "keypoints": torch.zeros(0, 17, 3), "keypoints_scores": torch.zeros(0)},
    "OpenPose's Datum": Datum(None),
    "OpenPose's Datum, empty": Datum(np.zeros((0, 25, 3), np.float32)),
    "OpenPose's Datum, one axis": Datum(np.zeros(0, np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOBODY)
def test_nobody_comes_back_as_it_is(photo, name):
    given = NOBODY[name]
    out = refine(photo, given)
    assert type(out) is type(given)
    assert len(formats.read(given, shape=SHAPE)) == len(formats.read(out, shape=SHAPE)) == 0
    if isinstance(given, np.ndarray):
        assert (out.shape, out.dtype) == (given.shape, given.dtype)
    elif (
        isinstance(given, (dict, list))
        and "torch" not in name
        and "Ultralytics" not in name
        and "Detectron2" not in name
    ):
        assert str(out) == str(given)


@EVERY
def test_a_skeleton_that_is_asked_for_is_taken_or_refused(name):
    given, poses = made(name, joints_of(np.random.default_rng(0), 1, KINDS[name][1]))
    assert formats.read(given, poses.skeleton, shape=SHAPE).skeleton == poses.skeleton
    for other in ("posetrack17", "body25b", "mpii16", "lsp14"):
        try:
            assert formats.read(given, other, shape=SHAPE).skeleton == other
        except ValueError as error:
            assert other in str(error)


def test_deeplabcuts_dropped_joint_is_nan_and_mpiis_minus_1():
    joints = joints_of(np.random.default_rng(0), 1, 17)
    table = deeplabcut(joints)
    poses = formats.read(table)
    keypoints = poses.keypoints.copy()
    keypoints[0, 2] = np.nan
    out = formats.write(Poses(keypoints, poses.scores, poses.skeleton, poses.ids), table)
    column = 3 * 2
    assert np.isnan(out.to_numpy()[0, column : column + 3]).all()
    given = KINDS["MPII"][2](joints[:, :16])
    poses = formats.read(given)
    keypoints = poses.keypoints.copy()
    keypoints[0, 2] = np.nan
    out = formats.write(Poses(keypoints, poses.scores, poses.skeleton), given)
    assert (out[0]["joints"][2], out[0]["joints_vis"][2]) == ([-1, -1], 0)
