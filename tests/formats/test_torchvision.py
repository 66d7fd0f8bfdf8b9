import numpy as np
import pytest
import torch

from pose_refine import Poses, formats


def output(people=2):
    """Schema: https://docs.pytorch.org/vision/stable/models/keypoint_rcnn.html"""
    keypoints = torch.arange(people * 51, dtype=torch.float32).view(people, 17, 3)
    keypoints[..., 2] = 1
    return {
        "boxes": torch.rand(people, 4),
        "labels": torch.ones(people, dtype=torch.int64),
        "scores": torch.rand(people),
        "keypoints": keypoints,
        "keypoints_scores": torch.full((people, 17), 8.5),
    }


@pytest.mark.parametrize("people", [2, 0])
@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: [o]], ids=["dict", "list of one"])
def test_read_and_write_back(people, wrap):
    given = output(people)
    assert formats.detect(wrap(given)) == "torchvision"
    poses = formats.read(wrap(given))
    assert poses.present.all()
    np.testing.assert_array_equal(poses.keypoints, given["keypoints"][..., :2] - 0.5)
    np.testing.assert_array_equal(poses.scores, given["keypoints_scores"])
    back = formats.write(poses, wrap(given))
    assert type(back) is type(wrap(given))
    back = back[0] if isinstance(back, list) else back
    assert list(back) == list(given)
    assert all(torch.equal(back[key], given[key]) for key in given)


def test_only_the_joint_that_changed_is_written():
    given, untouched = output(), output()
    poses = formats.read(given)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[1, 5], scores[1, 5] = (7, 9), 0.25
    back = formats.write(Poses(keypoints, scores, "coco17"), given)
    assert back["keypoints"][1, 5].tolist() == [7.5, 9.5, 1]
    assert back["keypoints_scores"][1, 5] == 0.25
    assert (back["keypoints"] != given["keypoints"]).any(-1).sum() == 1
    assert back["boxes"] is given["boxes"]
    for key in ("keypoints", "keypoints_scores"):
        assert torch.equal(given[key], untouched[key])


def test_bad_input():
    with pytest.raises(ValueError, match=r"got \(2, 17, 3\) and \(2, 16\)"):
        formats.read({**output(), "keypoints_scores": torch.ones(2, 16)})


def test_refine(refiner, photo, pose):
    given = output(1)
    given["keypoints"][..., :2] = torch.from_numpy(np.nan_to_num(pose[..., :2], nan=200)) + 0.5
    back = refiner.refine(photo, [given])[0]
    array = np.nan_to_num(pose, nan=200)
    array[..., 2] = 0.5  # else those that are not in the picture are missing
    expected = refiner.refine(photo, array)
    np.testing.assert_allclose(back["keypoints"][..., :2] - 0.5, expected[..., :2], atol=1e-3)
    np.testing.assert_allclose(back["keypoints_scores"], expected[..., 2], atol=1e-4)
