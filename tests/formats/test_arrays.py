import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from pose_refine import Poses, formats
from pose_refine.formats import arrays

NAN = np.nan
ONES = np.ones((2, 17, 3))
PLAIN = settings(deadline=None, max_examples=60)  # how long an example takes says nothing on a busy machine

# What joint 5 of one person holds, and whether the joint is there.
JOINTS = {
    "all zero": ([0, 0, 0], False),
    "origin with a score": ([0, 0, 0.1], False),
    "-1 with a score": ([-1, -1, 0.9], False),
    "score 0": ([3, 4, 0], False),
    "on the left edge": ([0, 4, 0.5], True),
    "outside the image": ([-3, -4, 0.5], True),
    "NaN x": ([NAN, 4, 0.5], False),
    "NaN y": ([3, NAN, 0.5], False),
    "NaN score": ([3, 4, NAN], True),
    "two columns": ([3, 4], True),
    "two columns, both zero": ([0, 0], False),
    "two columns, NaN": ([NAN, NAN], False),
}
SHAPES = {
    "two people": ((2, 17, 3), None, (2, 17), "coco17"),
    "one person": ((17, 3), None, (1, 17), "coco17"),
    "no score": ((2, 17, 2), None, (2, 17), "coco17"),
    "one person without score": ((17, 2), None, (1, 17), "coco17"),
    "nobody": ((0, 17, 3), None, (0, 17), "coco17"),
    "16 joints": ((2, 16, 3), None, (2, 16), "mpii16"),
    "16 joints by name": ((2, 16, 3), "mpii16", (2, 16), "mpii16"),
    "18 joints by name": ((1, 18, 3), "coco18", (1, 18), "coco18"),
    "one person of 14": ((14, 3), "lsp14", (1, 14), "lsp14"),
}
BAD = {
    "one person of four columns": (np.ones((17, 4)), None, ValueError, r"\(K, 3\), got \(17, 4\)"),
    "flat": (np.ones(51), None, ValueError, r"got \(51,\)"),
    "four columns": (np.ones((1, 17, 4)), None, ValueError, r"got \(1, 17, 4\)"),
    "a video": (np.ones((5, 1, 17, 3)), None, ValueError, r"got \(5, 1, 17, 3\)"),
    "18 joints without a name": (np.ones((1, 18, 3)), None, ValueError, "18 joints need skeleton="),
    "another skeleton's joints": (ONES, "body25", ValueError, "body25 has 25 joints, got 17"),
    "unknown skeleton": (ONES, "coco", ValueError, "unknown skeleton 'coco'"),
    "text": (ONES.astype(str), None, ValueError, "expected numbers"),
    "truth values": (ONES.astype(bool), None, ValueError, "expected numbers, got dtype bool"),
    "complex": (ONES.astype(complex), None, ValueError, "expected numbers"),
    "objects": (ONES.astype(object), None, ValueError, "expected numbers"),
    "infinite": (ONES * np.inf, None, ValueError, "Inf"),
    "beyond float32": (ONES * 1e39, None, ValueError, "Inf"),
    "a list": (ONES.tolist(), None, TypeError, "expected a numpy array, got list"),
}


def moved(poses, person, joint, triplet):
    """`poses` with another x, y, score of one joint."""
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton, poses.ids)


@pytest.mark.parametrize("name", JOINTS)
def test_which_joints_are_missing(name):
    joint, there = JOINTS[name]
    array = np.ones((1, 17, len(joint)))
    array[0, 5] = joint
    present = arrays.read(array).present
    assert present[0, 5] == there
    assert present.sum() == 16 + there


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    shape, skeleton, expected, expected_skeleton = SHAPES[name]
    poses = arrays.read(np.ones(shape), skeleton)
    assert poses.keypoints.shape == (*expected, 2)
    assert poses.scores.shape == expected
    assert poses.skeleton == expected_skeleton
    assert poses.ids is None


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    array, skeleton, error, words = BAD[name]
    with pytest.raises(error, match=words):
        arrays.read(array, skeleton)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint16"])
def test_any_numbers_become_float32(dtype):
    array = np.arange(1, 52).reshape(1, 17, 3).astype(dtype)
    poses = arrays.read(array)
    assert poses.keypoints.dtype == poses.scores.dtype == np.float32
    assert np.array_equal(poses.keypoints, array[..., :2])
    assert np.array_equal(poses.scores, array[..., 2])


def test_scores_are_unknown_without_a_third_column():
    assert np.isnan(arrays.read(ONES[..., :2]).scores).all()


def test_reading_copies():
    array = ONES.astype(np.float32)
    arrays.read(array).keypoints[:] = 7
    assert np.array_equal(array, ONES)


def test_columns_are_x_y_score():
    array = np.arange(1, 103, dtype=np.float32).reshape(2, 17, 3)
    assert np.array_equal(arrays.read(array).to_array(), array)


finite = st.floats(-5000, 5000, width=32) | st.just(0.0) | st.just(NAN)


@PLAIN
@given(st.integers(0, 3).flatmap(lambda n: numpy_arrays(np.float32, (n, 17, 3), elements=finite)))
def test_round_trip_of_triplets(array):
    before = array.copy()
    out = arrays.write(arrays.read(array), array)
    assert np.array_equal(out, before, equal_nan=True)
    assert np.array_equal(array, before, equal_nan=True)
    assert not np.shares_memory(out, array)


@PLAIN
@given(numpy_arrays(np.float64, (2, 16, 2), elements=finite))
def test_round_trip_of_pairs_adds_a_score(array):
    out = arrays.write(arrays.read(array), array)
    assert out.shape == (2, 16, 3)
    assert out.dtype == np.float32
    assert np.array_equal(out[..., :2], array, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_one_person_stays_one_person(dtype):
    array = np.arange(1, 52).reshape(17, 3).astype(dtype)
    out = arrays.write(moved(arrays.read(array), 0, 5, (100.25, 50.5, 0.5)), array)
    assert out.shape == (17, 3)
    assert out.dtype == np.float32
    assert out[5].tolist() == [100.25, 50.5, 0.5]
    assert np.array_equal(np.delete(out, 5, 0), np.delete(array, 5, 0))


def test_missing_stays_as_it_came():
    array = np.ones((1, 17, 3), np.float32)
    array[0, 2] = 0
    array[0, 3] = NAN, 4, 0.5
    poses = moved(arrays.read(array), 0, 0, (9, 8, 0.7))
    expected = array.copy()
    expected[0, 0] = 9, 8, 0.7
    assert np.array_equal(arrays.write(poses, array), expected, equal_nan=True)


# What joint 5 was, what it became, and whether it is to be written back.
CHANGES = {
    "same": ((3, 4, 0.5), (3, 4, 0.5), False),
    "moved": ((3, 4, 0.5), (3, 4.001, 0.5), True),
    "score alone": ((3, 4, 0.5), (3, 4, 0.6), True),
    "same, score unknown": ((3, 4, NAN), (3, 4, NAN), False),
    "score became known": ((3, 4, NAN), (3, 4, 0.5), True),
    "recovered": ((NAN, NAN, 0), (3, 4, 0.5), True),
    "still missing": ((NAN, NAN, 0), (NAN, NAN, 0), False),
    "still missing, other score": ((NAN, NAN, 0), (NAN, NAN, 0.5), False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_counts_as_changed(name):
    before, after, expected = CHANGES[name]
    poses = arrays.read(ONES)
    result = arrays.changed(moved(poses, 1, 5, after), moved(poses, 1, 5, before))
    assert result[1, 5] == expected
    assert result.sum() == expected


TENSORS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_back_as_tensors(name):
    given = torch.arange(1, 2 * 17 * 3 + 1).reshape(2, 17, 3).to(TENSORS[name])
    before = given.clone()
    assert formats.detect(given) == "array"
    poses = formats.read(given)
    np.testing.assert_array_equal(poses.to_array(), given.float().numpy())
    out = formats.write(moved(poses, 1, 5, (7, 8, 0.5)), given)
    assert (type(out), out.dtype, out.shape) == (torch.Tensor, torch.float32, given.shape)
    assert out[1, 5].tolist() == [7, 8, 0.5]
    assert torch.equal(given, before)


def test_a_tensor_with_gradients_and_one_of_nobody():
    given = torch.ones(17, 3, requires_grad=True)
    assert formats.read(given).keypoints.shape == (1, 17, 2)
    nobody = torch.zeros(0, 17, 3)
    out = formats.write(formats.read(nobody), nobody)
    assert (type(out), out.shape) == (torch.Tensor, nobody.shape)
    assert out is not nobody


def test_joints_in_another_order_are_told():
    """Human3.6M's seventeen are not COCO's; who says whose they are is not asked."""
    legs = [[100, 120], [88, 120], [86, 160], [85, 200], [112, 120], [114, 160], [115, 200]]
    spine = [[100, 90], [100, 60], [100, 42], [100, 12]]
    body = np.array([*legs, *spine, [120, 60], [130, 90], [135, 120], [80, 60], [70, 90], [65, 120]])
    with pytest.warns(UserWarning, match=r"taken for coco17's, and lie as h36m17's do: pass skeleton='h36m17'"):
        arrays.read(body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("coco17", "h36m17"):
            assert arrays.read(body, name).skeleton == name
