import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_refine.metrics.multi_person import NO_SCORE, Frame, assign, average_precision, inside, precision_recall
from pose_refine.metrics.posetrack import pose_ap

NAN = float("nan")


def frame(truth, poses, scores=None):
    """People as lists of x of each joint, NaN where there is none; head size 10, so that a hit is within 5 px."""
    joints = len([*truth, *poses][0])
    places = [np.array(people, dtype=np.float64).reshape(-1, joints, 1) for people in (truth, poses)]
    truth, poses = (np.concatenate([x, np.zeros_like(x)], -1) for x in places)
    scores = np.ones(poses.shape[:2]) if scores is None else np.array(scores, dtype=np.float64)
    return Frame(truth, np.full(len(truth), 10.0), poses, scores)


def hits(*people):
    """Each prediction's hits: a list of one tuple of flags a labelled person."""
    return np.array(people, dtype=bool)


# hits (N, G, K), labelled (G, K), which labelled person each prediction is.
ASSIGNMENTS = {
    "one each": (hits([(1, 1), (0, 0)], [(0, 0), (1, 1)]), [(1, 1), (1, 1)], [0, 1]),
    "no hit": (hits([(0, 0)]), [(1, 1)], [-1]),
    "the better of two": (hits([(1, 0)], [(1, 1)]), [(1, 1)], [-1, 0]),
    "of equal predictions the first": (hits([(1, 0)], [(0, 1)]), [(1, 1)], [0, -1]),
    "of equal people the first": (hits([(1, 0), (0, 1)]), [(1, 1), (1, 1)], [0]),
    "no second choice": (hits([(1, 1), (1, 0)], [(1, 0), (0, 0)]), [(1, 1), (1, 1)], [0, -1]),
    "shares are of labelled joints": (hits([(1, 0), (1, 0)]), [(1, 1), (1, 0)], [1]),
    "nobody labelled": (np.zeros((2, 0, 2), dtype=bool), np.zeros((0, 2)), [-1, -1]),
    "nobody predicted": (np.zeros((0, 1, 2), dtype=bool), [(1, 1)], []),
    "a person without labels": (hits([(0, 0), (1, 0)]), [(0, 0), (1, 1)], [1]),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assignment(name):
    hit, labelled, expected = ASSIGNMENTS[name]
    assert assign(hit, np.array(labelled, dtype=bool)).tolist() == expected


# right (best first), positives: AP, precision, recall.
CURVES = {
    "all right": ([1, 1], 2, (1, 1, 1)),
    "one wrong between": ([1, 0, 1], 2, (5 / 6, 2 / 3, 1)),  # precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1
    "wrong first": ([0, 1], 1, (1 / 2, 1 / 2, 1)),
    "the envelope lifts": ([0, 1, 1], 2, (2 / 3, 2 / 3, 1)),  # 1/2 at recall 1/2 is lifted to 2/3
    "one not found": ([1], 2, (1 / 2, 1, 1 / 2)),
    "none right": ([0, 0], 3, (0, 0, 0)),
    "none predicted": ([], 3, (0, NAN, 0)),
    "none labelled": ([0], 0, (NAN, 0, NAN)),
    "nothing at all": ([], 0, (NAN, NAN, NAN)),
}


@pytest.mark.parametrize("name", CURVES)
def test_precision_and_recall(name):
    right, positives, expected = CURVES[name]
    found = precision_recall(np.array(right, dtype=bool), positives, zero_if_empty=False)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("positives", [0, 3])
def test_a_joint_predicted_nowhere_may_count_as_zero(positives):
    assert precision_recall(np.zeros(0, dtype=bool), positives, zero_if_empty=True) == (0, 0, 0)


# Frames of one joint: percent AP.
FRAMES = {
    "on the threshold": ([frame([[0]], [[5]])], 100),
    "beyond it": ([frame([[0]], [[5.01]])], 0),
    "one of two found": ([frame([[0], [100]], [[0]])], 50),
    "an extra person, ranked last": ([frame([[0]], [[0], [300]], [[0.9], [0.1]])], 100),
    "an extra person, ranked first": ([frame([[0]], [[0], [300]], [[0.1], [0.9]])], 50),
    "ranked over all images": ([frame([[0]], [[0]], [[0.5]]), frame([[0]], [[9]], [[0.8]])], 25),  # wrong, then 1 of 2
    "where nobody is, all is wrong": ([frame([[0]], [[0]], [[0.5]]), frame([], [[9]], [[0.8]])], 50),
    "without score last": ([frame([[0]], [[0], [300]], [[0.1], [NO_SCORE]])], 100),
}


@pytest.mark.parametrize("name", FRAMES)
def test_average_precision(name):
    frames, expected = FRAMES[name]
    assert average_precision(frames).ap.tolist() == [pytest.approx(expected)]


def test_joints_of_people_who_are_nobody_are_wrong():
    """The second prediction is exact in its only joint, but the first one is the person."""
    found = average_precision([frame([[0, 50]], [[1, 51], [0, NAN]], [[0.5, 0.5], [0.9, NAN]])])
    np.testing.assert_allclose(found.ap, [50, 100])
    np.testing.assert_allclose(found.precision, [50, 100])
    np.testing.assert_allclose(found.recall, [100, 100])


def test_a_joint_that_is_not_labelled_is_wrong_where_predicted():
    found = average_precision([frame([[0, NAN], [100, 150]], [[0, 50], [100, 150]], [[1, 0.9], [1, 0.1]])])
    np.testing.assert_allclose(found.ap, [100, 50])
    assert found.labelled.tolist() == [2, 1]


def test_equal_scores():
    """The wrong one comes first: last in reversed order."""
    frames = [frame([[0]], [[300], [0]], [[0.5], [0.5]])]
    assert average_precision(frames).ap == [50]
    assert average_precision(frames, reverse_ties=True).ap == [100]


def test_images_without_predictions():
    frames = [frame([[0]], [[0]]), frame([[0]], [])]
    assert average_precision(frames).ap == [50]
    assert average_precision(frames, skip_unpredicted=True).ap == [100]


def test_joints_that_nobody_predicted():
    """Second joint: labelled, not predicted. Third: neither."""
    frames = [frame([[0, 0, NAN]], [[0, NAN, NAN]])]
    np.testing.assert_array_equal(average_precision(frames).ap, [100, 0, NAN])
    np.testing.assert_array_equal(average_precision(frames).precision, [100, NAN, NAN])
    np.testing.assert_array_equal(pose_ap(frames).ap, [100, 0, 0])
    np.testing.assert_array_equal(pose_ap(frames).precision, [100, 0, 0])


SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
NOTCHED = [(0, 0), (10, 0), (5, 5), (10, 10), (0, 10)]
POINTS = {
    "inside": (SQUARE, (5, 5), True),
    "outside": (SQUARE, (15, 5), False),
    "on an edge": (SQUARE, (10, 5), False),
    "on a corner": (SQUARE, (0, 10), False),
    "in line with an edge": (SQUARE, (20, 10), False),
    "in the notch": (NOTCHED, (8, 5), False),
    "on the notch's corner": (NOTCHED, (5, 5), False),
    "left of the notch": (NOTCHED, (4, 5), True),
    "missing": (SQUARE, (NAN, NAN), False),
}


@pytest.mark.parametrize("name", POINTS)
def test_inside(name):
    polygon, point, expected = POINTS[name]
    assert inside(np.array([point]), np.array(polygon)).tolist() == [expected]


corner = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(st.lists(corner, min_size=3, max_size=7), corner)
def test_inside_is_opencvs(polygon, point):
    expected = cv2.pointPolygonTest(np.array(polygon, dtype=np.float32), tuple(map(float, point)), False) > 0
    assert inside(np.array(point), np.array(polygon)) == expected


GOOD = {"truth": np.zeros((1, 2, 2)), "head_sizes": np.ones(1), "poses": np.zeros((1, 2, 2)), "scores": np.ones((1, 2))}
BAD = {
    "score NaN": ({"scores": np.array([[1, NAN]])}, "scores: expected a finite number for every predicted joint"),
    "score infinite": ({"scores": np.array([[1, np.inf]])}, "scores: expected a finite number"),
    "other joints": ({"poses": np.zeros((1, 3, 2)), "scores": np.ones((1, 3))}, r"got \(1, 2, 2\), \(1, 3, 2\)"),
    "other scores": ({"scores": np.ones((2, 2))}, r"scores, head_sizes: expected shapes \(1, 2\), \(1,\)"),
    "no head": ({"head_sizes": np.array([NAN])}, "head sizes: expected numbers above 0"),
    "ids": ({"ids": [1, 2]}, "ids: expected 1, one a person, got 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames(name):
    changed, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        Frame(**{**GOOD, **changed})


def test_bad_polygon():
    with pytest.raises(ValueError, match=r"at least three corners \(M, 2\), got shape \(2, 2\)"):
        inside(np.zeros((1, 2)), np.zeros((2, 2)))


def test_no_frames():
    with pytest.raises(ValueError, match="got 0 of"):
        average_precision([])


def test_frames_of_different_joints():
    with pytest.raises(ValueError, match=r"got 2 of \[1, 2\] joints"):
        average_precision([frame([[0]], [[0]]), frame([[0, 0]], [[0, 0]])])
