"""Damage done on purpose: each kind does what it says, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.truth import random_poses, random_truth, rng_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.nn.encoding import DOUBT
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training import synthesis
from pose_refine.training.synthesis import oks_radius

MIRROR = NETWORK.mirror
PAIRED = np.arange(19) != MIRROR
seeds = st.integers(0, 2**32 - 1)
quick = settings(deadline=None, max_examples=40)


def from_predictions(truth, rng):
    return synthesis.from_predictions(truth, synthesis.draw_estimators(truth, rng), rng)


def same(a, b):
    """(..., K) whether two joints are equal, or both missing."""
    return ((a == b) | (np.isnan(a) & np.isnan(b))).all(-1)


def distances(a, b):
    return np.linalg.norm(a - b, axis=-1)


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.85])
def test_oks_radius_is_where_similarity_falls_to_that(similarity):
    area = np.array([100, 9000], dtype=np.float32)
    radius = oks_radius(area, similarity)
    assert radius.shape == (2, 19)
    back = np.exp(-(radius**2) / (2 * area[:, None] * (2 * SIGMAS) ** 2))
    np.testing.assert_allclose(back, similarity, rtol=1e-5)


def shifted(tail, count=3000):
    """Distances of shifts in OKS-0.85 radii, (count, K)."""
    area = np.linspace(100, 40000, count, dtype=np.float32)
    poses = random_poses(count=count, missing=0)
    return distances(synthesis.shift(poses, area, rng_of(1), tail=tail), poses) / oks_radius(area, 0.85)


def test_shift_is_mostly_small():
    """|N(0, 1)| times U(0.1, 1.5) has its median at 0.435, and each person a precision of its own."""
    small = shifted(tail=0)
    assert np.median(small) == pytest.approx(0.435, abs=0.02)
    assert np.median(small, axis=0) == pytest.approx(0.435, abs=0.05)
    means = small.mean(1) / np.sqrt(2 / np.pi)
    assert np.percentile(means, 5) < 0.25
    assert np.percentile(means, 95) > 1.3


def test_the_tail_of_shift_is_uniform_up_to_the_oks_01_radius():
    reach = np.sqrt(np.log(0.1) / np.log(0.85))
    far = shifted(tail=1) / reach
    assert far.max() <= 1.001
    np.testing.assert_allclose(np.percentile(far, [25, 50, 75]), [0.25, 0.5, 0.75], atol=0.02)


@pytest.mark.parametrize("tail", [0.1, 0.4])
def test_the_share_of_the_tail(tail):
    half = np.sqrt(np.log(0.1) / np.log(0.85)) / 2
    near = (shifted(tail=0) > half).mean()
    assert (shifted(tail) > half).mean() == pytest.approx(tail * 0.5 + (1 - tail) * near, abs=0.01)


def test_shift_goes_everywhere_alike():
    poses = random_poses(count=2000, missing=0)
    moves = synthesis.shift(poses, np.full(2000, 4000, dtype=np.float32), rng_of(0)) - poses
    angles = np.arctan2(moves[..., 1], moves[..., 0])
    counts = np.histogram(angles, 8, (-np.pi, np.pi))[0]
    np.testing.assert_allclose(counts / counts.sum(), 1 / 8, atol=0.01)


@quick
@given(seeds, st.floats(0, 1), st.floats(0, 1))
def test_switch_exchanges_whole_pairs_only(seed, pair, body):
    poses = random_poses(seed)
    poses[:, 1] = 1, 1  # else a missing pair looks both switched and not
    poses[:, 2] = 2, 2
    out = synthesis.switch(poses, rng_of(seed), pair=pair, body=body)
    kept, switched = same(out, poses), same(out, poses[:, MIRROR])
    assert (kept | switched).all()
    assert ((kept & kept[:, MIRROR]) | (switched & switched[:, MIRROR])).all()
    assert kept[:, ~PAIRED].all()


def test_switch_shares():
    poses = random_poses(count=4000, missing=0)
    assert same(synthesis.switch(poses, rng_of(0), pair=0, body=0), poses).all()
    assert same(synthesis.switch(poses, rng_of(0), pair=0, body=1), poses[:, MIRROR]).all()
    assert same(synthesis.switch(poses, rng_of(0), pair=1, body=0), poses[:, MIRROR]).all()
    share = ~same(synthesis.switch(poses, rng_of(0), pair=0.1), poses)[:, PAIRED]
    assert share.mean() == pytest.approx(0.1, abs=0.01)
    assert share.all(1).mean() < 0.01
    bodies = ~same(synthesis.switch(poses, rng_of(0), pair=0, body=0.3), poses)[:, PAIRED]
    assert bodies.all(1).mean() == bodies.mean() == pytest.approx(0.3, abs=0.03)


@quick
@given(seeds, st.floats(5, 150))
def test_neighbour_takes_the_same_or_the_mirrored_joint_within_reach(seed, limit):
    truth = random_truth(seed)
    reach = np.full(len(truth.poses), limit, dtype=np.float32)
    out = synthesis.neighbour(truth.poses, truth.others, reach, rng_of(seed), share=0.7)
    changed = ~same(out, truth.poses)
    candidates = np.concatenate([truth.others, truth.others[:, :, MIRROR]], 1)
    assert same(out[:, None], candidates).any(1)[changed].all()
    assert (distances(out, truth.poses)[changed] < limit).all()
    assert not np.isnan(out[changed]).any()


def test_neighbour_share_and_kinds():
    poses = np.zeros((3000, 19, 2), dtype=np.float32)
    others = np.full((3000, 2, 19, 2), np.nan, dtype=np.float32)
    others[:, 0] = np.arange(1, 20)[:, None] / 100  # all within reach
    reach = np.ones(3000, dtype=np.float32)
    taken = synthesis.neighbour(poses, others, reach, rng_of(0), share=0.3)[..., 0]
    assert (taken > 0).mean() == pytest.approx(0.3, abs=0.01)
    own = np.isclose(taken, others[:, 0, :, 0])[:, PAIRED]
    mirrored = np.isclose(taken, others[:, 0, MIRROR, 0])[:, PAIRED]
    assert own.mean() == pytest.approx(0.15, abs=0.01)
    assert mirrored.mean() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("place", [np.nan, 1e4], ids=["nobody there", "nobody near"])
def test_neighbour_without_neighbours(place):
    poses = random_poses()
    others = np.full((len(poses), 3, 19, 2), place, dtype=np.float32)
    out = synthesis.neighbour(poses, others, np.full(len(poses), 50, dtype=np.float32), rng_of(0), share=1.0)
    assert same(out, poses).all()


@quick
@given(seeds, st.floats(0, 1))
def test_remove_removes_and_leaves_at_least_one(seed, share):
    poses = random_poses(seed)
    out = synthesis.remove(poses, rng_of(seed), share=share)
    missing = np.isnan(out[..., 0])
    assert not missing.all(1).any()
    assert same(out, poses)[~missing].all()
    assert missing[np.isnan(poses[..., 0])].all()


def test_remove_shares():
    poses = random_poses(count=3000, missing=0)
    assert (~np.isnan(synthesis.remove(poses, rng_of(0), share=1.0)[..., 0])).sum(1).tolist() == [1] * 3000
    assert same(synthesis.remove(poses, rng_of(0), share=0.0), poses).all()
    gone = np.isnan(synthesis.remove(poses, rng_of(0), share=0.3)[..., 0])
    assert gone.mean() == pytest.approx(0.3 * 18 / 19, abs=0.01)
    each = np.repeat([[0.0], [0.5]], 1500, axis=0).astype(np.float32)
    gone = np.isnan(synthesis.remove(poses, rng_of(0), share=each)[..., 0])
    assert gone[:1500].mean() == 0
    assert gone[1500:].mean() == pytest.approx(0.5 * 18 / 19, abs=0.02)


@quick
@given(seeds)
def test_noise_stays_within_its_box(seed):
    poses = random_poses(seed)
    out = synthesis.noise(poses, rng_of(seed), share=1.0)
    low, high = np.nanmin(poses, 1, keepdims=True), np.nanmax(poses, 1, keepdims=True)
    margin = 0.1 * (high - low) + 1e-3
    assert ((out >= low - margin) & (out <= high + margin)).all()  # so none is missing either


def test_noise_share():
    poses = random_poses(count=3000)
    changed = ~same(synthesis.noise(poses, rng_of(0), share=0.05), poses)
    missing = np.isnan(poses[..., 0])
    assert changed[missing].mean() == pytest.approx(0.05, abs=0.01)
    assert changed[~missing].mean() == pytest.approx(0.05, abs=0.01)


@quick
@given(seeds, st.floats(0, 1))
def test_remove_unsure_removes_the_lowest_scores_first(seed, most):
    poses = random_poses(seed)
    scores = np.where(np.isnan(poses[..., 0]), np.nan, rng_of(seed).random(poses.shape[:2])).astype(np.float32)
    out = synthesis.remove_unsure(poses, scores, rng_of(seed), most=most)
    kept = ~np.isnan(out[..., 0])
    gone = ~np.isnan(poses[..., 0]) & ~kept
    assert same(out, poses)[kept].all()
    assert (np.where(gone, scores, -1).max(1) <= np.where(kept, scores, 2).min(1)).all()
    assert (gone.sum(1) <= most * (gone | kept).sum(1)).all()


def test_remove_unsure_takes_any_share_up_to_the_most():
    poses = random_poses(count=3000, missing=0)
    out = synthesis.remove_unsure(poses, rng_of(1).random((3000, 19)), rng_of(0), most=0.4)
    gone = np.isnan(out[..., 0]).sum(1)
    assert set(gone) == set(range(8))
    assert gone.mean() / 19 == pytest.approx(0.2 - 0.5 / 19, abs=0.02)


def test_coarsen_rounds_to_a_grid_of_24_to_64_cells():
    extent = np.array([50, 120, 400, 33], dtype=np.float32)
    poses = (rng_of(0).random((4, 1500, 2)) * extent[:, None, None]).astype(np.float32)
    out = synthesis.coarsen(poses, extent, rng_of(0))
    assert out.dtype == np.float32
    for rounded, given_, size in zip(out, poses, extent, strict=True):
        steps = np.diff(np.unique(np.round(rounded[:, 0] / size, 4)))
        cell = np.median(steps)
        assert 1 / 64.5 < cell < 1 / 23.5
        np.testing.assert_allclose(steps, cell, atol=3e-4)
        assert np.abs(rounded - given_).max() <= (cell / 2 + 1e-3) * size


def test_nearly_perfect_is_exact_for_a_third_and_within_reason_for_the_others():
    truth = random_truth(count=1500)
    poses = synthesis.nearly_perfect(truth, rng_of(0))
    exact = same(poses, truth.poses).all(1)
    assert exact.mean() == pytest.approx(1 / 3, abs=0.05)
    moved = distances(poses, truth.poses)[~exact] / oks_radius(truth.area, 0.85)[~exact]
    assert np.nanmean(moved < 1) > 0.5
    assert 0.02 < np.nanmedian(moved) < 0.5


def test_real_poses_are_often_as_the_estimator_gave_them():
    truth = random_truth(count=800, estimators=2)
    truth.predicted[:] = rng_of(9).uniform(0, 200, truth.predicted.shape)
    poses = from_predictions(truth, rng_of(0))
    untouched = (distances(poses[:, None], truth.predicted[..., :2]) < 1e-3).all(2)
    assert 0.2 < untouched.any(1).mean() < 0.7
    assert untouched.mean(0) == pytest.approx(untouched.mean(), abs=0.06)  # each estimator alike


def test_people_whom_no_estimator_saw_get_synthetic_poses():
    truth = random_truth()
    truth.predicted[:] = np.nan
    assert np.isnan(from_predictions(truth, rng_of(0))).all()
    poses, _, _ = synthesis.initial_poses(truth, rng_of(0))
    assert not np.isnan(poses).all((1, 2)).any()


def test_data_without_any_estimator_gets_synthetic_poses():
    """Predictions are optional in a data folder."""
    poses, _, _ = synthesis.initial_poses(random_truth(estimators=0), rng_of(0))
    assert not np.isnan(poses).all((1, 2)).any()


def others_shown(truth, real, seed=0):
    estimators = synthesis.draw_estimators(truth, rng_of(seed))
    return synthesis.shown_others(truth, estimators, np.full(len(truth.poses), real), rng_of(seed)), estimators


def test_others_are_shown_as_the_same_estimator_saw_them(monkeypatch):
    monkeypatch.setattr(synthesis, "ALONE", 0)
    monkeypatch.setattr(synthesis, "UNSEEN", 0)
    monkeypatch.setattr(synthesis, "TWICE", 0)
    truth = random_truth(count=200)
    shown, estimators = others_shown(truth, real=True)
    theirs = truth.others_predicted[np.arange(200), :, estimators[:, 0], :, :2]
    seen = ~np.isnan(theirs).all((2, 3))
    assert 0.3 < seen.mean() < 0.7
    np.testing.assert_array_equal(shown[seen], theirs[seen])
    nobody = np.isnan(truth.others).all((2, 3))
    assert np.isnan(shown[nobody & ~seen]).all()
    near = distances(shown, truth.others)[~seen & ~nobody]
    assert np.nanmedian(near) < 20  # whom the estimator missed is near the truth: random poses are 100 apart
    synthetic, _ = others_shown(truth, real=False)
    assert np.nanmedian(distances(synthetic, truth.others)) < 20


def test_some_others_are_not_shown_and_some_people_are_shown_twice(monkeypatch):
    truth = random_truth(count=4000)
    nobody = np.isnan(truth.others).all((2, 3))
    shown, _ = others_shown(truth, real=False)
    gone = np.isnan(shown).all((2, 3))
    assert gone[~nobody].mean() == pytest.approx(1 - (1 - synthesis.ALONE) * (1 - synthesis.UNSEEN), abs=0.03)
    own = truth.predicted[..., :2]
    twice = (distances(shown[:, :1, None], own[:, None]) == 0).any((1, 2, 3))
    expected = synthesis.TWICE * (1 - synthesis.ALONE) * (1 - synthesis.UNSEEN)
    assert twice.mean() == pytest.approx(expected, abs=0.015)


@quick
@given(seeds, st.integers(1, 3))
def test_initial_poses_have_a_joint_and_no_infinity(seed, estimators):
    truth = random_truth(seed, estimators=estimators)
    poses, others, hidden = synthesis.initial_poses(truth, rng_of(seed))
    assert poses.shape == truth.poses.shape
    assert poses.dtype == np.float32
    assert hidden.shape == (len(poses),)
    assert hidden.dtype == bool
    assert not np.isnan(poses).all((1, 2)).any()
    assert others.shape == truth.others.shape
    for drawn in (poses, others):
        assert not np.isinf(drawn).any()
        assert (np.isnan(drawn[..., 0]) == np.isnan(drawn[..., 1])).all()


@pytest.mark.parametrize(
    ("similarity", "share"), [(0.2, 0.1), (0.55, 0.5), (0.8, 0.9), (1.0, 0.9)], ids=["bad", "fair", "good", "perfect"]
)
def test_the_worse_a_pose_the_seldomer_it_is_believed(similarity, share):
    """All joints lie at one similarity; 0.55 is halfway between the two that the shares are given for."""
    truth, area = random_poses(0, 4000), np.full(4000, 9000, np.float32)
    truth[::3, 5] = np.nan
    poses = truth + np.stack([oks_radius(area, similarity), np.zeros((4000, 19))], -1).astype(np.float32)
    belief = synthesis.belief_in(poses, truth, area, rng_of(0))
    assert set(belief.tolist()) == {1.0, DOUBT}
    assert (belief == 1).mean() == pytest.approx(share, abs=0.03)


def test_some_of_the_poses_are_hidden():
    _, _, hidden = synthesis.initial_poses(random_truth(count=3000), rng_of(0))
    assert hidden.mean() == pytest.approx(synthesis.POSELESS, abs=0.02)


KINDS = {
    "shift": lambda t, rng: synthesis.shift(t.poses, t.area, rng),
    "switch": lambda t, rng: synthesis.switch(t.poses, rng, pair=0.5, body=0.3),
    "neighbour": lambda t, rng: synthesis.neighbour(t.poses, t.others, np.sqrt(t.area), rng),
    "remove": lambda t, rng: synthesis.remove(t.poses, rng),
    "noise": lambda t, rng: synthesis.noise(t.poses, rng, share=0.3),
    "remove_unsure": lambda t, rng: synthesis.remove_unsure(t.poses, t.predicted[:, 0, :, 2], rng),
    "coarsen": lambda t, rng: synthesis.coarsen(t.poses, np.sqrt(t.area), rng),
    "from_truth": synthesis.from_truth,
    "nearly_perfect": synthesis.nearly_perfect,
    "from_predictions": lambda t, rng: from_predictions(t, rng),
    "initial_poses": lambda t, rng: synthesis.initial_poses(t, rng)[0],
    "shown_others": lambda t, rng: synthesis.initial_poses(t, rng)[1],
}


@pytest.mark.parametrize("damage", KINDS.values(), ids=KINDS.keys())
def test_drawn_from_the_seed_alone_and_inputs_stay(damage):
    truth, before = random_truth(), random_truth()
    first, again, other = (damage(truth, rng_of(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not same(first, other).all()
    for name in ("poses", "area", "others", "predicted", "others_predicted"):
        np.testing.assert_array_equal(getattr(truth, name), getattr(before, name))


@quick
@given(seeds)
def test_fling_takes_one_to_three_joints_into_the_image_or_all_into_its_corner(seed):
    poses = random_poses(seed)
    before, flung = poses.copy(), synthesis.fling(poses, 150, rng_of(seed))
    moved = ~same(flung, poses)
    np.testing.assert_array_equal(poses, before)
    np.testing.assert_array_equal(np.isnan(flung), np.isnan(poses))
    given = (~np.isnan(poses[..., 0])).sum(1)
    assert (moved.sum(1) >= np.minimum(given, 1)).all()
    assert (moved.sum(1) <= np.minimum(given, 3)).all()
    assert ((flung[moved] >= 0) & (flung[moved] <= 150)).all()
    cornered = [(flung[n, moved[n]] == 1).all() for n in range(len(poses))]
    assert all(corner or not (flung[n, moved[n]] == 1).any() for n, corner in enumerate(cornered))


def test_fling_takes_each_number_of_joints_and_a_third_into_the_corner():
    poses = random_poses(count=3000, missing=0)
    flung = synthesis.fling(poses, 150, rng_of(0))
    moved = ~same(flung, poses)
    assert np.bincount(moved.sum(1), minlength=4)[1:] / 3000 == pytest.approx(1 / 3, abs=0.04)
    assert (flung == 1).all(-1).any(1).mean() == pytest.approx(1 / 3, abs=0.04)
    assert moved.mean(0) == pytest.approx(2 / 19, abs=0.03)


@quick
@given(seeds)
def test_exchanged_halves_are_the_nearest_others(seed):
    truth = random_truth(seed)
    others = truth.others.copy()
    others[::3] = np.nan
    mixed = synthesis.exchange_halves(truth.poses, others, rng_of(seed))
    alone = np.isnan(others[:, 0]).all((1, 2))
    assert alone.any()
    assert np.isnan(mixed[alone]).all()
    theirs, own = same(mixed, others[:, 0])[~alone], same(mixed, truth.poses)[~alone]
    assert (theirs | own).all()


def test_exchanged_halves_are_a_fifth_to_a_half():
    poses = random_poses(count=2000, missing=0)
    mixed = synthesis.exchange_halves(poses, poses[:, None] + 7, rng_of(0))
    share = (~same(mixed, poses)).mean(1)
    assert share.mean() == pytest.approx(0.35, abs=0.02)
    assert 0.05 < np.percentile(share, 5) < 0.2 < 0.5 < np.percentile(share, 98) < 0.8


def test_borrowed_errors_are_those_made_on_others_in_shares_of_their_size():
    truth = random_truth(count=40)
    seen = ~np.isnan(truth.predicted[:, 1]).all((1, 2))
    exact = replace(truth, predicted=truth.predicted.copy())
    exact.predicted[..., :2] = exact.predicted[..., :2] * np.nan
    shift = np.float32([0.1, -0.2]) * np.sqrt(truth.area)[:, None, None]
    exact.predicted[seen, 1, :, :2] = (truth.poses + shift)[seen]
    anybody, rng = np.ones(40, bool), np.random.default_rng(0)
    poses = synthesis.borrowed(exact.poses, exact.area, exact.predicted[:, 1], anybody, rng)[..., :2]
    assert 5 < seen.sum() < 35
    assert np.isnan(poses[seen]).all()
    there = ~np.isnan(poses)
    assert there[~seen].any((1, 2)).mean() > 0.9
    np.testing.assert_allclose(poses[there], (truth.poses + shift)[there], rtol=1e-4, atol=1e-3)
    nobody = synthesis.borrowed(exact.poses, exact.area, exact.predicted[:, 0], anybody, rng)
    assert np.isnan(nobody).all()  # who saw nobody lends nothing
    assert np.isnan(synthesis.borrowed(exact.poses, exact.area, exact.predicted[:, 1], ~seen, rng)).all()
