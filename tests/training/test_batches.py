"""Cutting, turning and mirroring on the device that trains."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pose_refine.crops import CROP_HEIGHT, CROP_WIDTH, GREY, crop_matrices, cut_crops, to_crop
from pose_refine.encoding import DOUBT
from pose_refine.skeletons import NETWORK
from pose_refine.training import batches
from pose_refine.training.batches import cut, make_batch, mirrored
from pose_refine.training.data import load_images, nearest_others, read_training_sets

LEFT_WRIST, RIGHT_WRIST = (NETWORK.joints.index(f"{side}_wrist") for side in ("left", "right"))


@pytest.fixture(scope="module")
def loaded(data):
    return load_images(read_training_sets(data), 128)


def smooth_images(count, side):
    """Little contrast from pixel to pixel and to grey, so that OpenCV's 1/32 px steps do not matter."""
    coarse = np.random.default_rng(0).integers(GREY - 40, GREY + 40, (count, side // 4, side // 4, 3), dtype=np.uint8)
    return np.stack([cv2.resize(c, (side, side), interpolation=cv2.INTER_LINEAR) for c in coarse])


def matrices_of(*rows):
    centres, heights, angles = (np.array(column, dtype=np.float32) for column in zip(*rows, strict=True))
    return crop_matrices(centres, heights, angles)


PLACES = [
    pytest.param((60, 70), 90, id="enlarged"),
    pytest.param((64, 64), 500, id="reduced by less than two, grey around"),
    pytest.param((3.3, 120.9), 256, id="corner"),
    pytest.param((-900, 50), 100, id="wholly outside"),
]


@pytest.mark.parametrize(("centre", "height"), PLACES)
def test_cut_equals_cut_crops(centre, height):
    images, matrices = smooth_images(2, 128), matrices_of((centre, height, 0))
    ours = cut(torch.from_numpy(images), np.array([1]), matrices)
    assert ours.shape == (1, 3, CROP_HEIGHT, CROP_WIDTH)
    levels = (ours[0].permute(1, 2, 0).numpy() + 1) * 127.5
    np.testing.assert_allclose(levels, cut_crops(images[1], matrices)[0].astype(float), atol=2)


def test_cut_takes_each_crop_from_its_row():
    images = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 32, 32, 3) * 100
    crops = cut(images, np.array([2, 0, 2]), matrices_of(*[((16, 16), 16, 0)] * 3))
    np.testing.assert_allclose((crops[:, 0, 128, 96] + 1) * 127.5, [200, 0, 200], atol=1e-3)


@pytest.mark.parametrize("angle", [0, 0.6, -2])
def test_a_turned_crop_shows_a_point_where_to_crop_says(angle):
    image = np.zeros((1, 128, 128, 3), dtype=np.uint8)
    image[0, 80:83, 40:43] = 255
    matrices = matrices_of(((60, 70), 120, angle))
    weight = cut(torch.from_numpy(image), np.array([0]), matrices)[0, 0].numpy() + 1
    weight[weight < 1.1] = 0  # grey outside
    rows, columns = np.indices(weight.shape)
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    np.testing.assert_allclose(to_crop(np.array([[[41, 81]]]), matrices)[0, 0], found, atol=0.3)


def test_mirrored_renames_and_is_an_involution():
    points = np.random.default_rng(0).uniform(0, 190, (4, 19, 2)).astype(np.float32)
    points[0, 3] = np.nan
    flip = np.array([True, False, True, False])
    before, once = points.copy(), mirrored(points, flip)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(once[[1, 3]], points[[1, 3]])
    np.testing.assert_allclose(once[2, LEFT_WRIST], (CROP_WIDTH - 1, 0) + points[2, RIGHT_WRIST] * (-1, 1), rtol=1e-5)
    assert np.isnan(once[0, NETWORK.mirror[3]]).all()
    np.testing.assert_allclose(mirrored(once, flip), points, atol=1e-4)


def test_a_batch(loaded):
    images, people = loaded
    batch = make_batch(images, people, nearest_others(people), np.array([0, 4, 6]), np.random.default_rng(0))
    assert batch.image.shape == (3, 3, CROP_HEIGHT, CROP_WIDTH)
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    assert batch.image.abs().max() <= 1
    assert batch.initial.shape == batch.truth.shape == (3, 19, 2)
    assert batch.others.shape == (3, 3, 19, 2)
    assert set(batch.trust.tolist()) <= {1.0, DOUBT}
    assert {t.dtype for t in vars(batch).values()} == {torch.float32}
    labelled = ~np.isnan(people.keypoints[[0, 4, 6]][..., 0])
    assert (~torch.isnan(batch.truth[..., 0])).sum(1).tolist() == labelled.sum(1).tolist()


def test_a_batch_is_drawn_from_its_generator_alone(loaded):
    images, people = loaded
    others, rows = nearest_others(people), np.array([0, 1, 2])
    first, again, other = (make_batch(images, people, others, rows, np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.truth.nan_to_num(-1), again.truth.nan_to_num(-1))
    assert not torch.equal(first.image, other.image)


def test_parts_of_a_batch_are_the_batch(loaded):
    images, people = loaded
    others, rows = nearest_others(people), np.arange(7)
    parts = (slice(None), slice(0, 3), slice(3, 7))
    whole, *shares = (make_batch(images, people, others, rows, np.random.default_rng(0), part) for part in parts)
    for name, tensor in vars(whole).items():
        together = torch.cat([getattr(share, name) for share in shares])
        torch.testing.assert_close(together, tensor, atol=1e-4, rtol=0, equal_nan=True)


def blob_at_the_left_wrist(people, count=48):
    """The same person many times, in a dark image with a bright disc at its left wrist."""
    place = people.keypoints[0, LEFT_WRIST].round()
    keypoints = np.repeat(people.keypoints[:1], count, 0)
    keypoints[:, LEFT_WRIST] = place
    image = np.full((128, 128, 3), 60, dtype=np.uint8)
    cv2.circle(image, [int(v) for v in place], 2, (255, 255, 255), -1)
    predicted = np.full((count, 1, 19, 3), np.nan, dtype=np.float32)
    same = {"area": people.area[:1].repeat(count), "image": np.zeros(count, dtype=int), "estimators": ["none"]}
    return torch.from_numpy(image)[None], replace(people, keypoints=keypoints, predicted=predicted, **same)


def brightest(image):
    """The middle of what is nearly as bright as the brightest pixel, in crop pixels."""
    level = image.mean(0)
    rows, columns = torch.nonzero(level > level.max() - 0.1, as_tuple=True)
    return torch.stack([columns, rows], -1).float().mean(0)


def test_truth_lies_on_what_the_crop_shows_however_turned_and_mirrored(loaded, monkeypatch):
    """A bright disc at the left wrist appears at that wrist, or, in a mirror, at the one then called right."""
    monkeypatch.setattr(batches, "hide_patch", lambda image, draw: image)
    monkeypatch.setattr(
        batches, "initial_poses", lambda truth, rng: (truth.poses, truth.others, np.zeros(len(truth.poses), bool))
    )
    images, people = blob_at_the_left_wrist(loaded[1])
    rows = np.arange(len(people.area))
    batch = make_batch(images, people, nearest_others(people), rows, np.random.default_rng(0))
    shown = torch.stack([brightest(image) for image in batch.image])
    left, right = (torch.linalg.vector_norm(batch.truth[:, j] - shown, dim=-1) for j in (LEFT_WRIST, RIGHT_WRIST))
    assert (torch.minimum(left, right) < 3).float().mean() > 0.9
    assert 0.25 < (right < left).float().mean() < 0.75
    upright = batch.truth[:, NETWORK.joints.index("nose")] - batch.truth[:, NETWORK.joints.index("left_hip")]
    assert torch.atan2(upright[:, 0], -upright[:, 1]).std() > 0.1


def test_others_are_turned_and_mirrored_with_the_crop(loaded, monkeypatch):
    """Somebody who stands where this person stands lies on it in the crop too."""
    monkeypatch.setattr(
        batches, "initial_poses", lambda t, rng: (t.poses, t.poses[:, None].repeat(3, 1), np.zeros(len(t.poses), bool))
    )
    images, people = loaded
    batch = make_batch(images, people, nearest_others(people), np.arange(7), np.random.default_rng(0))
    for other in batch.others.unbind(1):
        torch.testing.assert_close(other, batch.initial, equal_nan=True)


def test_area_shrinks_and_grows_with_the_crop(loaded, monkeypatch):
    monkeypatch.setattr(
        batches, "initial_poses", lambda truth, rng: (truth.poses, truth.others, np.zeros(len(truth.poses), bool))
    )
    images, people = loaded
    rows = np.zeros(6, dtype=int)
    batch = make_batch(images, people, nearest_others(people), rows, np.random.default_rng(0))
    # Their mirror images are as far apart: this person stands symmetrically.
    a, b = (NETWORK.joints.index(n) for n in ("left_shoulder", "left_ankle"))
    length = torch.linalg.vector_norm(batch.truth[:, a] - batch.truth[:, b], dim=-1)
    shoulder, ankle = people.keypoints[0, [a, b]]
    expected = people.area[0] / np.square(shoulder - ankle).sum()
    assert (batch.area / length**2).tolist() == pytest.approx([expected] * 6, rel=1e-3)
    assert length.std() > 1


def test_hidden_poses_are_not_shown_but_still_say_where_to_cut(loaded, monkeypatch):
    hidden = np.array([True, False, True])
    monkeypatch.setattr(batches, "initial_poses", lambda truth, rng: (truth.poses.copy(), truth.others, hidden))
    images, people = loaded
    batch = make_batch(images, people, nearest_others(people), np.array([0, 4, 6]), np.random.default_rng(0))
    assert torch.isnan(batch.initial[hidden]).all()
    assert torch.equal(batch.initial[1].nan_to_num(-1), batch.truth[1].nan_to_num(-1))
    assert not torch.isnan(batch.truth[hidden]).flatten(1).all(1).any()


def drawing(seed=0):
    """Draws for 400 crops."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(400, *shape, generator=generator)


def test_recolour_stays_in_range_and_greys_a_few():
    image = drawing(1)(3, 4, 4) * 2 - 1
    out = batches.recolour(image, drawing())
    assert out.abs().max() <= 1
    grey = (out == out[:, :1]).flatten(1).all(1)
    assert 0.01 < grey.float().mean() < 0.1
    assert (out != image).flatten(1).any(1).all()


def test_blur_halves_the_resolution_of_a_share():
    checkered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).expand(400, 3, 16, 16)
    out = batches.blur(checkered, drawing(), share=0.3)
    blurred = (out.abs() < 1e-6).flatten(1).all(1)
    assert blurred.float().mean() == pytest.approx(0.3, abs=0.07)
    assert torch.equal(out[~blurred], checkered[~blurred])


def test_hide_patch_greys_a_rectangle_of_a_share():
    out = batches.hide_patch(torch.ones(400, 3, 64, 48), drawing(), share=0.4)
    gone = (out == 0).all(1)
    chosen = gone.any(2).any(1)
    assert chosen.float().mean() == pytest.approx(0.4, abs=0.07)
    assert ((out == 0) | (out == 1)).all()
    for patch in gone[chosen]:
        rows, columns = patch.any(1), patch.any(0)
        assert torch.equal(patch, rows[:, None] & columns)  # a rectangle
        assert rows.sum() <= 0.34 * 64
        assert columns.sum() <= 0.34 * 48
