"""The decision learns one estimator's errors, and what is said of that is of people whom it has not seen."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.stickman import stickman

from pose_refine.crops.bodies import one_body
from pose_refine.metrics.oks import oks_recall
from pose_refine.nn.decision import TRUST, Decision
from pose_refine.nn.evidence import EVIDENCE, HYPOTHESES
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training import decision as decision_module
from pose_refine.training import fitting
from pose_refine.training.data import People
from pose_refine.training.decision import Cases, first_shown
from pose_refine.training.fitting import Figures, Looks, beside, best_choice, figures, folds_of, own_inputs

PEOPLE, SIDE = 48, 200
IMAGE = np.arange(PEOPLE) // 2
WRIST, OTHER = NETWORK.joints.index("left_wrist"), NETWORK.joints.index("right_wrist")
UNIT = 10.0  # crop pixels
KNOWN = np.ones(19, bool)


def cautious():
    """A decision that believes every claim, and says nothing of being right."""
    torch.manual_seed(0)
    decision = Decision(19).eval()
    with torch.no_grad():
        decision.out.weight.mul_(0.01)
        decision.out.bias.copy_(torch.tensor([4.0, -1, -1, -1, 2, 0, 0, 0, 0]))
    return decision.requires_grad_(False)


def looks_at(wrong, people=PEOPLE, off=80.0):
    """People whose joints `wrong` (K,) are claimed far from where they are; found are all, but a little less well."""
    generator = torch.Generator().manual_seed(1)
    truth = 100 + 5 * torch.rand(people, 19, 2, generator=generator)
    places = truth[:, None] + torch.tensor([4.0, 0.0])[None, None, None]
    places = places.repeat(1, HYPOTHESES, 1, 1)
    places[:, 0] = truth + off * torch.as_tensor(wrong)[:, None] * torch.tensor([0.0, 1.0])
    features = 0.1 * torch.rand(people, 19, EVIDENCE, generator=generator)
    features[..., 0] = 1
    all_of = torch.ones(people, 19).bool()
    cases = Cases(features, places, truth, torch.full((people, 19), UNIT), all_of, ~all_of, torch.ones(people).bool())
    return Looks(np.arange(people), [cases] * 2, np.empty(0, int), [])


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "STEPS", 60)
        patch.setattr(fitting, "EVERY", 20)
        patch.setattr(fitting, "RATE", 1e-2)
        patch.setattr(decision_module, "BATCH", 48)
        yield


WRONG = np.isin(np.arange(19), [WRIST, OTHER])


@pytest.fixture(scope="module")
def learnt(quick):
    """What began, as it was and as it is, and what was fitted to an estimator whose wrists are wrong."""
    general = cautious()
    before = deepcopy(general.state_dict())
    return before, general, fitting.fit_to(general, [looks_at(WRONG)], IMAGE, KNOWN, 2)


def test_it_learns_a_joint_that_is_always_wrong(learnt):
    found = learnt[2]
    assert found.steps in (20, 40, 60)
    assert found.before.people == PEOPLE
    assert found.general.recall == pytest.approx(found.before.recall)
    assert found.fitted.recall > found.general.recall + 2
    assert found.fitted.harm <= found.general.harm
    assert found.fitted.help > 50
    assert found.better


def test_the_general_decision_is_not_changed(learnt):
    before, general, found = learnt
    assert all(torch.equal(before[name], value) for name, value in general.state_dict().items())
    assert found.decision is not general
    assert not any(parameter.requires_grad for parameter in found.decision.parameters())


def test_scores_are_frequencies(learnt):
    found = learnt[2]
    similar, logits = fitting.judged(found.decision, looks_at(WRONG), 2, found.trust)
    assert torch.sigmoid(logits).mean().item() == pytest.approx((similar >= 0.85).float().mean().item(), abs=0.1)


def test_where_all_is_right_nothing_is_better(quick, monkeypatch):
    monkeypatch.setattr(fitting, "STEPS", 20)
    found = fitting.fit_to(cautious(), [looks_at(np.zeros(19, bool))], IMAGE, KNOWN, 2)
    assert found.before.recall == 100
    assert not found.better


def test_people_of_a_held_out_image_are_never_fitted_on(monkeypatch):
    """Each person is told by its first feature."""
    monkeypatch.setattr(fitting, "STEPS", 0)
    fitted_on, watched = [], []
    monkeypatch.setattr(fitting, "fit", lambda _, cases, **options: fitted_on.append(cases.features[:, 0, 1]))
    loss = fitting.loss_of

    def watch(decision, cases):
        watched.append(cases.features[: len(cases.features) // 2, 0, 1])
        return loss(decision, cases)

    monkeypatch.setattr(fitting, "loss_of", watch)
    looks = looks_at(np.zeros(19, bool))
    looks.first[0].features[:, :, 1] = torch.arange(PEOPLE)[:, None].float()
    looks = replace(looks, who=np.arange(PEOPLE), again=looks.first)  # and everybody a second time
    fitting.fit_to(cautious(), [looks, looks], IMAGE, KNOWN, 1)
    assert len(fitted_on) == len(watched) == fitting.FOLDS
    for on, held in zip(fitted_on, watched, strict=True):
        inside, outside = ({int(IMAGE[int(p)]) for p in people} for people in (on, held))
        assert len(on) + len(held) == PEOPLE * 8  # two looks, two kinds, one view and two
        assert inside | outside == set(IMAGE)
        assert not inside & outside
    assert sorted(int(p) for held in watched for p in held.unique()) == list(range(PEOPLE))


def test_folds_keep_images_together_and_are_equally_large():
    fold = folds_of(np.repeat([7, 3, 9, 1, 5, 2], 3), np.random.default_rng(0))
    assert (fold.reshape(6, 3) == fold[::3, None]).all()
    assert np.bincount(fold).tolist() == [6, 6, 6]


def of(recall, harm):
    return Figures(9, recall, 0, harm, 0)


CHOICES = {
    "the highest recall": ({0.2: of(60, 1.1), 0.5: of(58, 1)}, 0.2),
    "but no more harm": ({0.2: of(60, 1.3), 0.5: of(58, 1)}, 0.5),
    "or else the least": ({0.2: of(60, 1.9), 0.5: of(58, 1.4), 0.7: of(50, 1.5)}, 0.5),
}


@pytest.mark.parametrize("name", CHOICES)
def test_best_choice(name):
    found, expected = CHOICES[name]
    assert best_choice(found, of(50, 1)) == expected


def test_figures_are_those_of_the_metrics():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 300, (40, 19, 2))
    poses, area = truth + rng.normal(0, 12, truth.shape), np.full(40, 9000.0)
    truth[rng.random((40, 19)) < 0.3] = np.nan
    joints = np.arange(19) < 17
    similar = np.nan_to_num(np.exp(-((poses - truth) ** 2).sum(-1) / (2 * area[:, None] * (2 * SIGMAS) ** 2)))
    counted = ~np.isnan(truth[..., 0]) & joints
    found = figures(similar, similar, counted)
    assert found.recall == pytest.approx(oks_recall(poses, truth, area, joints))
    assert (found.people, found.harm, found.help) == (40, 0, 0)
    turned = figures(similar, 1 - similar, counted)
    right, wrong = (similar >= 0.85)[counted], (similar < 0.5)[counted]
    assert turned.harm == pytest.approx(100)  # what was right by .85 is at most .15
    assert turned.help == pytest.approx(100 * ((1 - similar)[counted][wrong] >= 0.85).mean())
    assert right.any()


def test_stretch_is_a_logistic_regression():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20000)
    right = rng.random(20000) < 1 / (1 + np.exp(-(0.5 * logits + 1)))
    assert fitting.stretch(logits, right) == pytest.approx((0.5, 1), abs=0.05)
    assert fitting.stretch(logits, np.ones(20000, bool)) == (1, 0)
    decision, features = cautious(), torch.rand(2, 19, EVIDENCE)
    quality, weight, plain = decision(features)
    fitting.stretch_scores(decision, 0.5, 1)
    torch.testing.assert_close(decision(features)[2], 0.5 * plain + 1)
    torch.testing.assert_close(decision(features)[0], quality)
    torch.testing.assert_close(decision(features)[1], weight)


@pytest.fixture
def drawn():
    """Three people in an image, the second of whom nobody labelled, and one alone."""
    centres = np.array([[40, 100], [90, 100], [160, 100], [100, 100]])
    truth = np.stack([stickman(120, centre) for centre in centres])
    predicted = np.concatenate([truth + 2, np.random.default_rng(0).random((4, 19, 1))], -1).astype(np.float32)
    truth[1] = np.nan
    return People(
        truth, np.full(4, 4000, np.float32), np.array([0, 0, 0, 1]), [], predicted[:, None], ["own"],
        np.ones(4, np.float32), np.zeros(4, bool),
    )  # fmt: skip


def test_neighbours_are_in_the_same_image_and_need_no_label(drawn):
    poses = drawn.predicted[:, 0, :, :2]
    near = beside(poses, poses, drawn.image, np.array([0, 3]))
    assert near.shape == (2, 3, 19, 2)
    found = [tuple(p[0]) for p in near[0] if not np.isnan(p).all()]
    assert sorted(found) == sorted(tuple(p[0]) for p in poses[1:3])
    assert np.isnan(near[1]).all()


def test_inputs_are_the_estimators_own_unsure_and_scattered(drawn):
    rows, given = np.array([0, 2, 3]), drawn.predicted[[0, 2, 3], 0, :, :2]
    plain, sure, scattered = own_inputs(drawn, rows, SIDE, np.random.default_rng(0))
    np.testing.assert_array_equal(plain.poses, given)
    np.testing.assert_array_equal(plain.shown, one_body(given))
    gone = np.isnan(sure.poses[..., 0])
    assert gone.any()
    np.testing.assert_array_equal(sure.poses[~gone], given[~gone])
    moved = (scattered.poses != given).any(-1)
    assert 1 <= moved.sum() < 19
    assert all(inputs.real for inputs in (plain, sure, scattered))


def test_people_far_off_are_looked_at_again_where_they_were_found(drawn):
    """A collector that claims to have found everybody 60 crop pixels beside. It matters nothing what is decided."""
    asked = []

    def collect(inputs):
        asked.append(inputs)
        cases = looks_at(np.zeros(19, bool), len(inputs.rows)).first[0]
        places = cases.places.clone()
        places[:, 1:] = places[:, :1] + torch.tensor([60.0, 0.0])
        return [replace(cases, places=places)] * 2

    rows, given = np.array([0, 2]), drawn.predicted[[0, 2], 0, :, :2]
    inputs = first_shown(rows, given, beside(given, given, drawn.image[rows], np.array([0, 1])), real=True)
    looks = fitting.look(drawn, inputs, collect, 2, (SIDE, SIDE))
    assert looks.who.tolist() == [0, 1]
    np.testing.assert_array_equal(asked[1].poses, given)
    assert not np.allclose(asked[1].shown, given)
    assert len(looks.again) == 2
    similar, _ = fitting.judged(cautious(), looks, 2, TRUST)
    assert similar.shape == (2, 19)
