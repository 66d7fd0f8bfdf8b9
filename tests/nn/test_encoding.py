"""Poses as maps, and maps as poses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH
from pose_refine.nn.encoding import (
    POSE_SIGMAS,
    cell_positions,
    decode,
    gaussian_maps,
    mass_at,
    mirrored,
    mirrored_back,
    network_inputs,
    pose_maps,
    target_maps,
    two_sided,
    window_mass,
)
from pose_refine.skeletons import NETWORK

STRIDE, CELL_CENTRE = 4, 1.5  # crop pixels a cell, and where the first one's middle is
ROWS, COLUMNS = CROP_HEIGHT // STRIDE, CROP_WIDTH // STRIDE
LEAST, MOST = np.array([CELL_CENTRE] * 2), np.array([CROP_WIDTH, CROP_HEIGHT]) - 1 - CELL_CENTRE


def grid(stride):
    return CROP_HEIGHT // stride, CROP_WIDTH // stride


def naive_map(point, shape, sigma):
    """One cell after the other; cells share the crop, whose first pixel's middle is 0, evenly."""
    out = np.zeros(shape)
    for row, column in np.ndindex(out.shape):
        x = (column + 0.5) * CROP_WIDTH / shape[1] - 0.5
        y = (row + 0.5) * CROP_HEIGHT / shape[0] - 0.5
        out[row, column] = math.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * sigma**2))
    return out


POINTS = [
    pytest.param((95.5, 127.5), id="middle"),
    pytest.param((1.5, 1.5), id="a cell's middle"),
    pytest.param((0, 255), id="corner"),
    pytest.param((33.3, 200.9), id="between cells"),
    pytest.param((-12, 100), id="outside, still seen"),
    pytest.param((1e6, -1e6), id="far outside"),
]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("shape", "sigma"), [(grid(8), 8.0), (grid(4), 6.0), ((48, 40), 6.0)])
def test_gaussian_maps_equal_a_naive_twin(point, shape, sigma):
    drawn = gaussian_maps(torch.tensor([[point]]), shape, sigma)
    assert drawn.shape == (1, 1, *shape)
    assert drawn.dtype == torch.float32
    np.testing.assert_allclose(drawn[0, 0], naive_map(point, shape, sigma), atol=1e-5)


def test_maps_of_a_mirrored_pose_are_mirrored_maps():
    points = torch.rand(3, 19, 2) * torch.tensor([192.0, 256.0])
    points[0, 4] = torch.nan
    turned = mirrored(points)
    left, right = (NETWORK.joints.index(f"{side}_wrist") for side in ("left", "right"))
    expected = torch.tensor([191.0, 0]) + points[1, right] * torch.tensor([-1.0, 1])
    torch.testing.assert_close(turned[1, left], expected)
    torch.testing.assert_close(mirrored(turned), points, equal_nan=True)
    maps = gaussian_maps(points, (64, 48), 6.0)
    torch.testing.assert_close(mirrored_back(gaussian_maps(turned, (64, 48), 6.0)), maps, atol=1e-4, rtol=0)


def test_joints_with_a_left_and_a_right_are_two_sided():
    sided = two_sided(torch.device("cpu"))
    assert sided.dtype == torch.float32
    middle = [name for name, two in zip(NETWORK.joints, sided.tolist(), strict=True) if not two]
    assert middle == ["nose", "upper_neck", "head_top"]
    assert sided.sum() == 16
    assert two_sided(torch.device("cpu")) is sided  # copied to a device once


def test_missing_joints_are_empty_maps():
    keypoints = torch.full((2, 3, 2), torch.nan)
    keypoints[1, 2] = torch.tensor([40.0, 50.0])
    for maps in pose_maps(keypoints, torch.full((2, 1, 3, 2), torch.nan)):
        assert maps.shape[:2] == (2, 6)
        assert maps[1, 2].max() > 0.5
        maps[1, 2] = 0
        assert (maps == 0).all()


def test_pose_maps_are_at_strides_8_and_4():
    keypoints = torch.tensor([[[40.0, 50.0]]])
    stride8, stride4 = pose_maps(keypoints, keypoints[:, None, :, :].expand(1, 0, 1, 2))
    torch.testing.assert_close(stride8[:, :1], gaussian_maps(keypoints, grid(8), POSE_SIGMAS[8]))
    torch.testing.assert_close(stride4[:, :1], gaussian_maps(keypoints, grid(4), POSE_SIGMAS[4]))
    assert (stride4[:, 1:] == 0).all()


def test_the_others_share_a_map_a_joint():
    """It is the highest of theirs, cell by cell, whoever comes first; one's own map does not change."""
    keypoints = torch.tensor([[[40.0, 50.0], [90.0, 80.0]]])
    others = torch.tensor([[[[60.0, 60.0], [torch.nan, torch.nan]], [[66.0, 60.0], [20.0, 200.0]]]])
    for maps, again, stride in zip(
        pose_maps(keypoints, others), pose_maps(keypoints, others.flip(1)), (8, 4), strict=True
    ):
        torch.testing.assert_close(maps, again)
        torch.testing.assert_close(maps[:, :2], gaussian_maps(keypoints, grid(stride), POSE_SIGMAS[stride]))
        theirs = gaussian_maps(others[0], grid(stride), POSE_SIGMAS[stride]).amax(0)
        torch.testing.assert_close(maps[0, 2:], theirs)


def test_a_smaller_network_is_shown_the_whole_crop():
    """A joint and the image under it stay in the same place of the crop."""
    image = torch.zeros(1, 3, CROP_HEIGHT, CROP_WIDTH)
    image[:, :, 200:216, 48:60] = 1
    joint = torch.tensor([[[53.5, 207.5]]])
    small, pose8, pose4 = network_inputs(image, joint, joint[:, None], (192, 160))
    assert (small.shape, pose8.shape, pose4.shape) == ((1, 3, 192, 160), (1, 2, 24, 20), (1, 2, 48, 40))
    for maps, y, x in ((small[:, :1], 200 * 3 / 4, 48 * 5 / 6), (pose8[:, :1], 200 / 32 * 3, 48 * 5 / 48)):
        peak = (maps[0, 0] > 0.6 * maps.max()).nonzero().float()
        assert (peak.amin(0) - torch.tensor([y, x])).abs().max() <= 1
    same = network_inputs(image, joint, joint[:, None], (CROP_HEIGHT, CROP_WIDTH))
    assert torch.equal(same[0], image)
    found, _ = decode(pose4[:, :1].clamp_min(1e-20).log())
    assert (found - joint).abs().max() < 0.5  # a tenth of a cell


def test_cell_positions_are_the_means_of_their_pixels():
    assert cell_positions(16, 4, torch.device("cpu")).tolist() == [1.5, 5.5, 9.5, 13.5]
    assert cell_positions(16, 2, torch.device("cpu")).tolist() == [3.5, 11.5]


@settings(deadline=None, max_examples=200)
@given(st.floats(20, CROP_WIDTH - 21), st.floats(20, CROP_HEIGHT - 21))
def test_decode_finds_the_middle_of_a_gaussian(x, y):
    logits = gaussian_maps(torch.tensor([[[x, y]]], dtype=torch.float32), (ROWS, COLUMNS), 3.5).clamp_min(1e-20).log()
    found, mass = decode(logits)
    assert (found[0, 0] - torch.tensor([x, y])).abs().max() < 0.15
    assert 0.95 < mass < 1.0 + 1e-5


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0, 200), st.floats(-1e4, 1e4))
def test_decode_stays_within_the_map(seed, contrast, offset):
    drawn = np.random.default_rng(seed).normal(size=(2, 3, ROWS, COLUMNS)) * contrast + offset
    found, mass = decode(torch.as_tensor(drawn, dtype=torch.float32))
    assert found.shape == (2, 3, 2)
    assert (found.numpy() >= LEAST - 1e-3).all()
    assert (found.numpy() <= MOST + 1e-3).all()
    assert ((mass >= 0) & (mass <= 1 + 1e-5)).all()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, COLUMNS - 1), (ROWS - 1, 0), (ROWS - 1, COLUMNS - 1)])
def test_decode_a_lone_peak_in_a_corner(row, column):
    logits = torch.zeros(1, 1, ROWS, COLUMNS)
    logits[0, 0, row, column] = 50
    found, mass = decode(logits)
    expected = [column * STRIDE + CELL_CENTRE, row * STRIDE + CELL_CENTRE]
    assert found[0, 0].tolist() == pytest.approx(expected, abs=1e-3)
    assert mass.item() == pytest.approx(1)


def test_decode_of_bfloat16_is_as_fine_as_its_logits_allow():
    logits = torch.zeros(1, 1, ROWS, COLUMNS, dtype=torch.bfloat16)
    logits[0, 0, 10, 20:22] = 20
    found, mass = decode(logits)
    assert found.dtype == mass.dtype == torch.float32
    assert found[0, 0].tolist() == pytest.approx([20.5 * STRIDE + CELL_CENTRE, 10 * STRIDE + CELL_CENTRE], abs=1e-3)


WINDOWS = [
    # column and row of the cell, how many cells of its 5 x 5 window lie in the map
    pytest.param((20, 30), 25, id="inside"),
    pytest.param((0, 0), 9, id="corner"),
    pytest.param((COLUMNS - 1, ROWS - 1), 9, id="last corner"),
    pytest.param((0, 30), 15, id="left edge"),
    pytest.param((-1, 30), 10, id="one outside"),
    pytest.param((20, ROWS + 1), 5, id="two below"),
    pytest.param((-3, 30), 0, id="left of the map"),
    pytest.param((COLUMNS + 2, 30), 0, id="right of the map"),
    pytest.param((10**6, -(10**6)), 0, id="far outside"),
]


@pytest.mark.parametrize(("cell", "count"), WINDOWS)
def test_window_mass_counts_only_cells_of_the_map(cell, count):
    uniform = torch.full((1, 1, ROWS, COLUMNS), 1 / (ROWS * COLUMNS))
    mass, x, y = window_mass(uniform, *(torch.tensor([[[i]]]) for i in cell))
    assert mass.sum().item() == pytest.approx(count / (ROWS * COLUMNS))
    assert mass.shape == x.shape == y.shape == (1, 1, 1, 25)
    assert (x.double().mean(), y.double().mean()) == cell


def test_window_mass_is_of_the_right_cells():
    probability = torch.arange(ROWS * COLUMNS, dtype=torch.float32).view(1, 1, ROWS, COLUMNS)
    mass, x, y = window_mass(probability, torch.tensor([[[7]]]), torch.tensor([[[11]]]))
    torch.testing.assert_close(mass, (y * COLUMNS + x).float())


def test_mass_at_is_of_each_maps_own_points():
    """Two joints in two looks, three points each: in the middle of a cell, near its edge, and far outside."""
    probability = torch.rand(2, 2, ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    cells = torch.tensor([[[7, 11], [30, 40], [2, 60]], [[5, 5], [40, 2], [46, 62]]])
    nudge = torch.tensor([0.0, 1.9, -1.9]).view(3, 1)
    points = (cells * STRIDE + CELL_CENTRE + nudge).expand(2, -1, -1, -1).clone()
    points[1, 1, 2] = 1e9
    mass = mass_at(probability, points)
    for look, joint, point in np.ndindex(2, 2, 3):
        column, row = cells[joint, point]
        window = probability[look, joint, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        expected = 0 if (look, joint, point) == (1, 1, 2) else window.sum().item()
        assert mass[look, joint, point].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("point", [(95.5, 127.5), (0, 0), (191, 255), (60.2, 3.3), (-5, 100)])
def test_target_maps_sum_to_one(point):
    maps = target_maps(torch.tensor([[point]]).float(), (ROWS, COLUMNS), 3.5)
    assert maps.shape == (1, 1, ROWS, COLUMNS)
    assert maps.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("point", [(math.nan, math.nan), (900, 100), (-1e6, 1e6)], ids=["missing", "outside", "far"])
def test_target_maps_of_what_is_not_there_are_zero(point):
    assert (target_maps(torch.tensor([[point]]).float(), (ROWS, COLUMNS), 3.5) == 0).all()
