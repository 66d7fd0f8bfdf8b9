"""Boxes, affine maps there and back, and cutting."""

import cv2
import numpy as np
import pytest
import torch
from fakes.stickman import POSTURES, stickman
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_refine.crops.bodies import FACE
from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import (
    CROP_HEIGHT,
    CROP_WIDTH,
    GREY,
    KEPT,
    MARGIN,
    crop_boxes,
    crop_matrices,
    far_off,
    scales,
    to_crop,
    to_image,
    where_to_cut,
)
from pose_refine.nn.evidence import near, oks_distance
from pose_refine.skeletons import NETWORK, get_skeleton

MIDDLE = np.array([(CROP_WIDTH - 1) / 2, (CROP_HEIGHT - 1) / 2])


def floats(low, high):
    return st.floats(low, high, width=32)


def matrix(centre, height, angle=0.0):
    angles = np.array([angle], dtype=np.float32)
    return crop_matrices(np.array([centre], dtype=np.float32), np.array([height], dtype=np.float32), angles)


def smooth_image(height, width, seed=0):
    """Little contrast from pixel to pixel and to grey: OpenCV's 1/32 px steps then cost less than a grey level."""
    coarse = np.random.default_rng(seed).integers(GREY - 32, GREY + 32, (height // 4 + 1, width // 4 + 1, 3))
    return cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)


def noise_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def naive_sample(image, x, y):
    """Bilinear, one tap after the other, grey outside."""
    left, top, total = int(np.floor(x)), int(np.floor(y)), np.zeros(3)
    for row in (top, top + 1):
        for column in (left, left + 1):
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            total += weight * (image[row, column] if inside else GREY)
    return total


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, (1, 7, 2), elements=floats(-500, 700)),
    st.tuples(floats(-2000, 2000), floats(-2000, 2000)),
    floats(32, 4000),
    floats(-3, 3),
)
def test_there_and_back(points, centre, height, angle):
    m = matrix(centre, height, angle)
    np.testing.assert_allclose(to_crop(to_image(points, m), m), points, atol=0.02)


@settings(deadline=None, max_examples=60)
@given(st.tuples(floats(-2000, 2000), floats(-2000, 2000)), floats(8, 4000), floats(-3, 3))
def test_the_centre_maps_to_the_middle_and_the_height_to_the_height(centre, height, angle):
    m = matrix(centre, height, angle)
    np.testing.assert_allclose(to_image(MIDDLE[None, None], m)[0, 0], centre, atol=2e-3)
    ends = to_image(np.array([[[0, 0], [0, CROP_HEIGHT]]], dtype=np.float32), m)[0]
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(height, rel=1e-4, abs=2e-3)


def test_rotation_is_clockwise_on_the_screen():
    right_of_middle = (MIDDLE + np.array([10, 0]))[None, None]
    placed = to_image(right_of_middle, matrix((50, 50), CROP_HEIGHT, np.pi / 2))[0, 0]
    np.testing.assert_allclose(placed, (50, 60), atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(floats(8, 4000), floats(-3, 3))
def test_scales_are_image_pixels_a_crop_pixel_however_turned(height, angle):
    m = matrix((30, -5), height, angle)
    assert scales(m)[0] == pytest.approx(height / CROP_HEIGHT, rel=1e-5)


@settings(deadline=None, max_examples=100)
@given(arrays(np.float32, (2, 25, 2), elements=floats(-300, 900)), st.integers(0, 19))
def test_every_joint_lies_inside_its_crop_with_margin(poses, missing):
    """Those that the network does not know, too; some of these poses are upright, some are turned."""
    poses[0, :missing] = np.nan
    placed = to_crop(poses, crop_matrices(*crop_boxes(poses, (480, 640))))
    reach = np.array([CROP_WIDTH, CROP_HEIGHT]) / 2 / MARGIN
    assert (np.isnan(placed) | (np.abs(placed - MIDDLE) <= reach + 0.05)).all()


def joints_of(*places):
    """A pose of its first joints, which do not say which way up it is."""
    pose = np.full((1, 19, 2), np.nan, dtype=np.float32)
    pose[0, : len(places)] = places
    return pose


BOXES = [
    # joints, image's (height, width), centre, height of the crop
    pytest.param([(10, 20), (30, 120)], (480, 640), (20, 70), 100 * MARGIN, id="tall"),
    pytest.param([(10, 20), (310, 40)], (480, 640), (160, 30), 400 * MARGIN, id="wide"),
    pytest.param([(10, 20), (10, 20)], (480, 640), (10, 20), 160, id="all in one point"),
    pytest.param([(10, 20), (np.nan, np.nan)], (480, 640), (10, 20), 160, id="one joint"),
    pytest.param([(10, 20), (11, 22)], (480, 640), (10.5, 21), 8, id="two pixels"),
    pytest.param([(0, 0), (np.nan, np.nan)], (1, 1), (0, 0), 8, id="one joint in one pixel"),
]


@pytest.mark.parametrize(("joints", "shape", "centre", "height"), BOXES)
def test_boxes(joints, shape, centre, height):
    centres, heights, rotation = crop_boxes(np.roll(joints_of(*joints), 9, axis=1), shape)  # wrists and on
    assert centres.dtype == heights.dtype == rotation.dtype == np.float32
    np.testing.assert_allclose(centres, [centre])
    np.testing.assert_allclose(heights, [height], rtol=1e-6)
    assert rotation.tolist() == [0]


def test_of_a_face_alone_its_surroundings_are_shown():
    """Two eyes are .06 of the body's height apart; at most half of the image is shown, as one of them may be wrong."""
    eyes = np.full((2, 19, 2), np.nan, np.float32)
    eyes[:, 1:3] = [[10, 20], [16, 20]], [[10, 20], [130, 20]]
    _, heights, _ = crop_boxes(eyes, (480, 640))
    np.testing.assert_allclose(heights, [FACE * 100, 240], rtol=1e-5)


UPRIGHT = sorted(set(POSTURES) - {"bent down to the feet"})


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(UPRIGHT), st.floats(46, 314), floats(20, 1500), st.tuples(*[floats(-500, 2000)] * 2))
def test_who_is_turned_is_seen_as_if_upright(posture, degrees, size, place):
    """The same joints at the same places of the crop."""
    upright, turned = (stickman(size, place, np.deg2rad(d), **POSTURES[posture])[None] for d in (0, degrees))
    before, boxes = crop_boxes(upright, (480, 640)), crop_boxes(turned, (480, 640))
    assert before[2][0] == 0
    assert np.abs(np.exp(1j * boxes[2][0]) - np.exp(1j * np.deg2rad(degrees))) < 0.02
    plain, again = to_crop(upright, crop_matrices(*before)), to_crop(turned, crop_matrices(*boxes))
    np.testing.assert_allclose(again, plain, atol=0.5)


@pytest.mark.parametrize("name", ["coco17", "mpii16", "body25"])
def test_the_crop_shows_one_body_and_the_claim_is_whole(name):
    """A joint far off is claimed, but neither shown nor cut for; and it does not matter how far it is."""
    skeleton = get_skeleton(name)
    body = np.stack([stickman(200, (300, 260))[NETWORK.joints.index(j)] if j in NETWORK.joints else (300, 180)
                     for j in skeleton.joints]).astype(np.float32)[None]  # fmt: skip
    wrong, column = skeleton.joints.index("left_wrist"), NETWORK.joints.index("left_wrist")
    lacking = body.copy()
    lacking[0, wrong] = np.nan
    _, expected, matrices = where_to_cut(lacking, skeleton, (480, 640))
    for distance in (500, 900, 4000):
        given = body.copy()
        given[0, wrong] += distance
        before = given.copy()
        claimed, shown, cut = where_to_cut(given, skeleton, (480, 640))
        np.testing.assert_array_equal(claimed[0, column], given[0, wrong])
        np.testing.assert_array_equal(shown, expected)
        np.testing.assert_array_equal(cut, matrices)
        np.testing.assert_array_equal(given, before)
        others = np.arange(19) != column
        np.testing.assert_array_equal(shown[0, others], claimed[0, others])


def test_who_has_no_joint_that_the_network_knows_is_cut_by_the_others():
    feet = np.full((2, 25, 3), np.nan, np.float32)
    feet[:, -6:] = [[100, 200, 1], [110, 210, 1], [90, 190, 1], [130, 200, 1], [140, 190, 1], [120, 180, 1]]
    feet[1, 1:8, :2] = np.random.default_rng(0).uniform(300, 350, (7, 2))
    claimed, shown, matrices = where_to_cut(feet, get_skeleton("body25"), (480, 640))
    assert claimed.shape == shown.shape == (2, 19, 2)
    assert np.isnan(claimed[0]).all()
    assert np.isnan(shown[0]).all()
    np.testing.assert_allclose(to_image(MIDDLE[None, None], matrices)[:1, 0], [[115, 195]], atol=1e-3)
    assert (to_image(MIDDLE[None, None].repeat(2, 0), matrices)[1, 0] > 290).all()  # feet do not count for her


def test_far_off_is_what_the_decision_is_told():
    """The mean similarity of found to claimed joints, there in torch and in crop pixels."""
    rng = np.random.default_rng(0)
    found = rng.uniform(0, 500, (40, 19, 2)).astype(np.float32)
    initial = found + rng.normal(0, 1, found.shape) * rng.uniform(5, 40, (40, 1, 1))
    initial[rng.random((40, 19)) < 0.3] = np.nan
    matrices = crop_matrices(*crop_boxes(found, (500, 500)))
    a, b = (torch.from_numpy(to_crop(p, matrices)) for p in (initial, found))
    kept = near(oks_distance(a, b)).nanmean(1).numpy()
    assert 10 < (kept < KEPT).sum() < 35
    assert far_off(initial, found, matrices).tolist() == np.flatnonzero(kept < KEPT).tolist()


def test_points_far_outside_come_back():
    m = matrix((100, 80), 300)
    far = np.array([[[1e6, -1e6]]], dtype=np.float32)
    np.testing.assert_allclose(to_image(to_crop(far, m), m), far, rtol=1e-6)


CUTS = [
    pytest.param((60, 50), 90, 0, id="enlarged"),
    pytest.param((60.3, 49.8), 256, 0, id="same size, grey around"),
    pytest.param((60.3, 49.8), 380, 0, id="reduced by less than two"),
    pytest.param((0, 0), 64, 0, id="corner"),
    pytest.param((125.7, 99.2), 40.5, 0, id="other corner"),
    pytest.param((60, 50), 90, 1.2, id="turned"),
    pytest.param((125.7, 99.2), 300, -2.6, id="turned, grey around"),
]


@pytest.mark.parametrize(("centre", "height", "angle"), CUTS)
def test_cut_equals_a_naive_twin(centre, height, angle):
    image, m = smooth_image(101, 127), matrix(centre, height, angle)
    crop = cut_crops(image, m)[0]
    for row in range(0, CROP_HEIGHT, 5):
        for column in range(0, CROP_WIDTH, 7):
            expected = naive_sample(image, *to_image(np.array([[[column, row]]]), m)[0, 0])
            assert np.abs(crop[row, column] - expected).max() <= 1.5, (row, column)


def test_cut_many_crops_of_nobody_and_of_some():
    image = smooth_image(60, 80)
    assert cut_crops(image, np.zeros((0, 2, 3), dtype=np.float32)).shape == (0, CROP_HEIGHT, CROP_WIDTH, 3)
    both = np.concatenate([matrix((20, 20), 40), matrix((50, 40), 60)])
    crops = cut_crops(image, both)
    np.testing.assert_array_equal(crops[1], cut_crops(image, both[1:])[0])
    assert crops.shape == (2, CROP_HEIGHT, CROP_WIDTH, 3)
    assert crops.dtype == np.uint8


VIEWS = [
    pytest.param(lambda image: image[::-1], id="upside down"),
    pytest.param(lambda image: image[..., ::-1], id="bgr view"),
    pytest.param(lambda image: image.transpose(1, 0, 2), id="transposed"),
    pytest.param(lambda image: image[::2, ::3], id="every second row"),
    pytest.param(lambda image: image[:, 5:90], id="columns"),
]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("height", [80, 700], ids=["enlarged", "reduced"])
def test_any_strides_and_read_only(view, height):
    image = view(noise_image(120, 120))
    expected = cut_crops(np.array(image, order="C"), matrix((30, 20), height))
    before = image.copy()
    image.setflags(write=False)
    np.testing.assert_array_equal(cut_crops(image, matrix((30, 20), height)), expected)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("height", [384, 1024], ids=["sampled", "averaged"])
def test_a_person_in_a_huge_image_equals_the_same_person_in_a_part_of_it(height):
    huge, (x, y) = noise_image(2400, 2600), (512, 256)
    part = huge[y : y + 1600, x : x + 1400]
    whole = cut_crops(huge, matrix((1200, 1000), height))
    np.testing.assert_array_equal(cut_crops(part, matrix((1200 - x, 1000 - y), height)), whole)


@pytest.mark.parametrize("height", [520, 1500, 1999.5])
def test_large_people_are_averaged(height):
    image = noise_image(2000, 1600)
    crop = cut_crops(image, matrix((800, 1000), height))[0].astype(float)
    assert crop.mean() == pytest.approx(image.mean(), abs=1.0)
    assert crop.std() < image.std() / int(height / CROP_HEIGHT) * 1.1


@pytest.mark.parametrize("height", [300, 600, 1100, 1101, 1102, 1777])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.25, 0.3), (-0.2, 0.35)], ids=["middle", "last corner", "low"])
@pytest.mark.parametrize("angle", [0, 3.0], ids=["upright", "turned"])
def test_averaging_moves_nothing(height, place, angle):
    """Wherever in the crop: what is shrunk is seldom a whole number of averaged pixels wide."""
    x, y = 800 + round(place[0] * height), 1000 + round(place[1] * height)
    image = np.full((2000, 1600, 3), 0, dtype=np.uint8)
    cv2.circle(image, (x, y), 25, (255, 255, 255), -1)
    m = matrix((800.4, 1000.7), height, angle)
    weight = cut_crops(image, m)[0, ..., 0].astype(float)
    weight[weight == GREY] = 0  # outside the image
    rows, columns = np.indices(weight.shape)
    centroid = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    expected = to_crop(np.array([[[x, y]]], dtype=np.float32), m)[0, 0]
    assert np.abs(centroid - expected).max() < 0.1


@pytest.mark.parametrize(
    ("centre", "height"),
    [
        pytest.param((-500, 50), 100, id="left"),
        pytest.param((50, 900), 100, id="below"),
        pytest.param((1e6, -1e6), 100, id="far"),
        pytest.param((-9000, 50), 5000, id="left, averaged"),
    ],
)
def test_crops_wholly_outside_are_grey(centre, height):
    assert (cut_crops(noise_image(60, 80), matrix(centre, height)) == GREY).all()


@pytest.mark.parametrize("height", [8, 256, 5000])
def test_an_image_of_one_pixel(height):
    image = np.full((1, 1, 3), 200, dtype=np.uint8)
    m = matrix((0, 0), height)
    crop = cut_crops(image, m)[0]
    assert (crop[[0, 0, -1, -1], [0, -1, 0, -1]] == GREY).all()
    for row, column in ((127, 95), (128, 95), (128, 96), (120, 90)):
        expected = naive_sample(image, *to_image(np.array([[[column, row]]]), m)[0, 0])
        assert np.abs(crop[row, column] - expected).max() <= 3


def test_far_off_are_those_whose_joints_were_not_found_where_they_were_given():
    """Joints that were not given say nothing; a pose of which nothing is known is far off."""
    poses = np.random.default_rng(4).uniform(60, 200, (4, 19, 2)).astype(np.float32)
    found = poses.copy()
    poses[1, :15] = np.nan
    found[1, :15] += 100
    found[2, :9] += 100
    poses[3] = np.nan
    matrices = matrix((130, 130), 200).repeat(4, 0)
    assert far_off(poses, found, matrices).tolist() == [2, 3]
    cannot_be_seen = matrix((130, 130), 15).repeat(4, 0)
    assert far_off(poses, found, cannot_be_seen).tolist() == []
