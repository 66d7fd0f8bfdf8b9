"""The decision learns whom to believe, and how often it is right."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.weights import lively, tiny_model

from pose_refine.crops.bodies import in_frame, one_body
from pose_refine.crops.geometry import crop_boxes, crop_matrices, scales, to_crop
from pose_refine.nn.decision import TRUST, Decision, blend
from pose_refine.nn.evidence import EVIDENCE, HYPOTHESES, THEIRS, Prompt, look, near
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training import decision as decision_module
from pose_refine.training.batches import cut
from pose_refine.training.data import load_images, read_training_sets
from pose_refine.training.decision import (
    ADVANCE,
    EXACT,
    Cases,
    Inputs,
    collect,
    distance,
    first_shown,
    fit,
    fit_scores,
    held_out_inputs,
    join_cases,
    look_closer,
    mirrored,
    spread_of,
    without_neck,
)

CLAIMED, FOUND, AGREED, ALONE = range(HYPOTHESES)  # kinds of people too: whose hypothesis is right
LUCK = 4  # one more kind: all hypotheses are one place, which is right or wrong by chance
LUCKY = 0.6  # share of the joints of the last kind that are right
HIPS = [11, 12]  # an OKS unit of theirs is wider than the gaps between close places here
FAR = 100.0  # crop pixels between hypotheses


def made_up_cases(people=400, seed=0):
    """Each fifth of the people is of one kind, told apart by the features; the truth is at (90, 120).

    Returns the cases, whether the joint can be found (C, K), and the kinds (C,).
    """
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(people) * 5 // people
    features = torch.rand(people, 19, EVIDENCE, generator=generator) * 0.1
    features[..., 0] = 1
    for k in range(HYPOTHESES):
        features[..., 1 + k] += (kind == k)[:, None].float()
    truth = torch.tensor([90.0, 120.0]).expand(people, 19, 2)
    off = torch.eye(4).logical_not()[kind.clamp_max(3)].float()  # (C, HYPOTHESES)
    lucky = torch.rand(people, 19, generator=generator) < LUCKY
    off = torch.where((kind == LUCK)[:, None, None], (~lucky).float()[:, None].expand(-1, 4, -1), off[..., None])
    side = torch.tensor(
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    )  # each hypothesis errs in a direction of its own
    side = torch.where((kind == LUCK)[:, None, None], side[:1], side[None])
    places = truth[:, None] + FAR * off[..., None] * side[:, :, None]
    labelled = torch.rand(people, 19, generator=generator) < 0.8
    unit, doubled = torch.full((people, 19), 10.0), torch.zeros(people, 19).bool()
    cases = Cases(features, places, truth, unit, labelled, doubled, torch.ones(people).bool())
    return cases, lucky | (kind != LUCK)[:, None], kind


@pytest.fixture(scope="module")
def fitted():
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, made_up_cases()[0], steps=300)
    return decision


@torch.no_grad()
def test_what_is_yes_or_no_is_not_blurred():
    features = torch.rand(50, 19, 3)
    features[..., 1] = (features[..., 1] > 0.5).float()
    spread = spread_of(features)
    assert spread[1] == 0
    torch.testing.assert_close(spread[[0, 2]], features[..., [0, 2]].flatten(0, 1).std(0))


def test_it_learns_whom_to_believe(fitted):
    cases, _, kind = made_up_cases(seed=1)  # people that it was not fitted to
    quality, weight, _ = fitted(cases.features)
    quality = quality.sigmoid()
    for right in range(HYPOTHESES):
        assert (quality[kind == right].argmax(1) == right).all()
        assert quality[kind == right][:, right].min() > 0.9
    places = blend(cases.places, quality, weight, torch.ones(400, 19), torch.full((400,), TRUST))
    assert (places - cases.truth)[kind != LUCK].abs().max() < 0.1


@torch.no_grad()
@pytest.mark.parametrize("which", range(HYPOTHESES + 1), ids=["claim", "found", "agreed", "alone", "luck"])
def test_its_scores_are_frequencies(fitted, which):
    cases, right, kind = made_up_cases(seed=1)
    rows, score = kind == which, fitted(cases.features)[2].sigmoid()
    share = right[rows].float().mean().item()
    assert score[rows].mean().item() == pytest.approx(share, abs=0.1)
    assert score[rows].mean(0).numpy() == pytest.approx(share, abs=0.2)


def test_scores_may_be_fitted_alone(fitted):
    """Where joints are put stays as it is, and so does how likely the rest is right: half of MPII's joints are not."""
    decision, (cases, right, _) = deepcopy(fitted), made_up_cases(seed=1)
    features, truth = cases.features.clone(), cases.truth.clone()
    features[::2, :, THEIRS], features[1::2, :, THEIRS] = 1.0, 0.0
    truth[::4] += FAR  # of MPII's people every other one: nothing else tells
    cases = replace(cases, features=features, truth=truth)
    with torch.no_grad():
        decision.out.weight[-1], decision.out.bias[-1] = 0.0, -3.0
    before = decision(cases.features)
    fit_scores(decision, cases)
    after = decision(cases.features)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    score = after[2].sigmoid()
    for theirs, share in ((0, right[1::2].float().mean().item()), (1, right[2::4].float().mean().item() / 2)):
        assert score[1 - theirs :: 2].mean().item() == pytest.approx(share, abs=0.02), theirs


def test_what_is_not_labelled_teaches_nothing():
    cases, _, _ = made_up_cases()
    shown = torch.arange(400) % 2 == 0
    labelled = cases.labelled & shown[:, None]
    wrong = torch.where(shown[:, None, None, None], cases.places, 9.0)
    weights = []
    for places in (cases.places, wrong):
        torch.manual_seed(0)
        decision = Decision(19)
        fit(decision, replace(cases, places=places, labelled=labelled), steps=5)
        weights.append(decision.read.weight.detach().clone())
    assert torch.equal(*weights)


def test_scores_are_fitted_on_real_poses_alone():
    """Poses made from the truth are right here, real ones are wrong, and nothing tells them apart."""
    cases, _, _ = made_up_cases()
    half = torch.arange(400) % 2 == 0
    places = (cases.truth + FAR * half[:, None, None])[:, None].expand(-1, HYPOTHESES, -1, -1)
    same = replace(cases, features=torch.ones(400, 19, EVIDENCE), places=places, real=half)
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, same, steps=150)
    assert decision(same.features[:1])[2].sigmoid().max() < 0.1


def test_who_finds_a_joint_on_its_mirror_joint_is_wrong():
    """Nobody has a truth there: half are right where there is one; and only estimators' poses count."""
    cases, _, _ = made_up_cases()
    hidden = torch.arange(19) % 2 == 0
    same = replace(
        cases,
        features=torch.where(hidden[:, None], 0.0, torch.ones(400, 19, EVIDENCE)),
        places=cases.truth[:, None].expand(-1, HYPOTHESES, -1, -1),
        labelled=~hidden.expand(400, 19),
        doubled=hidden.expand(400, 19),
    )
    for real, expected in ((True, 0.1), (False, 1.0)):
        torch.manual_seed(0)
        decision = Decision(19)
        told = same if real else replace(same, real=torch.arange(400) % 2 == 0, doubled=torch.zeros(400, 19).bool())
        fit(decision, told, steps=100)
        score = decision(same.features[:1])[2].sigmoid()[0]
        assert score[~hidden].min() > 0.9
        assert score[hidden].max() < expected


def test_far_from_the_mirror_joint_a_hidden_joint_teaches_nothing():
    """It may be there, and nobody knows."""
    cases, _, _ = made_up_cases(40)
    doubled = ~cases.labelled
    away = torch.where(doubled[:, None, :, None], cases.places + 300, cases.places)
    weights = []
    for told in (replace(cases, places=away), replace(cases, places=away, doubled=doubled)):
        torch.manual_seed(0)
        decision = Decision(19)
        fit(decision, told, steps=5)
        weights.append(decision.read.weight.detach().clone())
    assert torch.equal(*weights)


def averaged(decision, cases, advance):
    """Where the joints are, if claims count so many logits more than in use."""
    quality, weight, _ = decision(cases.features)
    weight = torch.cat([weight[:, :1] + advance, weight[:, 1:]], 1)
    count = len(weight)
    return blend(cases.places, quality.sigmoid(), weight, torch.ones(count, 19), torch.full((count,), TRUST))


def test_it_learns_which_of_close_places_counts():
    """The claim errs by a unit, what was found by half a unit the other way, and the features do not tell."""
    cases, _, _ = made_up_cases()
    off = torch.tensor([[-10.0, 0.0], [5.0, 0.0], [5.0, 0.0], [5.0, 0.0]])[:, None]
    same = replace(cases, features=torch.ones(400, 19, EVIDENCE), places=cases.truth[:, None] + off)
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, same, steps=100)
    assert (averaged(decision, same, ADVANCE)[0, :, 0] - 90)[HIPS].abs().max() < 2


def test_a_right_joint_that_is_spoilt_counts_more_than_a_wrong_one_that_is_mended():
    """Half of the claims are right, half of what was found: the average of both would be as good as either."""
    cases, _, _ = made_up_cases()
    half, off = (torch.arange(400) % 2 == 0)[:, None, None], torch.tensor([8.0, 0.0])
    claimed, found = cases.truth + off * half, cases.truth + off * ~half
    same = replace(cases, features=torch.ones(400, 19, EVIDENCE), places=torch.stack([claimed, found, found, found], 1))
    torch.manual_seed(0)
    decision = Decision(19)
    fit(decision, same, steps=100)
    fitted, used = (torch.linalg.vector_norm(averaged(decision, same, a) - claimed, dim=-1) for a in (ADVANCE, 0))
    assert fitted.max() < 3  # of 8; 4 is the middle
    assert (used > fitted + 0.5).all()


def test_mirrored_cases_rename_joints():
    cases = made_up_cases(8)[0]
    turned = mirrored(cases)
    assert torch.equal(turned.features[:, 5], cases.features[:, 6])  # the shoulders
    assert torch.equal(turned.labelled[:, 0], cases.labelled[:, 0])  # the nose
    doubled = replace(cases, doubled=~cases.labelled)
    assert torch.equal(mirrored(doubled).doubled[:, 9], doubled.doubled[:, 10])  # the wrists
    torch.testing.assert_close(distance(turned, turned.places)[..., 6], distance(cases, cases.places)[..., 5])
    assert torch.equal(mirrored(turned).places, cases.places)


def test_distances_are_in_oks_units():
    cases, _, _ = made_up_cases()
    one = replace(cases, places=cases.truth[:, None] + torch.tensor([3.0, 4.0]), unit=torch.full((400, 19), 2.5))
    torch.testing.assert_close(distance(one, one.places), torch.full((400, 1, 19), 2.0))
    torch.testing.assert_close(distance(one, one.places[:, 0]), torch.full((400, 19), 2.0))


def test_join_cases():
    first, second = made_up_cases(32)[0], made_up_cases(60, seed=1)[0]
    both = join_cases([first, second])
    assert both.features.shape == (92, 19, EVIDENCE)
    assert torch.equal(both.labelled[32:], second.labelled)
    assert torch.equal(both.places[:32], first.places)
    assert both.real.shape == (92,)


@pytest.fixture(scope="module")
def loaded(data):
    return load_images(read_training_sets(data), 128)


def test_held_out_inputs_hold_every_estimators_own_and_the_truth(loaded):
    people, rows = loaded[1], np.arange(7)
    sets = held_out_inputs(people, rows, np.random.default_rng(0), 128)
    assert all(s.poses.shape == (len(s.rows), 19, 2) and s.others.shape == (len(s.rows), 3, 19, 2) for s in sets)
    assert all(len(s.rows) and not np.isnan(s.poses).all((1, 2)).any() for s in sets)
    assert not sets[-1].real
    alpha = without_neck(people.predicted[:, 0, :, :2])
    np.testing.assert_array_equal(sets[0].poses, alpha)
    np.testing.assert_array_equal(sets[0].others[1, 0], alpha[0])  # she stands beside him
    assert sets[1].rows.tolist() == [0, 2, 3, 4]  # those whom beta saw
    truths = [s for s in sets if np.array_equal(s.poses, people.keypoints, equal_nan=True)]
    beta, kept = people.predicted[[0, 2, 3, 4], 1], ~np.isnan(sets[2].poses[..., 0])
    np.testing.assert_array_equal(sets[2].poses[kept], beta[kept, :2])
    gone = ~np.isnan(beta[..., 0]) & ~kept
    assert gone.any()
    assert (np.where(gone, beta[..., 2], -np.inf).max(1) <= np.where(kept, beta[..., 2], np.inf).min(1)).all()
    assert [s.coarse for s in truths] == [*[1] * EXACT, 4]  # as they are, and far away
    assert not any(s.real for s in truths)
    np.testing.assert_array_equal(truths[0].others[1, 0], people.keypoints[0])


def test_held_out_inputs_are_shown_as_one_body(loaded):
    """That is what the network sees at inference, of the people nearby, too."""
    for given in held_out_inputs(loaded[1], np.arange(7), np.random.default_rng(0), 128):
        np.testing.assert_array_equal(given.shown, one_body(given.poses))
        np.testing.assert_array_equal(given.framed, in_frame(given.poses, given.shown))
        near = given.others.reshape(-1, 19, 2)
        np.testing.assert_array_equal(one_body(near), near)


def test_held_out_inputs_are_some_of_many(loaded, monkeypatch):
    monkeypatch.setattr(decision_module, "SOME", 3)
    sets = held_out_inputs(loaded[1], np.arange(7), np.random.default_rng(0), 128)
    assert {len(s.rows) for s in sets} <= {1, 2, 3}
    assert all((np.diff(s.rows) > 0).all() for s in sets)
    assert len({tuple(s.rows) for s in sets}) > 2


def test_an_estimator_that_saw_nobody_held_out_gives_no_inputs(loaded):
    people = loaded[1]
    blind = people.predicted.copy()
    blind[:, 1] = np.nan
    sets = held_out_inputs(replace(people, predicted=blind), np.arange(7), np.random.default_rng(0), 128)
    everybody = held_out_inputs(people, np.arange(7), np.random.default_rng(0), 128)
    assert all(len(s.rows) for s in sets)
    assert len(sets) < len(everybody)


def test_without_neck_takes_what_coco_lacks():
    poses = np.ones((2, 19, 2), np.float32)
    plain = without_neck(poses)
    np.testing.assert_array_equal(plain[:, :17], poses[:, :17])
    assert np.isnan(plain[:, 17:]).all()
    assert not np.isnan(poses).any()


def collected(loaded, poses, rows, *, others=None, coarse=1):
    """The cases with one and with two views."""
    others = np.full((len(rows), 3, 19, 2), np.nan, np.float32) if others is None else others
    given = first_shown(rows, poses, others, real=True, coarse=coarse)
    return collect(lively(tiny_model().network), *loaded, given)


def test_collect_measures_errors_in_oks_units(loaded):
    people, rows = loaded[1], np.array([0, 6])
    shift = np.array([3.0, -4.0], dtype=np.float32)
    for cases in collected(loaded, people.keypoints[rows] + shift, rows):
        labelled = ~np.isnan(people.keypoints[rows][..., 0])
        np.testing.assert_array_equal(cases.labelled, labelled)
        expected = np.exp(-25 / (2 * people.area[rows][:, None] * (2 * SIGMAS) ** 2)) * labelled
        claimed = near(distance(cases, cases.places[:, CLAIMED]))
        np.testing.assert_allclose(claimed * cases.labelled, expected, atol=1e-3)
        assert cases.features.shape == (2, 19, EVIDENCE)
        assert cases.features.isfinite().all()


def test_collect_gives_what_the_model_sees_with_each_number_of_views(loaded):
    people, rows = loaded[1], np.array([2])
    network, poses = lively(tiny_model().network), people.keypoints[[2]]
    matrices = crop_matrices(*crop_boxes(poses, (128, 128)))
    image = cut(loaded[0], people.image[rows], matrices)
    initial = torch.from_numpy(to_crop(poses, matrices))
    others, detail = torch.full((1, 3, 19, 2), torch.nan), torch.from_numpy(scales(matrices))
    prompt = Prompt(initial, others, initial, detail, torch.tensor([False]), torch.tensor([TRUST]))
    for views, cases in enumerate(collected(loaded, poses, rows), 1):
        with torch.inference_mode():
            evidence = look(network, image, prompt, views=views)
        torch.testing.assert_close(cases.features, evidence.features, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(cases.places, evidence.places, atol=1e-2, rtol=0)


def test_collect_of_exact_poses_finds_no_error(loaded):
    for cases in collected(loaded, loaded[1].keypoints[[2]], np.array([2])):
        assert near(distance(cases, cases.places[:, CLAIMED]))[cases.labelled].min() > 0.999


def test_collect_knows_where_a_hidden_joints_mirror_joint_is(loaded):
    people = replace(loaded[1], keypoints=loaded[1].keypoints.copy())
    left, right = NETWORK.joints.index("left_wrist"), NETWORK.joints.index("right_wrist")
    people.keypoints[0, left] = np.nan
    cases = collected((loaded[0], people), loaded[1].keypoints[[0]], np.array([0]))[0]
    assert cases.doubled[0].nonzero().flatten().tolist() == [left]
    assert not cases.labelled[0, left]
    torch.testing.assert_close(cases.truth[0, left], cases.truth[0, right])
    assert (cases.truth[0, 17:] == 0).all()  # COCO has no neck, and it has no mirror joint


def test_collect_of_people_far_away_tells_how_little_there_is_to_see(loaded):
    plain, coarse = (collected(loaded, loaded[1].keypoints[[0]], np.array([0]), coarse=c)[0] for c in (1, 4))
    detail = 33  # of the features
    assert (plain.features[..., detail] > -2 / 5).all()  # more than a quarter of the crop's pixels, of old
    torch.testing.assert_close(coarse.features[..., detail], torch.full((1, 19), -2 / 5), atol=1e-4, rtol=0)
    seen = slice(1, detail)
    assert not torch.allclose(plain.features[..., seen], coarse.features[..., seen], atol=1e-4)
    assert torch.equal(plain.truth, coarse.truth)


def test_a_closer_look_is_at_those_whose_pose_was_far_off(loaded):
    """What is agreed upon is shown instead, of the neighbours, too, and the crop is cut by it."""
    people, rows = loaded[1], np.array([0, 1, 4])
    poses = people.keypoints[rows]
    poses[1] += 200
    cases = collected(loaded, poses, rows)[0]
    places = cases.places[:, :1].repeat(1, HYPOTHESES, 1, 1)
    places[1, 1:] -= 200 * 256 / crop_boxes(poses[1:2], (128, 128))[1][0]
    given = Inputs(rows, poses, np.full((3, 3, 19, 2), np.nan, np.float32), True, poses, poses, 2)
    closer = look_closer(people, given, replace(cases, places=places), (128, 128))
    assert closer.rows.tolist() == [1]
    assert closer.coarse == 2
    np.testing.assert_array_equal(closer.poses, poses[1:2])
    there = ~np.isnan(poses[1])
    np.testing.assert_allclose(closer.shown[0][there], poses[1][there] - 200, atol=0.1)
    np.testing.assert_array_equal(closer.framed, closer.shown)
    assert closer.others.shape == (1, 3, 19, 2)
    np.testing.assert_allclose(closer.others[0, 0][~np.isnan(poses[0])], poses[0][~np.isnan(poses[0])], atol=0.1)
