"""From documents to arrays: what counts, what is left out, what does not fit."""

import numpy as np
import pytest

from pose_refine.metrics import ground_truth as people
from pose_refine.metrics.matching import frames, never_predicted, one_to_one, pair
from pose_refine.metrics.multi_person import NO_SCORE

NAN = float("nan")
HEAD = {"x1": [0.0], "y1": [0.0], "x2": [6.0], "y2": [8.0]}  # 0.6 of the diagonal 10


def point(joint, x, y=0.0, **more):
    return {"id": [joint], "x": [x], "y": [y], **more}


def person(*points, track=1):
    return {**HEAD, "track_id": [track], "annopoints": [{"point": list(points)}]}


def images(**rects):
    """PoseTrack 2017: image name to people."""
    return people.read({"annolist": [{"image": [{"name": n}], "annorect": r} for n, r in rects.items()]})


def test_frames():
    truth = images(a=[person(point(0, 1.5), track=3)], b=[])
    predicted = images(a=[person(point(0, 2.5, score=[0.25]), point(1, 9), track=8)], b=[person(point(0, 1))])
    (frame,) = frames(pair(truth, predicted), "posetrack15")  # nobody looked at b
    assert frame.head_sizes.tolist() == [6]
    assert (frame.truth_ids, frame.ids) == ([3], [8])
    assert frame.truth[0, 0].tolist() == [1.5, 0]
    assert frame.labelled.sum() == 1
    assert frame.scores[0, :2].tolist() == [0.25, NO_SCORE]


def test_frames_in_another_skeleton():
    """Ankle and nose labelled; MPII's 14 joints have no nose."""
    truth = images(a=[person(point(0, 1), point(13, 2))])
    (frame,) = frames(pair(truth, truth), "lsp14")
    assert frame.labelled.shape == (1, 14)
    assert frame.labelled.sum() == 1


def test_an_image_without_predictions_has_nobody():
    (frame,) = frames(pair(images(a=[person(point(0, 1))]), []), "posetrack15")
    assert (len(frame.truth), len(frame.poses)) == (1, 0)


def test_one_to_one():
    truth = images(a=[person(point(0, 1)), person(point(1, 2))], b=[person(point(2, 3))], unlabelled=[])
    rest = {"a": [person(point(0, 10)), person(point(1, 20))], "unlabelled": [person(point(0, 1))]}
    predicted = images(b=[person(point(2, 30))], **rest)
    poses, labels, sizes = one_to_one(pair(truth, predicted), "posetrack15")
    for values, factor in ((poses, 10), (labels, 1)):
        np.testing.assert_array_equal(values[[0, 1, 2], [0, 1, 2], 0], factor * np.array([1, 2, 3]))
    assert sizes.tolist() == [6, 6, 6]


def test_joints_that_the_predictions_cannot_have():
    """COCO has neither upper neck nor head top; of them only the head top (14) is labelled."""
    truth = images(a=[person(point(0, 1), point(14, 5))])
    predicted = people.read([{"image_id": "a", "keypoints": [1.0] * 51, "score": 1}])
    assert never_predicted(pair(truth, predicted), "posetrack15") == ["head_top"]
    assert never_predicted(pair(truth, truth), "posetrack15") == []


def test_no_joint_in_common():
    nose = images(a=[person(point(13, 1))])
    ankles = people.read([{"image_id": "a", "keypoints": [1.0] * 42, "score": 1}], "lsp14")
    with pytest.raises(ValueError, match=r"labels \(posetrack15\) and predictions \(lsp14\) have no joint in common"):
        never_predicted(pair(nose, ankles), "posetrack15")


ANKLE = person(point(0, 1))
BAD = {
    "other images": (images(a=[ANKLE]), images(b=[ANKLE], a=[ANKLE]), "1 of 2 images with predictions are not in the"),
    "an image twice": (images(a=[ANKLE]) * 2, images(a=[ANKLE]), "labels: expected each image once, got 2 entries"),
    "predicted twice": (images(a=[ANKLE]), images(a=[ANKLE]) * 2, "predictions: expected each image once"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_belong_together(name):
    truth, predicted, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        pair(truth, predicted)


def test_another_number_of_people():
    with pytest.raises(ValueError, match="image a: expected one prediction for each of 1 labelled people"):
        one_to_one(pair(images(a=[ANKLE]), images(a=[ANKLE, ANKLE])), "posetrack15")
