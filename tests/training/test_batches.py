"""Cutting, turning and mirroring on the device that trains."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, GREY, crop_matrices, to_crop
from pose_refine.nn.encoding import DOUBT
from pose_refine.skeletons import NETWORK
from pose_refine.training import batches
from pose_refine.training.batches import BLURRED, coarser, cut, cut_off, make_batch, mirrored
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
    pytest.param((60, 70), 90, 0, id="enlarged"),
    pytest.param((64, 64), 500, 0, id="reduced by less than two, grey around"),
    pytest.param((3.3, 120.9), 256, 0, id="corner"),
    pytest.param((-900, 50), 100, 0, id="wholly outside"),
    pytest.param((60, 70), 90, 2, id="turned"),
]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.mark.parametrize(("centre", "height", "angle"), PLACES)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_cut_equals_cut_crops(centre, height, angle, device):
    images, matrices = smooth_images(2, 128), matrices_of((centre, height, angle))
    ours = cut(torch.from_numpy(images).to(device), np.array([1]), matrices)
    assert ours.shape == (1, 3, CROP_HEIGHT, CROP_WIDTH)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    levels = (ours[0].permute(1, 2, 0).cpu().numpy() + 1) * 127.5
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


@pytest.fixture
def plainly(monkeypatch):
    """Nothing is hidden and cut off, and the initial poses are the truth."""
    monkeypatch.setattr(batches, "hide_patch", lambda image, draw: image)
    monkeypatch.setattr(batches, "cut_off", lambda image, truth, draw: (image, truth))
    exact = lambda truth, rng: (truth.poses.copy(), truth.others, np.zeros(len(truth.poses), bool))  # noqa: E731
    monkeypatch.setattr(batches, "initial_poses", exact)


def test_a_batch(loaded, monkeypatch):
    monkeypatch.setattr(batches, "cut_off", lambda image, truth, draw: (image, truth))
    images, people = loaded
    batch = make_batch(images, people, nearest_others(people), np.array([0, 4, 6]), np.random.default_rng(0))
    assert batch.image.shape == (3, 3, CROP_HEIGHT, CROP_WIDTH)
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    assert batch.image.abs().max() <= 1
    assert batch.shown.shape == batch.truth.shape == (3, 19, 2)
    assert batch.others.shape == (3, 3, 19, 2)
    assert set(batch.belief.tolist()) <= {1.0, DOUBT}
    assert {name: t.dtype for name, t in vars(batch).items() if t.dtype != torch.float32} == {"mpii": torch.bool}
    assert batch.mpii.tolist() == [False, False, True]
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
    same["mpii"] = np.zeros(count, dtype=bool)
    return torch.from_numpy(image)[None], replace(people, keypoints=keypoints, predicted=predicted, **same)


def brightest(image):
    """The middle of what is nearly as bright as the brightest pixel, in crop pixels."""
    level = image.mean(0)
    rows, columns = torch.nonzero(level > level.max() - 0.1, as_tuple=True)
    return torch.stack([columns, rows], -1).float().mean(0)


def test_truth_lies_on_what_the_crop_shows_however_turned_and_mirrored(loaded, plainly, monkeypatch):
    """A bright disc at the left wrist appears at that wrist, or, in a mirror, at the one then called right."""
    monkeypatch.setattr(batches, "blur", lambda image, draw: image)
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
        torch.testing.assert_close(other, batch.shown, equal_nan=True)


def test_area_shrinks_and_grows_with_the_crop(loaded, plainly):
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


def test_hidden_poses_are_not_shown_but_still_say_where_to_cut(loaded, plainly, monkeypatch):
    hidden = np.array([True, False, True])
    monkeypatch.setattr(batches, "initial_poses", lambda truth, rng: (truth.poses.copy(), truth.others, hidden))
    images, people = loaded
    batch = make_batch(images, people, nearest_others(people), np.array([0, 4, 6]), np.random.default_rng(0))
    assert torch.isnan(batch.shown[hidden]).all()
    assert torch.equal(batch.shown[1].nan_to_num(-1), batch.truth[1].nan_to_num(-1))
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


def test_a_joint_far_off_is_neither_shown_nor_cut_for(loaded, plainly, monkeypatch):
    """However far it is, the batch is the one without it; so it is for the people nearby."""
    images, people = loaded
    made = []
    for distance in (np.nan, 500.0, 90_000.0):

        def initial(truth, rng, distance=distance):
            poses, others = truth.poses.copy(), truth.others.copy()
            poses[:, LEFT_WRIST] += distance
            others[:, :, LEFT_WRIST] -= distance
            return poses, others, np.zeros(len(poses), bool)

        monkeypatch.setattr(batches, "initial_poses", initial)
        rows = np.array([0, 1, 4])
        made.append(make_batch(images, people, nearest_others(people), rows, np.random.default_rng(1)))
    assert torch.isnan(made[0].shown).any(-1).any(1).all()
    for batch in made[1:]:
        for name in ("image", "shown", "others", "truth", "area"):
            expected = getattr(made[0], name)
            torch.testing.assert_close(getattr(batch, name), expected, atol=0, rtol=0, equal_nan=True)


def fixed(*values):
    """Draws that are these, one a crop."""
    return lambda *shape: torch.tensor(values).view(-1, *[1] * len(shape)).expand(-1, *shape)


def test_blur_is_of_a_half_a_quarter_or_an_eighth():
    image = drawing(2)(3, 32, 48)[:4] * 2 - 1
    draws, edge = [], 0.0
    for share in BLURRED.values():
        draws.append(edge + share / 2)
        edge += share
    before = image.clone()
    out = batches.blur(image, fixed(*draws, edge + 0.01))
    assert torch.equal(image, before)
    assert sorted(BLURRED) == [2, 4, 8]
    for one, given, factor in zip(out, image, BLURRED, strict=False):
        torch.testing.assert_close(one, coarser(given[None], factor)[0])
    assert torch.equal(out[3], image[3])


def test_blur_takes_its_shares():
    checkered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).expand(400, 3, 16, 16)
    blurred = (batches.blur(checkered, drawing()).abs() < 1e-6).flatten(1).all(1)
    assert blurred.float().mean() == pytest.approx(sum(BLURRED.values()), abs=0.06)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_coarser_shows_means_and_moves_nothing(factor):
    """A ramp stays a ramp, but at the border; what is finer than a pixel of the smaller image is gone."""
    ramp = torch.arange(64.0).expand(1, 3, 32, 64)
    inner = slice(factor, -factor)
    torch.testing.assert_close(coarser(ramp, factor)[..., inner], ramp[..., inner], atol=1e-4, rtol=0)
    fine = torch.tensor([1.0, -1.0]).repeat(32).expand(1, 3, 32, 64)
    assert coarser(fine, factor).abs().max() < 1e-6
    blocks = torch.arange(64 // factor).repeat_interleave(factor).expand(1, 3, 32, 64).float()
    assert coarser(blocks, factor).shape == blocks.shape


CUTS = {  # (chosen, where, which side) as drawn -> the part that stays, of 100 x 60 pixels
    "below": ((0.0, 0.5, 0.3), (slice(0, 68), slice(None))),
    "further below": ((0.0, 1.0, 0.0), (slice(0, 91), slice(None))),
    "on the right": ((0.1, 0.0, 0.7), (slice(None), slice(0, 28))),
    "on the left": ((0.1, 0.0, 0.9), (slice(None), slice(32, None))),
    "nothing": ((0.15, 0.5, 0.3), (slice(None), slice(None))),
}


@pytest.mark.parametrize("name", CUTS)
def test_cut_off(name):
    """Grey beyond a line; a joint whose pixel is grey has no truth, all others have theirs."""
    drawn, (rows, columns) = CUTS[name]
    image = torch.ones(1, 3, 100, 60)
    y, x = torch.meshgrid(torch.arange(100.0), torch.arange(60.0), indexing="ij")
    truth = torch.stack([x, y], -1).view(1, -1, 2)
    truth = torch.cat([truth, torch.full((1, 1, 2), torch.nan)], 1)
    before = image.clone(), truth.clone()
    out, visible = cut_off(image, truth, lambda *shape: torch.tensor([drawn]))
    expected = torch.zeros(100, 60)
    expected[rows, columns] = 1
    assert torch.equal(out, expected.expand(1, 3, 100, 60))
    assert torch.equal(~torch.isnan(visible[0, :-1]).any(-1).view(100, 60), expected.bool())
    seen = ~torch.isnan(visible)
    assert torch.equal(visible[seen], truth[seen])
    assert torch.equal(image, before[0])
    torch.testing.assert_close(truth, before[1], equal_nan=True)


def test_cut_off_takes_its_share_and_mostly_what_is_below():
    out, _ = cut_off(torch.ones(400, 3, 64, 48), torch.zeros(400, 1, 2), drawing(), share=0.4)
    gone = (out == 0).all(1)
    below, right, left = gone[:, -1].all(1), gone[:, 0, -1] & ~gone[:, 0, 0], gone[:, 0, 0]
    assert gone.any(2).any(1).float().mean() == pytest.approx(0.4, abs=0.07)
    for share, which in ((0.24, below), (0.08, right), (0.08, left)):
        assert which.float().mean() == pytest.approx(share, abs=0.05)


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
