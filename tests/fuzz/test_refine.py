"""refine() with arrays, images and options of any kind: refused in words that help, or right."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.cases import cases
from fuzz.damage import DTYPES, OBJECTS, TENSORS, answer, traits
from fuzz.quick import picture, quick_refiner, tiny_refiner
from pose_refine import Poses, Refinement
from pose_refine.skeletons import NETWORK, SKELETONS, get_skeleton

REFINER, TINY = quick_refiner(), tiny_refiner()
SEEDS = st.integers(0, 2**32 - 1)
SIDES = [1, 2, 3, 31, 256, 1000, 20000]
HARD = [0, -1, 0.5, 1e-45, -1e-40, 1e4, 1e9, -1e9, 3.4e38, -3.4e38, np.nan]
PLAIN = [name for name in SKELETONS if name not in ("body25b", "halpe26")]


def poses_of(rng, joints, size):
    """(N, K, 3) of which most is in an image of that height and width, and some is nowhere near."""
    people = rng.integers(0, 5)
    values = rng.uniform(0, 1, (people, joints, 3)) * [size[1], size[0], 1]
    values = np.where(rng.random(values.shape) < rng.choice([0, 0.05, 0.9]), rng.choice(HARD, values.shape), values)
    values[rng.random(people) < 0.1] = np.nan
    values[rng.random(people) < 0.1] = 0
    return values.astype(rng.choice([np.float32, np.float32, np.float64]))


def image_of(rng):
    """Of an odd size, often a view with odd strides."""
    height, width = rng.choice(SIDES, 2)
    if height * width > 10**6:
        width = 50
    image = picture(height, width, int(rng.integers(9)))
    return [image, image[::-1], image[:, ::-1], np.asfortranarray(image), image[..., ::-1]][rng.integers(5)]


def check(given, out, recover):
    """What is true of every right answer."""
    before, after = (Poses.from_any(a, skeleton=given.skeleton) for a in (given, out))
    there = given.present
    assert out.to_array().dtype == np.float32 and len(after) == len(before)
    assert after.present[there].all(), "a joint that was there is gone"
    assert recover or (after.present == there).all()
    assert np.isfinite(after.keypoints[after.present]).all()
    changed = (after.keypoints != before.keypoints).any(-1) & after.present & ~there
    assert ((after.scores[changed] >= 0) & (after.scores[changed] <= 1)).all()
    assert (after.present[~there.any(1)] == 0).all(), "somebody out of nothing"


@cases(0.12)
@given(SEEDS, st.sampled_from(PLAIN), st.booleans())
def test_poses_anywhere_in_images_of_any_size(seed, skeleton, recover):
    rng = np.random.default_rng(seed)
    image = image_of(rng)
    values = poses_of(rng, len(get_skeleton(skeleton).joints), image.shape)
    poses, pixels = Poses(values[..., :2], values[..., 2], skeleton), image.copy()
    before = traits(poses)
    result = REFINER.analyze(image, poses, recover=recover)
    assert traits(poses) == before and np.array_equal(image, pixels)
    assert isinstance(result, Refinement) and np.isfinite(result.shift[poses.present]).all()
    check(poses, result.poses, recover)
    for n in range(len(poses)):  # nobody changes anybody else's, where the network does not look at others
        alone = REFINER.refine(image, poses[n], recover=recover)
        np.testing.assert_allclose(alone.to_array()[0], result.poses.to_array()[n], rtol=1e-4, atol=1e-2)


@cases(0.01)
@given(SEEDS)
def test_a_true_network(seed):
    rng = np.random.default_rng(seed)
    image = image_of(rng)
    values = poses_of(rng, len(NETWORK.joints), image.shape)[:2]
    poses = Poses(values[..., :2], values[..., 2], NETWORK)
    check(poses, TINY.refine(image, poses), True)


def odd_array(rng, sound):
    """An array of any shape and dtype."""
    shape = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 4, 17, 51, 64], rng.integers(0, 5)))
    array = np.resize(sound, shape) if rng.random() < 0.7 else sound
    dtype = DTYPES[rng.integers(len(DTYPES))]
    with np.errstate(all="ignore"):
        array = array.astype(np.int64).astype(dtype) if rng.random() < 0.5 else array
    kind = rng.integers(8)
    if kind == 0:
        array = np.ma.masked_array(array)
    if kind == 1 and array.dtype.kind in "fiub" and array.dtype.isnative and array.dtype.itemsize < 8:
        tensor = torch.from_numpy(np.array(array))
        return tensor.to(TENSORS[rng.integers(len(TENSORS))]) if rng.random() < 0.5 else tensor
    return array


POSE = np.random.default_rng(0).uniform(1, 60, (1, 17, 3)).astype(np.float32)


@cases(0.06)
@given(SEEDS)
def test_poses_of_any_shape_and_dtype(seed):
    poses = odd_array(np.random.default_rng(seed), POSE)
    out = answer(lambda: REFINER.refine(picture(64, 64), poses))
    if out is not None and poses.ndim in (2, 3) and poses.size:
        assert out.dtype == np.float32 and out.shape == (*poses.shape[:-1], 3)


@cases(0.06)
@given(SEEDS)
def test_images_of_any_shape_and_dtype(seed):
    rng = np.random.default_rng(seed)
    image = odd_array(rng, picture(64, 64))
    out = answer(lambda: REFINER.refine(image, POSE))
    assert out is None or (out.shape == POSE.shape and str(image.dtype).endswith("uint8") and image.shape[2] == 3)


JUNK = [o for o in OBJECTS if not isinstance(o, str)]
OPTIONS = {
    "skeleton": ["coco17", "coco18", "coco", "", Poses, NETWORK],
    "format": ["array", "movenet", "Array", "coco", ""],
    "to": ["mpii16", "body25", "", NETWORK],
    "color": ["rgb", "bgr", "RGB", ""],
    "recover": [True, False],
    "batch_size": [1, 2, 10**9, 0, -1, 2.0, "64", True],
}


@cases(0.05)
@given(SEEDS)
def test_options_of_any_kind(seed):
    rng = np.random.default_rng(seed)
    pick = {name: [*good, *JUNK] if name != "recover" else good for name, good in OPTIONS.items()}
    names = [name for name in OPTIONS if rng.random() < 0.4]
    options = {name: pick[name][rng.integers(len(pick[name]))] for name in names}
    options = {name: o for name, o in options.items() if not (name == "to" and o is None)}
    out = answer(lambda: REFINER.refine(picture(64, 64), POSE, **options))
    assert out is None or len(out) == 1


@pytest.mark.parametrize("kind", range(len(JUNK)))
@pytest.mark.parametrize("place", ["image", "poses"])
def test_what_is_no_image_and_what_are_no_poses(kind, place):
    asked = {"image": picture(64, 64), "poses": POSE, place: JUNK[kind]}
    out = answer(lambda: REFINER.refine(**asked))
    assert out is None or place == "poses"
