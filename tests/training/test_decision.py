"""The decision learns whom to believe, and how often it is right."""

import numpy as np
import pytest
import torch

from pose_refine.model import EVIDENCE, Decision
from pose_refine.network import Network, NetworkConfig
from pose_refine.skeletons import SIGMAS
from pose_refine.training.data import load_images, read_training_sets
from pose_refine.training.decision import Cases, Inputs, collect, fit, held_out_inputs, join_cases, similarity

TRUST_CLAIM, TRUST_FOUND, LUCK = range(3)  # kinds of people, told apart by the features
LUCKY = 0.6  # share of the last kind whose joint is right, whomever one believes


def made_up_cases(people=300, seed=0, miss=1.5):
    """Each third of the people is of one kind; a wrong joint misses by `miss` OKS units in x and y.

    Returns the cases, whether the better choice is right (C, K), and the kinds (C,).
    """
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(people) * 3 // people
    features = torch.rand(people, 19, EVIDENCE, generator=generator) * 0.1
    features[..., 0] = 1
    features[..., 1] = kind[:, None].float()
    far = torch.full((people, 19, 2), miss)
    lucky = torch.rand(people, 19, generator=generator) < LUCKY
    luck = torch.where(lucky[..., None], 0.0, far)
    found = torch.where((kind == LUCK)[:, None, None], luck, far * (kind == TRUST_CLAIM)[:, None, None])
    claimed = torch.where((kind == LUCK)[:, None, None], luck, far * (kind == TRUST_FOUND)[:, None, None])
    labelled = torch.rand(people, 19, generator=generator) < 0.8
    real = torch.ones(people, dtype=torch.bool)
    return Cases(features, found, claimed, labelled, real), lucky | (kind != LUCK)[:, None], kind


@pytest.fixture(scope="module")
def fitted():
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, made_up_cases()[0], steps=300)
    return decision


@torch.no_grad()
def decide(decision, seed=1):
    """On people that it was not fitted to."""
    cases, right, kind = made_up_cases(seed=seed)
    keep, score = (torch.sigmoid(logit) for logit in decision(cases.features))
    return keep, score, right.float(), kind


def test_it_learns_whom_to_believe(fitted):
    keep, _, _, kind = decide(fitted)
    assert keep[kind == TRUST_CLAIM].min() > 0.9
    assert keep[kind == TRUST_FOUND].max() < 0.1


def test_it_learns_from_joints_that_are_very_far_off():
    """Where both the claim and the blend are far from the truth, 1 - OKS alone is flat."""
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, made_up_cases(miss=3.0)[0], steps=300)
    keep, _, _, kind = decide(decision)
    assert keep[kind == TRUST_CLAIM].mean() > 0.9
    assert keep[kind == TRUST_FOUND].mean() < 0.1


@pytest.mark.parametrize("which", [TRUST_CLAIM, TRUST_FOUND, LUCK], ids=["claim", "found", "luck"])
def test_its_scores_are_frequencies(fitted, which):
    _, score, right, kind = decide(fitted)
    rows = kind == which
    assert score[rows].mean().item() == pytest.approx(right[rows].mean().item(), abs=0.1)
    assert score[rows].mean(0).numpy() == pytest.approx(right[rows].mean().item(), abs=0.2)


def test_what_is_not_labelled_teaches_nothing():
    cases, _, _ = made_up_cases()
    shown = torch.arange(300) % 2 == 0
    wrong = torch.where(shown[:, None, None], cases.found, 50.0)
    labelled = cases.labelled & shown[:, None]
    weights = []
    for found in (cases.found, wrong):
        torch.manual_seed(0)
        decision = Decision(19)
        fit(decision, Cases(cases.features, found, cases.claimed, labelled, cases.real), steps=5)
        weights.append(decision.hidden.weight.detach().clone())
    assert torch.equal(*weights)


def test_good_joints_weigh_more():
    """Where claim and network are right equally often and cannot be told apart, the claim is kept."""
    half = torch.arange(400) % 2 == 0
    far = torch.full((400, 19, 2), 1.5)
    found, claimed = far * half[:, None, None], far * ~half[:, None, None]
    features = torch.ones(400, 19, EVIDENCE)
    torch.manual_seed(0)
    decision = Decision(19)
    labelled, real = torch.ones(400, 19, dtype=torch.bool), torch.ones(400, dtype=torch.bool)
    fit(decision, Cases(features, found, claimed, labelled, real), steps=150)
    assert decision(features[:1])[0].sigmoid().min() > 0.6


def test_scores_are_fitted_on_real_poses_alone():
    """Poses made from the truth are right here, real ones are wrong, and nothing tells them apart."""
    half = torch.arange(400) % 2 == 0
    error = torch.full((400, 19, 2), 1.5) * half[:, None, None]
    torch.manual_seed(0)
    decision = Decision(19)
    cases = Cases(torch.ones(400, 19, EVIDENCE), error, error, torch.ones(400, 19, dtype=torch.bool), half)
    fit(decision, cases, steps=150)
    assert decision(cases.features[:1])[1].sigmoid().max() < 0.1


def test_similarity_is_that_of_oks():
    errors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
    assert similarity(errors).tolist() == pytest.approx([1, np.exp(-0.5), np.exp(-12.5)])


def test_join_cases():
    first, second = made_up_cases(30)[0], made_up_cases(60, seed=1)[0]
    both = join_cases([first, second])
    assert both.features.shape == (90, 19, EVIDENCE)
    assert torch.equal(both.labelled[30:], second.labelled)
    assert torch.equal(both.claimed[:30], first.claimed)
    assert both.real.shape == (90,)


@pytest.fixture(scope="module")
def loaded(data):
    return load_images(read_training_sets(data), 128)


def test_held_out_inputs_hold_every_estimators_own_and_the_truth(loaded):
    people, rows = loaded[1], np.arange(7)
    sets = held_out_inputs(people, rows, np.random.default_rng(0))
    assert all(s.poses.shape == (len(s.rows), 19, 2) and s.others.shape == (len(s.rows), 3, 19, 2) for s in sets)
    assert not any(np.isnan(s.poses).all((1, 2)).any() for s in sets)
    assert [s.real for s in sets] == sorted((s.real for s in sets), reverse=True)
    assert not sets[-1].real
    np.testing.assert_array_equal(sets[0].poses, people.predicted[:, 0, :, :2])
    np.testing.assert_array_equal(sets[0].others[1, 0], people.predicted[0, 0, :, :2])  # she stands beside him
    assert sets[1].rows.tolist() == [0, 2, 3, 4]  # those whom beta saw
    truths = [s for s in sets if np.array_equal(s.poses, people.keypoints, equal_nan=True)]
    assert len(truths) == 1
    np.testing.assert_array_equal(truths[0].others[1, 0], people.keypoints[0])


def collected(loaded, poses, rows):
    torch.manual_seed(0)
    network = Network(NetworkConfig("lightning", width=8)).eval()
    others = np.full((len(rows), 3, 19, 2), np.nan, np.float32)
    return collect(network, *loaded, Inputs(rows, poses, others, True))


def test_collect_measures_errors_in_oks_units(loaded):
    people, rows = loaded[1], np.array([0, 6])
    shift = np.array([3.0, -4.0], dtype=np.float32)
    cases = collected(loaded, people.keypoints[rows] + shift, rows)
    labelled = ~np.isnan(people.keypoints[rows][..., 0])
    np.testing.assert_array_equal(cases.labelled, labelled)
    expected = np.exp(-25 / (2 * people.area[rows][:, None] * (2 * SIGMAS) ** 2)) * labelled
    np.testing.assert_allclose(similarity(cases.claimed) * cases.labelled, expected, atol=1e-3)
    assert cases.features.shape == (2, 19, EVIDENCE)
    assert cases.features.isfinite().all()


def test_collect_of_exact_poses_finds_no_error(loaded):
    cases = collected(loaded, loaded[1].keypoints[[2]], np.array([2]))
    assert similarity(cases.claimed)[cases.labelled].min() > 0.999


def test_an_estimator_that_saw_nobody_held_out_is_no_error(loaded):
    """Its set of poses is empty."""
    nobody = np.zeros(0, dtype=int)
    cases = collected(loaded, np.zeros((0, 19, 2), dtype=np.float32), nobody)
    assert cases.features.shape == (0, 19, EVIDENCE)
    assert len(cases.labelled) == 0
