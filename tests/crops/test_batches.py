"""What the network is shown: whose crops, which poses, and which neighbours."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.crops import batches as scenes
from pose_refine.crops.batches import Picture, Scene, joined, nearest_others
from pose_refine.crops.bodies import middles
from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import (
    CROP_HEIGHT,
    CROP_WIDTH,
    OTHERS,
    crop_boxes,
    crop_matrices,
    scales,
    to_crop,
    to_image,
)

CPU = torch.device("cpu")
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def scene_of(poses, order="rgb", shown=None, *, mpii=False):
    shown = poses if shown is None else shown
    return Scene(Picture(NOISE, order), poses, shown, crop_matrices(*crop_boxes(shown, (240, 320))), mpii)


def some_poses(people, seed=0):
    return np.random.default_rng(seed).uniform(60, 200, (people, 19, 2)).astype(np.float32)


def strangers(people):
    """Of whom nothing tells that they are one person."""
    return np.full((people, 19, 2), np.nan, np.float32)


def test_a_scene_shows_poses_and_judges_others():
    poses = some_poses(5)
    shown, rows = poses + 3, np.array([4, 1])
    batch = scene_of(poses, shown=shown).batch(rows)
    matrices = scene_of(shown).matrices[rows]
    np.testing.assert_array_equal(batch.matrices, matrices)
    np.testing.assert_allclose(to_image(batch.initial, matrices), poses[rows], atol=1e-3)
    np.testing.assert_allclose(to_image(batch.shown, matrices), shown[rows], atol=1e-3)
    near = nearest_others(shown, poses, middles(shown), rows)
    np.testing.assert_allclose(to_crop(near, matrices), batch.others)
    np.testing.assert_array_equal(batch.crops(CPU), cut_crops(NOISE, matrices))


@pytest.mark.parametrize("mpii", [False, True])
def test_a_scene_tells_how_fine_its_crops_are_and_whose_joints_are_meant(mpii):
    """However a crop is turned, and of each person as many image pixels as theirs."""
    scene = scene_of(some_poses(4), mpii=mpii)
    matrices = crop_matrices(np.full((4, 2), 99, np.float32), np.float32([64, 256, 512, 256]), np.float32([0, 0, 1, 2]))
    rows = np.array([3, 0, 2])
    batch = replace(scene, matrices=matrices).batch(rows)
    np.testing.assert_allclose(batch.detail, [1, 0.25, 2], rtol=1e-5)
    assert batch.detail.dtype == np.float32
    assert batch.mpii.tolist() == [mpii] * 3
    assert batch.mpii.dtype == bool
    assert np.isnan(batch.trust).all()
    assert replace(scene, trust=0.3).batch(rows).trust.tolist() == pytest.approx([0.3] * 3)
    assert batch.of(slice(1, None)).detail.tolist() == batch.detail[1:].tolist()


def test_what_is_not_shown_is_judged_and_moves_nobody():
    """A joint that cannot be one body's is NaN in what is shown, of oneself and of neighbours, and no part of their
    middle."""
    poses = some_poses(3)
    claimed = poses.copy()
    claimed[:, 4] = 9e4
    shown = poses.copy()
    shown[:, 4] = np.nan
    batch = scene_of(claimed, shown=shown).batch(np.arange(3))
    assert np.isnan(batch.shown[:, 4]).all()
    assert np.isnan(batch.others[:, :2, 4]).all()
    assert (np.abs(batch.initial[:, 4]) > 1e3).all()
    np.testing.assert_allclose(scene_of(claimed, shown=shown).centres, np.nanmean(shown, 1), rtol=1e-5)


@pytest.mark.parametrize("on_host", [("cpu",), ()], ids=["OpenCV", "on the device"])
def test_crops_are_rgb(on_host, monkeypatch):
    monkeypatch.setattr(scenes, "ON_HOST", on_host)
    rgb, bgr = (scene_of(some_poses(2), order).batch(np.arange(2)).crops(CPU) for order in ("rgb", "bgr"))
    assert rgb.shape == (2, CROP_HEIGHT, CROP_WIDTH, 3)
    assert torch.equal(rgb, bgr.flip(-1))
    assert not torch.equal(rgb, bgr)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "view",
    [lambda image: image, lambda image: image[:, ::-1], lambda image: image[::2]],
    ids=["whole", "mirrored", "rows"],
)
def test_images_on_a_device_may_be_read_only_and_of_any_strides(view, monkeypatch):
    monkeypatch.setattr(scenes, "ON_HOST", ())
    image, matrices = view(NOISE.copy()), crop_matrices(np.array([[90, 60]], np.float32), np.array([80], np.float32))
    before = image.copy()
    image.setflags(write=False)
    assert torch.equal(Picture(image, "rgb").crops(matrices, CPU), Picture(before, "rgb").crops(matrices, CPU))
    np.testing.assert_array_equal(image, before)


def test_joined_views_are_each_of_their_own_picture():
    first, second = scene_of(some_poses(3)), scene_of(some_poses(2, seed=1), "bgr", mpii=True)
    rows = np.array([2, 0]), np.array([0, 1])
    batch = joined([first.batch(rows[0]), second.batch(rows[1]), first.batch(rows[0][:1])])
    apart = [scene.batch(r) for scene, r in ((first, rows[0]), (second, rows[1]), (first, rows[0][:1]))]
    assert len(batch) == 5
    for part in (slice(None), slice(3), slice(3, None)):
        chosen = batch.of(part)
        assert torch.equal(chosen.crops(CPU), torch.cat([v.crops(CPU) for v in apart])[part])
        for name in ("initial", "others", "shown", "detail", "mpii", "trust", "matrices"):
            expected = np.concatenate([getattr(v, name) for v in apart])[part]
            np.testing.assert_array_equal(getattr(chosen, name), expected)


def test_a_picture_is_copied_to_its_device_once(monkeypatch):
    monkeypatch.setattr(scenes, "ON_HOST", ())
    scene = scene_of(some_poses(3))
    closer = scene.closer(some_poses(3, seed=1))
    for batch in (scene.batch(np.array([0])), scene.batch(np.array([1, 2])), closer.batch(np.array([2]))):
        batch.crops(CPU)
    levels = scene.picture._levels
    scene.batch(np.array([0])).crops(CPU)
    assert levels is not None
    assert closer.picture._levels is levels
    scene.picture.release()
    assert scene.picture._levels is None


def test_large_images_stay_on_the_host(monkeypatch):
    monkeypatch.setattr(scenes, "ON_HOST", ())
    monkeypatch.setattr(scenes, "LARGE", NOISE.nbytes - 1)
    scene = scene_of(some_poses(2), "bgr")
    batch = scene.batch(np.arange(2))
    np.testing.assert_array_equal(batch.crops(CPU), cut_crops(NOISE, batch.matrices)[..., ::-1])
    assert scene.picture._levels is None


def test_a_closer_look_is_at_what_was_found():
    poses = some_poses(3)
    found = poses * 0.5 + 60
    scene = scene_of(poses, mpii=True)
    closer = scene.closer(found)
    assert closer.initial is poses
    assert closer.mpii
    np.testing.assert_allclose(closer.batch(np.arange(3)).detail, scales(closer.matrices))
    np.testing.assert_array_equal(closer.shown, found)
    np.testing.assert_array_equal(closer.matrices, scene_of(found).matrices)
    np.testing.assert_array_equal(scene.shown, poses)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_nearest_others_equal_a_naive_twin(seed, count):
    rng = np.random.default_rng(seed)
    poses = (rng.uniform(0, 50, (count, 4, 2)) + rng.uniform(0, 500, (count, 1, 2))).astype(np.float32)
    poses[rng.random((count, 4)) < 0.3] = np.nan
    poses[:, 0] = 7
    rows = rng.permutation(count)[: rng.integers(1, count + 1)]
    near = nearest_others(poses, strangers(count), middles(poses), rows)
    assert near.shape == (len(rows), OTHERS, 4, 2)
    centres = np.nanmean(poses, 1)
    for row, found in zip(rows, near, strict=True):
        others = np.delete(np.arange(count), row)
        ranked = others[np.linalg.norm(centres[others] - centres[row], axis=1).argsort()][:OTHERS]
        expected = {poses[i].tobytes() for i in ranked}
        assert {pose.tobytes() for pose in found if not np.isnan(pose).all()} == expected


def test_people_without_a_known_joint_are_nobodys_neighbours():
    poses = np.full((6, 4, 2), np.nan, np.float32)
    poses[4:] = [[[3, 4]], [[500, 600]]]
    near = nearest_others(poses, strangers(6), middles(poses), np.array([4]))
    assert (near[0, 0] == [500, 600]).all()
    assert np.isnan(near[0, 1:]).all()


def test_who_was_found_twice_is_not_their_own_neighbour():
    """By what came, whatever is shown since."""
    poses = some_poses(3)
    poses[1] = poses[0] + 1
    near = nearest_others(poses + 30, poses, middles(poses), np.arange(3))
    assert {tuple(p[0]) for p in near[0] if not np.isnan(p).all()} == {tuple(poses[2, 0] + 30)}
    assert {tuple(p[0]) for p in near[2] if not np.isnan(p).all()} == {tuple(p[0] + 30) for p in poses[:2]}
