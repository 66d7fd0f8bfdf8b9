import numpy as np
import pytest
import torch

from pose_refine import Poses, formats

SHAPE = (200, 400)


class Tensor:
    """As TensorFlow's eager tensors where it counts: a shape that is no tuple, and `__array__`."""

    def __init__(self, values):
        self._values, self.shape = values, list(values.shape)

    def __array__(self, dtype=None, copy=None):
        return self._values.astype(dtype or self._values.dtype)


def single():
    return np.random.default_rng(0).uniform(0, 1, (1, 1, 17, 3)).astype(np.float32)


def multi():
    rows = np.random.default_rng(1).uniform(0, 1, (1, 6, 56)).astype(np.float32)
    rows[0, :, 55] = [0.9, 0.02, 0.5, 0.0, 0.01, 0.04]
    return rows


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, Tensor], ids=["array", "torch", "tensorflow"])
@pytest.mark.parametrize("make", [single, multi])
def test_read_and_write_back(make, kind):
    values = make()
    given = kind(values)
    assert formats.detect(given) == "movenet"
    poses = formats.read(given, shape=SHAPE)
    assert poses.skeleton == "coco17"
    first = values[0, 0] if make is single else values[0, 0, :51].reshape(17, 3)
    assert len(poses) == (1 if make is single else 2)
    np.testing.assert_allclose(poses.keypoints[0, :, 0], first[:, 1] * 400 - 0.5, rtol=1e-4)
    np.testing.assert_allclose(poses.keypoints[0, :, 1], first[:, 0] * 200 - 0.5, rtol=1e-4)
    np.testing.assert_array_equal(poses.scores[0], first[:, 2])
    back = formats.write(poses, given, shape=SHAPE)
    assert isinstance(back, torch.Tensor if kind is torch.from_numpy else np.ndarray)
    np.testing.assert_array_equal(np.asarray(back), values)


@pytest.mark.parametrize("make", [single, multi])
def test_only_the_joint_that_changed_is_written(make):
    values, untouched = make(), make()
    poses = formats.read(values, shape=SHAPE)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[-1, 5], scores[-1, 5] = (99.5, 49.5), 0.25
    back = formats.write(Poses(keypoints, scores, "coco17"), values, shape=SHAPE)
    np.testing.assert_array_equal(values, untouched)
    person = (0, 0) if make is single else (0, 2)  # the second row of multi is empty
    changed = back[person].reshape(-1)[15:18]
    np.testing.assert_allclose(changed, [0.25, 0.25, 0.25], rtol=1e-5)
    back[person].reshape(-1)[15:18] = values[person].reshape(-1)[15:18]
    np.testing.assert_array_equal(back, values)


def test_bad_input():
    with pytest.raises(ValueError, match="the image's size, which is not known"):
        formats.read(single())
    with pytest.raises(ValueError, match=r"\(1, 1, 17, 3\) or \(1, M, 56\)"):
        formats.read(np.zeros((2, 1, 17, 3)), format="movenet", shape=SHAPE)
    assert formats.detect(np.zeros((1, 17, 3))) == "array"


def test_refine(refiner, photo, pose):
    height, width = photo.shape[:2]
    x, y, score = np.moveaxis(np.nan_to_num(pose, nan=200), -1, 0)
    given = np.stack([(y + 0.5) / height, (x + 0.5) / width, score], -1)[None].astype(np.float32)
    back = refiner.refine(photo, given)
    expected = refiner.refine(photo, np.stack([x, y, score], -1))
    np.testing.assert_allclose(back[0, 0, :, 1] * width - 0.5, expected[0, :, 0], atol=0.02)
    np.testing.assert_allclose(back[0, 0, :, 0] * height - 0.5, expected[0, :, 1], atol=0.02)
    np.testing.assert_allclose(back[0, 0, :, 2], expected[0, :, 2], atol=1e-3)


@pytest.mark.parametrize("make", [single, multi])
def test_pixels_are_no_shares(make):
    with pytest.raises(ValueError, match=r"expected y, x as shares of the image, from 0 to 1, got \d+; for pixels"):
        formats.read(np.rint(make() * 300), shape=SHAPE)


def test_a_joint_a_little_outside_is_a_share():
    values = single()
    values[0, 0, 3, :2] = [1.5, -0.7]
    assert formats.read(values, shape=SHAPE).present.all()
