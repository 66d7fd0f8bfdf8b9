"""Fits through time, and filters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_refine.skeletons import SIGMAS
from pose_refine.video.smoothing import (
    JITTER,
    OneEuro,
    local_fit,
    robust_fit,
    smoothing_factor,
    steady,
    unit_of,
    width_of,
)

T = 21
WIDTH = 3.0
TIME = np.arange(T, dtype=np.float32)


def track(*coefficients, joints=1):
    """(T, joints, 2): polynomials of time, the same for x and y."""
    values = sum(c * TIME**n for n, c in enumerate(coefficients))
    return np.repeat(values[:, None, None], joints, 1).repeat(2, 2).astype(np.float32)


def fitted(points, score=0.9, unit=5.0):
    shape = points.shape[:2]
    return robust_fit(points, np.full(shape, score, np.float32), np.full(shape, unit, np.float32), WIDTH)


@pytest.mark.parametrize(("fps", "width"), [(30, 3), (5, 1), (25, 2.5), (240, 6)])
def test_width(fps, width):
    assert width_of(fps) == pytest.approx(width)


def test_unit():
    pose = np.full((19, 2), np.nan, np.float32)
    pose[:2] = [[0, 0], [40, 80]]
    # Half the box is 1600 square pixels: 2 sigma 40.
    assert unit_of(pose) == pytest.approx(80 * SIGMAS, rel=1e-6)
    assert np.isfinite(unit_of(np.full((19, 2), np.nan, np.float32))).all()


@pytest.mark.parametrize("coefficients", [(7,), (7, 3), (7, 3, 0.2)])
def test_constant_acceleration_is_not_bent(coefficients):
    points = track(*coefficients)
    place, sure = fitted(points)
    assert np.abs(place - points)[4:-4].max() < 0.02
    assert np.abs(place - points).max() < 0.5  # near the ends, slopes are held down a little
    assert sure == pytest.approx(np.full((T, 1), 0.9), abs=0.03)


@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_a_few_frames_on_the_wrong_side_do_not_draw_it(wrong):
    points = track(50, 2)
    points[10 : 10 + wrong] += 80
    place, sure = fitted(points)
    assert np.abs(place - track(50, 2)).max() < 1.5
    assert sure[10, 0] > 0.55  # half of the others around that it foretells, or more


def test_a_joint_that_frames_are_too_few_for_is_told_by_nobody():
    jumps = np.random.default_rng(0).uniform(0, 300, (T, 1, 2)).astype(np.float32)
    _, sure = fitted(jumps)
    assert sure.max() < 0.3


def test_unsure_joints_weigh_little():
    points, score = track(50), np.full((T, 1), 0.9, np.float32)
    points[::2] += 4  # within the scale of agreement
    score[::2] = 0.3
    place, _ = robust_fit(points, score, np.full((T, 1), 5, np.float32), WIDTH)
    # Weights are score ** 4: 4 * 0.3 ** 4 / (0.3 ** 4 + 0.9 ** 4) = 0.05 pixels.
    assert np.abs(place - 50)[8:13].max() < 0.1


def test_missing_joints_are_filled_and_a_track_of_none_is_nan():
    points = np.concatenate([track(50, 2), np.full((T, 1, 2), np.nan, np.float32)], 1)
    points[9:12, 0] = np.nan
    place, sure = fitted(points)
    assert np.abs(place[:, 0] - track(50, 2)[:, 0]).max() < 0.5
    assert np.isnan(place[:, 1]).all()
    assert (sure[:, 1] == 0).all()


def test_frames_far_away_do_not_matter():
    points = np.full((40, 1, 2), np.nan, np.float32)
    points[0] = 5
    place, _ = robust_fit(points, np.ones((40, 1), np.float32), np.ones((40, 1), np.float32), WIDTH)
    assert np.isfinite(place[:9]).all()
    assert np.isnan(place[9:]).all()


@given(st.integers(0, 2**32 - 1))
def test_time_has_no_direction(seed):
    """Zero phase: a track played backwards gives the fit backwards."""
    rng = np.random.default_rng(seed)
    points = rng.normal(100, 10, (9, 2, 2)).astype(np.float32)
    weight = rng.uniform(0.1, 1, (9, 2))
    assert local_fit(points[::-1], weight[::-1], WIDTH)[::-1] == pytest.approx(
        local_fit(points, weight, WIDTH), abs=1e-3
    )


def steadied(distance, score, sure, smooth=True):
    """One joint `distance` units of 5 pixels from the fit at 0: where it goes, and its score."""
    point = np.array([[[5 * distance, 0]]], np.float32)
    one = np.ones((1, 1), np.float32)
    place, out = steady(point, score * one, np.zeros((1, 1, 2)), sure * one, 5 * one, smooth)
    return float(place[0, 0, 0]), float(out[0, 0])


STEADY = {
    # distance in units, score, sure, smooth: x, score. JITTER is one unit of 5 pixels.
    "jitter is smoothed away": ((0.4, 0.9, 0.8, True), (0, 0.9)),
    "half of the way at three quarters of JITTER": ((0.75, 0.9, 0.8, True), (1.875, 0.9)),
    "fast motion stays": ((4, 0.9, 0.8, True), (20, 0.9)),
    "an unsure joint comes back": ((4, 0.3, 0.8, True), (0, 0.8)),
    "without smoothing jitter stays": ((0.9, 0.3, 0.8, False), (4.5, 0.3)),
    "without smoothing, too, it comes back": ((4, 0.3, 0.8, False), (0, 0.8)),
}


@pytest.mark.parametrize("name", STEADY)
def test_steady(name):
    assert JITTER == 1
    arguments, expected = STEADY[name]
    assert steadied(*arguments) == pytest.approx(expected, abs=1e-5)


def test_steady_without_a_fit_changes_nothing():
    point, one = np.full((1, 1, 2), 7, np.float32), np.ones((1, 1), np.float32)
    place, score = steady(point, 0.5 * one, np.full((1, 1, 2), np.nan), 0 * one, one, True)
    assert (place == point).all()
    assert score[0, 0] == 0.5


def pose(x, score=1.0):
    """19 joints x to the right of a square of 100 pixels."""
    grid = np.stack(np.meshgrid(np.linspace(0, 100, 5), np.linspace(0, 100, 4)), -1).reshape(-1, 2)
    joints = np.concatenate([grid[:18], [[100, 100]]]) + np.array([x, 0])
    return np.concatenate([joints, np.full((19, 1), score)], 1).astype(np.float32)


def test_one_euro_smooths_what_rests_and_follows_what_moves():
    noise = np.random.default_rng(0).normal(0, 1, (60, 19, 2)).astype(np.float32)
    resting, moving = OneEuro(30), OneEuro(30)
    rest = np.stack([resting(pose(0) + np.pad(n, ((0, 0), (0, 1)))) for n in noise])
    assert (rest - pose(0))[20:, :, :2].std() < 0.6 * noise[20:].std()
    fast = np.stack([moving(pose(20 * t)) - pose(20 * t) for t in range(60)])  # six times its size a second
    assert np.abs(fast[5:, 11, 0]).max() < 5  # a quarter of a frame behind
    assert (np.abs(fast[:, :, 0]) < JITTER * unit_of(pose(0)[:, :2])).all()


def test_one_euro_s_first_step():
    # 2 pixels at 30 Hz of a person of 100: speed (2 / 100) 30 = 0.6, of which the factor of 1 Hz is taken; then the
    # cut-off is 1 + 8 |speed|. Half the box is 5,000 square pixels: a hip's unit is 15 pixels, 2 are smoothed whole.
    filter, hip = OneEuro(30), 11
    filter(pose(0))
    slow = 2 * np.pi / 30 / (2 * np.pi / 30 + 1)
    expected = 2 * smoothing_factor(1 + 8 * 0.6 * slow, 30)
    assert filter(pose(2))[hip, 0] - pose(0)[hip, 0] == pytest.approx(expected, rel=1e-4)


def test_one_euro_keeps_missing_joints_missing_and_moves_less_for_unsure_ones():
    sure, unsure, gone = OneEuro(30), OneEuro(30), OneEuro(30)
    for f in (sure, unsure, gone):
        f(pose(0))
    assert unsure(pose(3, 0.1))[11, 0] < sure(pose(3))[11, 0]
    without = pose(3)
    without[11, :2] = np.nan
    assert np.isnan(gone(without)[11, 0])
    assert np.isfinite(gone(pose(3))).all()
