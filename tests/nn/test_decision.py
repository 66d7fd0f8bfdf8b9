"""Whom the decision believes, and how far."""

from itertools import pairwise

import pytest
import torch

from pose_refine.nn.decision import MARGINS, TRUST, Decision, blend, margin
from pose_refine.nn.evidence import (
    EVIDENCE,
    HYPOTHESES,
    THEIRS,
)

USUAL = torch.tensor([TRUST])


def test_decision_gives_logits_of_each_hypothesis_and_of_being_right():
    torch.manual_seed(0)
    features = torch.randn(50, 19, EVIDENCE) * 100
    quality, weight, right = Decision(19)(features)
    assert quality.shape == weight.shape == (50, HYPOTHESES, 19)
    assert right.shape == (50, 19)
    for logit in (quality, weight, right):
        assert logit.isfinite().all()
        assert logit.min() < 0 < logit.max()


def test_the_decision_knows_which_joint_it_is():
    torch.manual_seed(0)
    quality, weight, right = Decision(19)(torch.zeros(1, 19, EVIDENCE))
    assert all(len(set(logits.tolist())) == 19 for logits in (*quality[0], *weight[0], right[0]))


def places_of(*xs):
    """Hypotheses (1, HYPOTHESES, 1, 2) on one line."""
    return torch.tensor([[[[float(x), 100.0]] for x in xs]])


BLENDS = {  # places, quality, weight, expected x
    "far apart: the best alone": ((20, 150, 60, 280), (0.5, 0.9, 0.8, 0.7), (1, 1, 1, 1), (150, 150)),
    "far apart, the last is best": ((20, 150, 60, 280), (0.3, 0.2, 0.3, 0.8), (1, 1, 1, 1), (280, 280)),
    "far apart, whatever the others' weights": ((20, 150, 60, 20), (0.5, 0.9, 0.8, 0.4), (9, 0, 9, 9), (149.9, 150)),
    "the same place": ((80, 80, 80, 80), (0.1, 0.9, 0.5, 0.2), (0, 1, 2, 3), (80, 80)),
    "close together: between, the best counts a little more": (
        (80, 82, 81, 81), (0.3, 0.9, 0.3, 0.3), (0, 0, 0, 0), (81.0, 81.1),
    ),
    "close together: by weight": ((80, 82, 81, 82), (0.3, 0.9, 0.3, 0.3), (3, 0, 0, 0), (80.1, 80.3)),
    "two close, two far": ((80, 81, 180, 200), (0.8, 0.8, 0.7, 0.7), (0, 0, 9, 9), (80.4, 80.51)),
}  # fmt: skip


def test_whose_labels_are_meant_moves_scores_alone():
    torch.manual_seed(0)
    decision, features = Decision(19).eval(), torch.rand(2, 19, EVIDENCE)
    torch.nn.init.normal_(decision.theirs)
    told = []
    for theirs in (0.0, 1.0):
        features[..., THEIRS] = theirs
        told.append(decision(features))
    (quality, weight, right), (as_mpii, weight_as_mpii, right_as_mpii) = told
    assert torch.equal(quality, as_mpii)
    assert torch.equal(weight, weight_as_mpii)
    torch.testing.assert_close(right_as_mpii, right + decision.theirs)


@pytest.mark.parametrize(("given", "expected"), [(1.0, 20), (0.0, 150)], ids=["claimed", "missing"])
def test_blend_moves_a_claimed_joint_far_only_for_a_clear_gain(given, expected):
    places, quality = places_of(20, 150, 150, 150).expand(-1, -1, 19, -1), torch.tensor([0.8, 0.83, 0.8, 0.8])
    weight = torch.zeros(1, HYPOTHESES, 19)
    x, _ = blend(places, quality[None, :, None].expand(-1, -1, 19), weight, torch.full((1, 19), given), USUAL)[0, 5]
    assert x == pytest.approx(expected, abs=0.1)


TRUSTS = {
    "not at all: what is found, though the claim seems better": (0.0, (0.9, 0.6, 0.5, 0.5), 150),
    "not at all: the best of what is found, not the farthest": (0.0, (0.9, 0.6, 0.3, 0.3), 40),
    "not at all, and what is found is near: the claim does not count": (0.0, (0.9, 0.6, 0.1, 0.1), 24),
    "a quarter: the better one": (0.25, (0.8, 0.83, 0.7, 0.7), 150),
    "half: only for a clear gain": (0.5, (0.8, 0.83, 0.7, 0.7), 20),
    "half, and a clear gain": (0.5, (0.6, 0.83, 0.7, 0.7), 150),
    "wholly: hardly anything proves a claim wrong": (1.0, (0.2, 0.9, 0.9, 0.9), 20),
    "wholly, and it is proven": (1.0, (0.05, 0.95, 0.9, 0.9), 150),
}


@pytest.mark.parametrize("name", TRUSTS)
def test_trust(name):
    """The best is found at one place, the rest there or farther; the claim is somewhere else."""
    trust, quality, expected = TRUSTS[name]
    found = 150 if expected == 20 else expected
    places = places_of(20, found, max(found, 150), max(found, 150)).expand(-1, -1, 19, -1)
    quality = torch.tensor([quality])[..., None].expand(-1, -1, 19)
    x, _ = blend(places, quality, torch.zeros(1, HYPOTHESES, 19), torch.ones(1, 19), torch.tensor([trust]))[0, 5]
    assert x == pytest.approx(expected, abs=0.1)


def test_the_more_a_claim_is_trusted_the_less_it_is_moved():
    torch.manual_seed(0)
    quality, weight = torch.rand(40, HYPOTHESES, 19), torch.randn(40, HYPOTHESES, 19)
    places = 100 + 60 * torch.rand(40, HYPOTHESES, 19, 2)
    moved = [
        torch.linalg.vector_norm(
            blend(places, quality, weight, torch.ones(40, 19), torch.full((40,), t)) - places[:, 0], dim=-1
        ).mean()
        for t in torch.linspace(0, 1, 9).tolist()
    ]
    assert all(more >= less for more, less in pairwise(moved))
    assert moved[0] > 4 * moved[-1]


@pytest.mark.parametrize(("trust", "expected"), [(t, m) for t, m in MARGINS.items()] + [(0.125, -0.5), (0.75, 0.5)])
def test_margins_lie_on_lines(trust, expected):
    assert margin(torch.tensor([trust])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", BLENDS)
def test_blend(name):
    xs, *numbers, (low, high) = BLENDS[name]
    quality, weight = (torch.tensor([n], dtype=torch.float32)[..., None].expand(-1, -1, 19) for n in numbers)
    x, y = blend(places_of(*xs).expand(-1, -1, 19, -1), quality, weight, torch.ones(1, 19), USUAL)[0, 5]
    assert low - 1e-3 <= x <= high + 1e-3
    assert y == pytest.approx(100)
