"""refine_many: what comes back for many images, with a network that finds everybody further to the left."""

import threading
import weakref

import cv2
import numpy as np
import pytest
import torch
from fakes.pil import Image as PilImage
from fakes.predictor import Told
from hypothesis import given, settings
from hypothesis import strategies as st

import pose_refine
from pose_refine import Poses, Refiner, photographs
from pose_refine.crops.geometry import to_image
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.nn.predictor import Predictor

RNG = np.random.default_rng(0)
IMAGE = np.zeros((300, 400, 3), np.uint8)


class Left(Refiner):
    """Its network finds everybody so many pixels further to the left than shown; many are looked at twice then."""

    def __init__(self, step=40):
        super().__init__(Told(self.found))
        self.step, self.batches = step, []

    def found(self, batch):
        self.batches.append(len(batch))
        seen = np.where(np.isnan(batch.shown), batch.initial, batch.shown)
        found = np.nan_to_num(to_image(seen, batch.matrices), nan=100) - np.float32([self.step, 0])
        return torch.from_numpy(np.concatenate([found, np.full((*found.shape[:2], 1), 0.9)], -1).astype(np.float32))


def people(count):
    xy = RNG.uniform(50, 250, (count, 17, 2))
    return np.concatenate([xy, RNG.uniform(0.1, 1, (count, 17, 1))], -1).astype(np.float32)


def random_refiner():
    torch.manual_seed(0)
    return Refiner(Predictor(lambda: Model(NetworkConfig(width=8, coarse=8), views=1).eval(), device="cpu"))


def test_one_person_an_image_fills_batches():
    refiner, poses = Left(0), [people(1) for _ in range(130)]
    out = list(refiner.refine_many([IMAGE] * 130, poses, batch_size=64))
    assert refiner.batches == [64, 64, 2]
    assert [o.shape for o in out] == [(1, 17, 3)] * 130


@settings(deadline=None, max_examples=40)
@given(st.lists(st.none() | st.integers(0, 7), max_size=12), st.integers(1, 9))
def test_as_one_by_one(counts, batch_size):
    """In order, whatever the numbers of people, and no batch is larger than was said."""
    refiner, poses = Left(), [None if n is None else people(n) for n in counts]
    out = list(refiner.refine_many([IMAGE] * len(counts), poses, batch_size=batch_size))
    assert max(refiner.batches, default=0) <= batch_size
    assert len(out) == len(counts)
    for got, pose in zip(out, poses, strict=True):
        expected = None if pose is None else Left().refine(IMAGE, pose)
        assert (got is None) == (expected is None)
        assert got is None or np.array_equal(got, expected)


def test_the_network_itself_says_the_same():
    refiner, poses = random_refiner(), [people(n) for n in (1, 0, 3, 2)]
    images = [RNG.integers(0, 255, IMAGE.shape, np.uint8) for _ in poses]
    for got, image, pose in zip(refiner.refine_many(images, poses), images, poses, strict=True):
        np.testing.assert_allclose(got, refiner.refine(image, pose), atol=0.01)


def test_images_and_poses_of_any_kind(tmp_path):
    pixels, pose = RNG.integers(0, 255, IMAGE.shape, np.uint8), people(1)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    np.save(tmp_path / "a.npy", pose)
    flat = [float(v) for v in pose.reshape(-1)]
    images = [pixels, tmp_path / "a.png", str(tmp_path / "a.png"), PilImage(pixels), torch.from_numpy(pixels)]
    poses = [pose, tmp_path / "a.npy", [{"keypoints": flat}], Poses.from_any(pose), pose[0]]
    out = list(random_refiner().refine_many(images, poses))
    expected = random_refiner().refine(pixels, pose)
    assert [type(o) for o in out] == [np.ndarray, np.ndarray, list, Poses, np.ndarray]
    for got in out:
        np.testing.assert_allclose(Poses.from_any(got).keypoints, expected[..., :2], atol=0.01)
    assert all(isinstance(o, np.ndarray) for o in random_refiner().refine_many(images[:3], poses[:3], to="mpii16"))


WRONG = {
    "an image that is not there": ([IMAGE, "none.png"], [people(1)] * 2, FileNotFoundError, r"^image 1: .*none\.png"),
    "a grey image": ([IMAGE, IMAGE[..., 0]], [people(1)] * 2, ValueError, "^image 1: image: a grey"),
    "no image": ([IMAGE, None], [people(1)] * 2, TypeError, "^image 1: image: expected"),
    "other poses": ([IMAGE] * 2, [people(1), people(1)[..., :1]], ValueError, "^image 1: poses: expected shape"),
    "unknown poses": ([IMAGE] * 2, [people(1), object()], TypeError, "^image 1: poses: got object"),
    "poses not there": ([IMAGE] * 2, [people(1), "none.json"], FileNotFoundError, r"^image 1: .*none\.json"),
    "more poses": ([IMAGE], [people(1)] * 2, ValueError, "poses for more images than the 1 that there are"),
    "fewer poses": ([IMAGE] * 2, [people(1)], ValueError, "poses for 1 images, but there are more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_image_and_come_after_the_results_before_it(name):
    images, poses, error, words = WRONG[name]
    results = Left().refine_many(images, poses)
    assert next(results).shape == (1, 17, 3)
    with pytest.raises(error, match=words):
        next(results)


AT_ONCE = {
    "one path": (("a.png", [people(1)]), {}, TypeError, "images: expected one entry an image, got a str"),
    "no images": ((3, [people(1)]), {}, TypeError, "images: .* got a int"),
    "a document": (([IMAGE], {"people": []}), {}, TypeError, "poses: expected one entry an image, got a dict"),
    "one image's": (([IMAGE], Poses.from_any(people(1))), {}, TypeError, "poses: .* got a Poses"),
    "batch_size": (([IMAGE], [people(1)]), {"batch_size": 0}, ValueError, "batch_size"),
    "color": (([IMAGE], [people(1)]), {"color": "hsv"}, ValueError, "'hsv'"),
    "skeleton": (([IMAGE], [people(1)]), {"skeleton": "coco"}, ValueError, "unknown skeleton 'coco'"),
    "to": (([IMAGE], [people(1)]), {"to": "coco"}, ValueError, "unknown skeleton 'coco'"),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_wrong_with_arguments_is_told_at_the_call(name):
    args, options, error, words = AT_ONCE[name]
    with pytest.raises(error, match=words):
        Left().refine_many(*args, **options)


@pytest.mark.filterwarnings("ignore:.*wholly outside")  # the pose is of a larger image
def test_memory_is_bounded(monkeypatch):
    """Of 300 images few are held at a time."""
    monkeypatch.setattr(photographs, "READ_AHEAD", 4)
    alive, most = weakref.WeakSet(), 0

    class Pixels(np.ndarray):
        __hash__ = object.__hash__

    def images():
        for _ in range(300):
            image = np.zeros((60, 60, 3), np.uint8).view(Pixels)
            alive.add(image)
            yield image

    for _ in Left().refine_many(images(), (people(1) for _ in range(300)), batch_size=8):
        most = max(most, len(alive))
    assert most < 40


def test_large_images_make_smaller_batches(monkeypatch):
    monkeypatch.setattr(photographs, "HELD", 3 * IMAGE.nbytes)
    refiner = Left(0)
    assert len(list(refiner.refine_many([IMAGE] * 7, [people(1) for _ in range(7)]))) == 7
    assert refiner.batches == [3, 3, 1]


def test_leaving_early_ends_the_threads():
    results = Left().refine_many([IMAGE] * 500, [people(1) for _ in range(500)], batch_size=2)
    next(results)
    results.close()
    for thread in threading.enumerate():
        if thread.name.startswith("read-ahead"):
            thread.join(10)
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead")]


def test_progress_bar_on_demand(capsys):
    for progress in (False, True):
        list(Left().refine_many([IMAGE] * 3, [people(1)] * 3, progress=progress))
        assert ("3/3" in capsys.readouterr().err) == progress


def test_the_function_is_the_method():
    refiner, pose = random_refiner(), people(1)
    (out,) = pose_refine.refine_many([IMAGE], [pose], model=refiner)
    assert np.array_equal(out, refiner.refine(IMAGE, pose))
    with pytest.raises(ValueError, match="device"):
        pose_refine.refine_many([IMAGE], [pose], model=refiner, device="cpu")
