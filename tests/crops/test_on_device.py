"""Crops cut by torch are those that OpenCV cuts, and nothing on the way waits for the device."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from pose_refine import Refiner
from pose_refine.crops import batches as scenes
from pose_refine.crops import cutting
from pose_refine.crops import geometry as crops
from pose_refine.crops.batches import Picture, Scene
from pose_refine.crops.geometry import CROP_HEIGHT, GREY, crop_matrices
from pose_refine.crops.on_device import Levels, cut_crops
from pose_refine.nn import backends
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.nn.predictor import Predictor
from pose_refine.skeletons import get_skeleton


def smooth_image(height, width, seed=0):
    """Little contrast from pixel to pixel and to grey: OpenCV's 1/32 px steps then cost less than a grey level."""
    coarse = np.random.default_rng(seed).integers(GREY - 32, GREY + 32, (height // 8 + 2, width // 8 + 2, 3))
    return cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)


def matrices_of(*people, angle=0.0):
    """Of (x, y, height of the crop) each, turned by `angle`, radians."""
    values = np.array(people, dtype=np.float32).reshape(-1, 3)
    return crop_matrices(values[:, :2], values[:, 2], np.full(len(values), angle, np.float32))


def cut(image, matrices):
    return cut_crops(Levels(torch.from_numpy(image)), matrices).numpy()


@settings(deadline=None, max_examples=40)
@given(
    st.floats(-150, 800), st.floats(-150, 700), st.floats(8, 1500), st.floats(-np.pi, np.pi) | st.just(0.0),
    st.integers(0, 9),
)  # fmt: skip
def test_equals_what_opencv_cuts(x, y, height, angle, seed):
    """Where an image is shrunk, blocks of pixels start elsewhere: at the image's corner, not at the person's."""
    image, matrices = smooth_image(537, 640, seed), matrices_of((x, y, height), angle=angle)
    apart = np.abs(cut(image, matrices).astype(int) - cutting.cut_crops(image, matrices))
    reduced = height / CROP_HEIGHT >= crops.MAX_REDUCTION
    assert apart.mean() <= (1.5 if reduced else 0.5)
    assert apart.max() <= (24 if reduced else 2)


@pytest.mark.parametrize("height", [300, 1100, 1101, 1777])
@pytest.mark.parametrize("angle", [0, -2.0], ids=["upright", "turned"])
def test_averaging_moves_nothing(height, angle):
    image = np.zeros((2003, 1601, 3), np.uint8)
    cv2.circle(image, (820, 1030), 25, (255, 255, 255), -1)
    matrices = matrices_of((800.4, 1000.7, height), angle=angle)
    weight = cut(image, matrices)[0, ..., 0].astype(float)
    expected = crops.to_crop(np.array([[[820, 1030]]], np.float32), matrices)[0, 0]
    rows, columns = np.indices(weight.shape)
    weight[np.hypot(columns - expected[0], rows - expected[1]) > 50] = 0  # so far away the image may end
    centroid = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    assert np.abs(centroid - expected).max() < 0.1


def test_people_of_all_sizes_keep_their_order():
    image = smooth_image(900, 1200)
    people = [(300, 300, 1400), (600, 400, 100), (500, 500, 1400), (2000, 90, 256), (600, 450, 700)]
    together = cut(image, matrices_of(*people))
    for person, found in zip(people, together, strict=True):
        np.testing.assert_array_equal(found, cut(image, matrices_of(person))[0])
    assert (together[3] == GREY).all()


def test_levels_are_means_made_once():
    image = torch.from_numpy(smooth_image(25, 14))
    levels = Levels(image)
    third = levels.at(3)
    assert third.shape == (9, 5, 3)
    assert third.dtype == torch.uint8
    assert third[2, 1].tolist() == image[6:9, 3:6].float().mean((0, 1)).round().tolist()
    assert third[8, 4].tolist() == image[24:, 12:].float().mean((0, 1)).round().tolist()  # what is left at the corner
    assert levels.at(3) is third
    assert levels.at(1) is image


@pytest.mark.parametrize("height", [8, 256, 5000])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_tiny_images(shape, height):
    image, matrices = np.full((*shape, 3), 200, np.uint8), matrices_of((shape[1] // 2, shape[0] // 2, height))
    apart = np.abs(cut(image, matrices).astype(int) - cutting.cut_crops(image, matrices))
    assert apart.max() <= 3


def test_a_crop_far_outside_is_grey():
    assert (cut(smooth_image(60, 80), matrices_of((1e6, -1e6, 100), (-12_000, 30, 256))) == GREY).all()


CLOSE = 0.004  # of a person who fills the image: crops differ by rounding, and the network tells them apart


def test_the_answers_are_those_of_crops_that_opencv_cuts(refiner, photo, pose, monkeypatch):
    """Of a person as it is, a small one and one that is shrunk first."""
    for size in (1.0, 0.4, 2.5):
        image = cv2.resize(photo, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        poses = pose * np.array([size, size, 1], np.float32)
        expected = refiner.refine(image, poses)
        with monkeypatch.context() as patch:
            patch.setattr(scenes, "ON_HOST", ())
            found = refiner.refine(image, poses)
        assert not np.array_equal(found, expected, equal_nan=True)
        given = ~np.isnan(pose[..., 0])  # where a joint out of the picture may be is anybody's guess
        np.testing.assert_allclose(found[given], expected[given], atol=CLOSE * len(image))


def test_videos_too(refiner, photo, pose, monkeypatch):
    """Of frames whose people are looked at in one batch; their copies are given back."""
    kept = []
    release = Picture.release
    monkeypatch.setattr(Picture, "release", lambda picture: (kept.append(picture), release(picture)))
    frames, given = [photo, np.roll(photo, 20, 1), np.roll(photo, 40, 1)], ~np.isnan(pose[..., 0])
    poses = [pose + np.float32([20 * n, 0, 0]) for n in range(3)]
    expected = list(refiner.refine_video(frames, poses, ids=[[1]] * 3))
    kept.clear()
    monkeypatch.setattr(scenes, "ON_HOST", ())
    monkeypatch.setattr(backends, "_largest_layer", 1 << 40)
    found = list(refiner.refine_video(frames, poses, ids=[[1]] * 3))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[given], other[given], atol=CLOSE * len(photo))
    assert len(kept) >= 2
    assert all(picture._levels is None for picture in kept)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_on_cuda_the_answers_are_those_of_the_cpu_and_nothing_waits(refiner, photo, pose, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    there, given = Refiner.from_pretrained(device="cuda"), ~np.isnan(pose[..., 0])
    np.testing.assert_allclose(there.refine(photo, pose)[given], refiner.refine(photo, pose)[given], atol=0.5)
    batch = Scene(Picture(photo, "rgb"), *crops.where_to_cut(pose, get_skeleton("coco17"), photo.shape[:2])).batch(
        np.arange(1)
    )
    there.predictor.run(batch)  # memory is taken, and the skeleton's constants are copied
    batch.pictures[0].release()
    try:
        torch.cuda.set_sync_debug_mode("error")
        there.predictor.run(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Copies(TorchDispatchMode):
    """Counts what is copied from the CPU to a device."""

    def __init__(self):
        super().__init__()
        self.shapes = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        tensors = [a for a in args if isinstance(a, torch.Tensor)]
        if isinstance(out, torch.Tensor) and out.is_meta and any(t.device.type == "cpu" for t in tensors):
            self.shapes[tuple(out.shape)] += 1
        return out


@pytest.mark.parametrize("views", [1, 2])
def test_nothing_waits_for_the_device(views):
    """On a device without data, whatever needs some to go on raises; and no more is copied there than the image, once,
    and each batch's few numbers: poses (3), detail, whether they are MPII's, trust, matrices and, of people of two
    sizes, matrices of each and their order."""
    shape = NetworkConfig(width=8, coarse=8, size=(192, 160))
    predictor = Predictor(lambda: Model(shape, views=views).eval(), device="meta")
    poses = np.random.default_rng(0).uniform(100, 300, (3, 19, 2)).astype(np.float32)
    matrices = matrices_of((200, 200, 300), (200, 200, 300), (200, 200, 600))
    scene = Scene(Picture(smooth_image(400, 500), "bgr"), poses, poses, matrices)
    predictor.run(scene.batch(np.arange(3)))  # constants of the skeleton are copied, for good
    for picture, again in ((scene.picture, 0), (Picture(smooth_image(400, 500), "rgb"), 1)):
        with Copies() as copies:
            found = predictor.run(replace(scene, picture=picture).batch(np.arange(3)))
        assert found.shape == (3, 19, 5)
        assert found.is_meta
        poses_and_maps = Counter({(3, 19, 2): 2, (3, 3, 19, 2): 1, (3, 2, 3): 1, (2, 2, 3): 1, (1, 2, 3): 1, (3,): 4})
        assert copies.shapes == poses_and_maps + Counter({(400, 500, 3): again})
