import numpy as np
import pytest
from fakes.mediapipe import NormalizedLandmark, NormalizedLandmarkList, PoseLandmarkerResult, solution_outputs

from pose_refine import Poses, formats
from pose_refine.skeletons import COCO_JOINTS, SKELETONS

SHAPE = (200, 400)  # height, width
JOINTS = SKELETONS["mediapipe33"].joints


def person(offset=0.0, visibility=0.5):
    return [NormalizedLandmark(0.01 * k + offset, 0.02 * k, -0.3, visibility, 0.9) for k in range(33)]


def tasks(*people):
    return PoseLandmarkerResult(list(people), [["world"]], ["mask"])


def legacy(marks):
    found = None if marks is None else NormalizedLandmarkList(marks)
    return solution_outputs(pose_landmarks=found, pose_world_landmarks="world", segmentation_mask=None)


def people_of(result):
    marks = result.pose_landmarks
    return [marks.landmark] if hasattr(marks, "landmark") else marks or []


RESULTS = {
    "tasks": lambda: tasks(person(), person(0.2)),
    "legacy": lambda: legacy(person()),
    "nobody": lambda: tasks(),
    "legacy nobody": lambda: legacy(None),
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
def test_read_and_write_back(make):
    result = make()
    assert formats.detect(result) == "mediapipe"
    poses = formats.read(result, shape=SHAPE)
    assert poses.skeleton == "mediapipe33"
    assert len(poses) == len(people_of(result))
    for found, marks in zip(poses.keypoints, people_of(result), strict=True):
        # the middle of the first pixel lies half a pixel from the image's edge
        np.testing.assert_allclose(found[:, 0], [m.x * 400 - 0.5 for m in marks], rtol=1e-5)
        np.testing.assert_allclose(found[:, 1], [m.y * 200 - 0.5 for m in marks], rtol=1e-5)
    assert poses.present.all()
    back = formats.write(poses, result, shape=SHAPE)
    assert type(back) is type(result)
    assert people_of(back) == people_of(result)
    assert back.pose_world_landmarks is result.pose_world_landmarks


@pytest.mark.parametrize("name", ["tasks", "legacy"])
def test_only_the_joint_that_changed_is_written(name):
    result, untouched = RESULTS[name](), RESULTS[name]()
    poses = formats.read(result, shape=SHAPE)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[0, 11], scores[0, 11] = (99.5, 49.5), 0.25
    back = formats.write(Poses(keypoints, scores, poses.skeleton), result, shape=SHAPE)
    assert people_of(result) == people_of(untouched)
    assert people_of(back)[0][11] == NormalizedLandmark(0.25, 0.25, -0.3, 0.25, 0.9)
    assert [m for k, m in enumerate(people_of(back)[0]) if k != 11] == [
        m for k, m in enumerate(people_of(result)[0]) if k != 11
    ]


def test_visibility_that_is_not_known_stays_so():
    result = tasks(person(visibility=None))
    poses = formats.read(result, shape=SHAPE)
    assert np.isnan(poses.scores).all()
    back = formats.write(Poses(poses.keypoints + 1, poses.scores + 1, poses.skeleton), result, shape=SHAPE)
    assert {m.visibility for m in back.pose_landmarks[0]} == {None}


def test_bad_input():
    with pytest.raises(ValueError, match="33 pose landmarks a person, got 32"):
        formats.read(tasks(person()[:32]), shape=SHAPE)
    with pytest.raises(ValueError, match="the image's size, which is not known"):
        formats.read(tasks(person()))
    with pytest.raises(ValueError, match="the poses are 'mediapipe33'"):
        formats.read(tasks(person()), "coco17", shape=SHAPE)


def test_refine(refiner, photo, pose):
    """As the same joints in an array; hands and feet stay."""
    height, width = photo.shape[:2]
    marks = person()
    known = [JOINTS.index(n) for n in COCO_JOINTS]
    for k, (x, y, score) in zip(known, np.nan_to_num(pose[0], nan=200).tolist(), strict=True):
        marks[k].x, marks[k].y, marks[k].visibility = (x + 0.5) / width, (y + 0.5) / height, score
    refined = refiner.refine(photo, tasks(marks)).pose_landmarks[0]
    whole = np.array([[(m.x * width - 0.5, m.y * height - 0.5, m.visibility) for m in marks]], np.float32)
    expected = refiner.refine(photo, whole, skeleton="mediapipe33")[0]
    found = np.array([(m.x * width - 0.5, m.y * height - 0.5, m.visibility) for m in refined])
    np.testing.assert_allclose(found, expected, atol=0.02)
    others = sorted(set(range(33)) - set(known))
    assert [refined[k] for k in others] == [marks[k] for k in others]
