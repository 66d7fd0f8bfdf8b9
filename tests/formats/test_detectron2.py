import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from pose_refine import Poses, formats
from pose_refine.formats import detectron2

PLAIN = settings(deadline=None, max_examples=60)
CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def instances(keypoints):
    """As a keypoint R-CNN gives them for a 480 x 640 image."""
    count = len(keypoints)
    return Instances(
        (480, 640),
        pred_boxes=torch.arange(4.0 * count).reshape(count, 4),
        scores=torch.full((count,), 0.9),
        pred_classes=torch.zeros(count, dtype=torch.int64),
        pred_keypoints=keypoints,
    )


def people(count=2, dtype=torch.float32, device="cpu"):
    values = torch.arange(1, 51 * count + 1).reshape(count, 17, 3)
    return instances((values + 0.5).to(device, dtype))


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


# Detectron2's coordinates of a joint, and ours.
HALF_PIXEL = {
    "middle of the first pixel": ((0.5, 0.5), (0, 0)),
    "corner of the image": ((0, 0), (-0.5, -0.5)),
    "somewhere": ((101.25, 7.75), (100.75, 7.25)),
    "middle of the last pixel": ((639.5, 479.5), (639, 479)),
}


@pytest.mark.parametrize("name", HALF_PIXEL)
def test_half_pixel_both_ways(name):
    theirs, ours = HALF_PIXEL[name]
    predictions = people(1)
    predictions.pred_keypoints[0, 5] = torch.tensor([*theirs, 0.5])
    assert detectron2.read(predictions).keypoints[0, 5].tolist() == list(ours)
    other = people(1)
    out = detectron2.write(moved(detectron2.read(other), 0, 5, (*ours, 0.5)), other)
    assert out.pred_keypoints[0, 5].tolist() == [*theirs, 0.5]
    out.pred_keypoints[0, 5] = other.pred_keypoints[0, 5]
    assert torch.equal(out.pred_keypoints, other.pred_keypoints)


def test_score_is_not_shifted():
    assert detectron2.read(people()).scores[1, 16] == 102.5


# What a joint of Detectron2 holds, and whether the joint is there.
JOINTS = {
    "all zero": ((0, 0, 0), False),
    "corner with a score": ((0, 0, 0.1), True),
    "score 0": ((3, 4, 0), False),
    "NaN": ((float("nan"), 4, 0.5), False),
}


@pytest.mark.parametrize("name", JOINTS)
def test_which_joints_are_missing(name):
    joint, there = JOINTS[name]
    predictions = people(1)
    predictions.pred_keypoints[0, 5] = torch.tensor(joint)
    poses = detectron2.read(predictions)
    assert poses.present[0].tolist() == [True] * 5 + [there] + [True] * 11
    out = detectron2.write(moved(poses, 0, 0, (1, 2, 0.5)), predictions)
    assert np.array_equal(out.pred_keypoints[0, 5], predictions.pred_keypoints[0, 5], equal_nan=True)


finite = st.floats(-5000, 5000, width=32) | st.just(0.0)


@PLAIN
@given(st.integers(0, 3).flatmap(lambda n: numpy_arrays(np.float32, (n, 17, 3), elements=finite)))
def test_round_trip_is_exact(values):
    predictions = instances(torch.from_numpy(values.copy()))
    out = detectron2.write(detectron2.read(predictions), predictions)
    assert np.array_equal(out.pred_keypoints.numpy(), values)
    assert np.array_equal(predictions.pred_keypoints.numpy(), values)


@PLAIN
@given(numpy_arrays(np.float32, (2, 17, 3), elements=finite), st.integers(0, 1), st.integers(0, 16))
def test_only_changed_joints_change(values, person, joint):
    predictions = instances(torch.from_numpy(values.copy()))
    out = detectron2.write(moved(detectron2.read(predictions), person, joint, (6001, 6002, 0.125)), predictions)
    expected = values.copy()
    expected[person, joint] = 6001.5, 6002.5, 0.125
    assert np.array_equal(out.pred_keypoints.numpy(), expected)
    assert np.array_equal(predictions.pred_keypoints.numpy(), values)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_and_device_stay(dtype, device):
    predictions = people(1, dtype, device)
    before = predictions.pred_keypoints.clone()
    out = detectron2.write(moved(detectron2.read(predictions), 0, 5, (12, 24, 0.5)), predictions).pred_keypoints
    assert out.dtype == dtype
    assert out.device == before.device
    assert out[0, 5].tolist() == [12.5, 24.5, 0.5]
    assert torch.equal(predictions.pred_keypoints, before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unchanged_joints_keep_every_bit(dtype):
    torch.manual_seed(0)
    keypoints = (torch.rand(2, 17, 3, dtype=torch.float64) * 640).to(dtype)
    predictions = instances(keypoints)
    out = detectron2.write(detectron2.read(predictions), predictions)
    assert torch.equal(out.pred_keypoints, keypoints)


def test_other_fields_are_shared_and_kept():
    predictions = people()
    out = detectron2.write(moved(detectron2.read(predictions), 0, 5, (1, 2, 0.5)), predictions)
    assert out is not predictions
    assert type(out) is Instances
    assert out.image_size == (480, 640)
    assert list(out.get_fields()) == list(predictions.get_fields())
    for name in ("pred_boxes", "scores", "pred_classes"):
        assert torch.equal(out.get(name), predictions.get(name))


def test_predictors_output_dict():
    output = {"instances": people(), "panoptic_seg": (torch.zeros(2, 2), [])}
    before = output["instances"]
    out = detectron2.write(moved(detectron2.read(output), 0, 5, (1, 2, 0.5)), output)
    assert list(out) == ["instances", "panoptic_seg"]
    assert out["panoptic_seg"] is output["panoptic_seg"]
    assert output["instances"] is before
    assert out["instances"].pred_keypoints[0, 5].tolist() == [1.5, 2.5, 0.5]


def test_nobody():
    predictions = instances(torch.zeros(0, 17, 3))
    poses = detectron2.read(predictions)
    assert poses.keypoints.shape == (0, 17, 2)
    assert detectron2.write(poses, predictions).pred_keypoints.shape == (0, 17, 3)


def test_another_skeleton_by_name():
    predictions = instances(torch.ones(1, 14, 3))
    poses = detectron2.read(predictions, "lsp14")
    assert poses.skeleton == "lsp14"
    assert detectron2.write(poses, predictions).pred_keypoints.shape == (1, 14, 3)


def test_gradients_do_not_get_in_the_way():
    predictions = instances(torch.ones(1, 17, 3, requires_grad=True))
    assert detectron2.read(predictions).present.all()


BAD = {
    "14 joints without a name": (instances(torch.ones(1, 14, 3)), "14 joints need skeleton="),
    "flat": (instances(torch.ones(1, 51)), r"got \(1, 51\)"),
    "infinite": (instances(torch.full((1, 17, 3), torch.inf)), "Inf"),
    "boxes only": (Instances((4, 5), pred_boxes=torch.ones(1, 4)), "expected a field 'pred_keypoints'"),
    "boxes only, in a dict": ({"instances": Instances((4, 5), pred_boxes=torch.ones(1, 4))}, "'pred_keypoints'"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("read", [detectron2.read, formats.read], ids=["format", "any"])
def test_says_what_was_expected(name, read):
    predictions, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        read(predictions)
