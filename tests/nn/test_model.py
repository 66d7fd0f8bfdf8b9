"""What the decision sees, and what it decides."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from fakes.stickman import POSTURES, stickman, turned
from fakes.weights import lively, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, scales, to_crop, to_image, where_to_cut
from pose_refine.nn.encoding import decode, gaussian_maps, mirrored, network_inputs, pose_maps, probability_of
from pose_refine.nn.model import (
    DOUBT,
    EVIDENCE,
    GIVEN,
    HYPOTHESES,
    MARGINS,
    MOST_SHRUNK,
    MOST_VIEWS,
    TRUST,
    UNSEEN,
    Decision,
    Prompt,
    blend,
    combined,
    entropy,
    gather_evidence,
    heat_maps,
    look,
    margin,
)
from pose_refine.nn.network import meant
from pose_refine.skeletons import NETWORK

# Columns of the features, of the first of several.
PEAK, SUPPORT, FOUND_ALONE, ALONE_FOUND = 1, 4, 8, 11
DISTANCE, NEAR, NEAR_OTHERS = 16, 22, 25
TAKEN, KEPT, DETAIL, TWIN, WHOLE, WHOLE_PEAK, WHOLE_KEPT, VIEWS = 28, 32, 33, 34, 38, 44, 47, 48
CLAIMED, FOUND, AGREED, ALONE = range(HYPOTHESES)


def spread_pose(people=1):
    """Nineteen joints, far from each other and from the crop's edges."""
    x, y = torch.meshgrid(torch.linspace(20, 170, 4), torch.linspace(20, 235, 5), indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)[:19].repeat(people, 1, 1)


def nobody(people=1):
    return torch.full((people, 3, 19, 2), torch.nan)


USUAL = torch.tensor([TRUST])


def logits_of(poses):
    return 8 * gaussian_maps(poses, (64, 48), 4.0)


def prompt_of(initial, others=None, shown=None, *, detail=1.0, mpii=False, trust=float("nan")):
    count = len(initial)
    others = nobody(count) if others is None else others
    facts = (torch.full((count,), value) for value in (float(detail), mpii, trust))
    return Prompt(initial, others, initial if shown is None else shown, *facts)


def evidence_of(logits, initial, others=None, **more):
    """With heat maps that are the same with the pose, without it and on the mean."""
    return gather_evidence(logits.expand(3, *logits.shape), prompt_of(initial, others, **more), 1)


@pytest.fixture
def model():
    model = tiny_model()
    lively(model.network)
    return model


def test_evidence_of_a_claim_that_is_right():
    evidence = evidence_of(logits_of(spread_pose()), spread_pose())
    assert evidence.features.shape == (1, 19, EVIDENCE)
    assert (evidence.features[..., GIVEN] == 1).all()
    torch.testing.assert_close(evidence.places[:, FOUND], spread_pose(), atol=0.5, rtol=0)
    torch.testing.assert_close(evidence.features[..., SUPPORT], evidence.features[..., PEAK], atol=0.1, rtol=0)
    assert (evidence.features[..., NEAR] > 0.99).all()


def test_evidence_of_a_claim_that_is_wrong():
    claimed = spread_pose()
    claimed[0, 3] += torch.tensor([60.0, -50.0])
    features = evidence_of(logits_of(spread_pose()), claimed).features[0]
    others = torch.arange(19) != 3
    assert features[3, SUPPORT] < 0.05 < features[others, SUPPORT].min()
    assert features[3, DISTANCE] > 1 > features[others, DISTANCE].max()
    assert features[3, NEAR] < 0.01


def test_missing_joints_are_not_given_and_claim_what_was_found():
    initial = spread_pose(2)
    initial[0, [1, 7]] = torch.nan
    evidence = evidence_of(logits_of(spread_pose(2)), initial)
    missing = torch.isnan(initial[..., 0])
    assert torch.equal(evidence.features[..., GIVEN] == 0, missing)
    claimed, found, _, _ = evidence.places.unbind(1)
    assert torch.equal(claimed[missing], found[missing])
    assert torch.equal(claimed[~missing], initial[~missing])
    assert (evidence.features[missing][:, [SUPPORT, DISTANCE, NEAR, TAKEN, KEPT, TWIN]] == 0).all()


def test_evidence_tells_what_belongs_to_somebody_else():
    """The first neighbour stands where this person was found, the second where its left eye was claimed."""
    claimed = spread_pose() + 60
    others = torch.cat([spread_pose()[:, None], nobody()[:, :2]], 1)
    others[0, 0, 4] = torch.nan
    others[0, 1, 1] = claimed[0, 1]
    features = evidence_of(logits_of(spread_pose()), claimed, others).features[0]
    joints = torch.arange(19)
    assert (features[joints != 4, TAKEN + FOUND] > 0.99).all()
    assert features[4, TAKEN + FOUND] == 0
    assert features[1, TAKEN + CLAIMED] == 1
    assert features[joints != 1, TAKEN + CLAIMED].max() < 0.3
    alone = evidence_of(logits_of(spread_pose()), claimed).features[0]
    assert (alone[:, [TAKEN + FOUND, TAKEN + CLAIMED]] == 0).all()
    assert torch.equal(evidence_of(logits_of(spread_pose()), claimed, nobody()[:, :0]).features[0], alone)


@pytest.mark.parametrize("place", [1e6, -1e6, 3e4, torch.nan], ids=["far", "far before", "outside", "all missing"])
@pytest.mark.parametrize("contrast", [0, 1, 200], ids=["flat", "plain", "sharp"])
def test_features_are_finite(place, contrast):
    initial = torch.full((2, 19, 2), place)
    evidence = evidence_of(logits_of(spread_pose(2)) * contrast, initial, initial[:, None])
    assert evidence.features.shape == (2, 19, EVIDENCE)
    assert evidence.features.isfinite().all()
    assert evidence.places[:, FOUND:].isfinite().all()
    assert (evidence.features[..., SUPPORT] == 0).all()


def test_the_whole_pose_tells_how_good_its_estimator_is():
    """The mean nearness of the joints that were given, and only of them."""
    initial = spread_pose()
    initial[0, :9] = torch.nan
    initial[0, 9] += 100
    whole = evidence_of(logits_of(spread_pose()), initial).features[0, :, WHOLE]
    assert whole.tolist() == pytest.approx([0.9] * 19, abs=0.01)


def test_evidence_tells_how_far_the_pose_that_is_shown_is_from_the_initial_one():
    """That is 0 at the first look; later it tells what was made of each joint."""
    initial, shown = spread_pose(), spread_pose()
    initial[0, :9] = torch.nan
    assert evidence_of(logits_of(shown), initial).features[0, :, KEPT].tolist() == [0.0] * 9 + [1.0] * 10
    shown[0, 9] += 100
    features = evidence_of(logits_of(shown), initial, shown=shown).features[0]
    assert features[:, KEPT].tolist() == pytest.approx([0] * 10 + [1] * 9)
    assert features[:, WHOLE_KEPT].tolist() == pytest.approx([0.9] * 19)


def test_evidence_compares_what_is_found_with_the_pose_and_without():
    """On the mean the left eye is elsewhere, and without the pose the right ear, where somebody's is."""
    doubtful, alone = spread_pose(), spread_pose()
    doubtful[0, 1] += torch.tensor([40.0, 0.0])
    alone[0, 4] -= torch.tensor([0.0, 50.0])
    logits = torch.stack([logits_of(pose) for pose in (spread_pose(), doubtful, alone)])
    evidence = gather_evidence(logits, prompt_of(spread_pose(), torch.stack([doubtful, alone], 1)), 2)
    for place, pose in ((FOUND, spread_pose()), (AGREED, doubtful), (ALONE, alone)):
        torch.testing.assert_close(evidence.places[:, place], pose, atol=0.5, rtol=0)
    features = evidence.features[0]
    assert features[[1, 4], TAKEN + AGREED].tolist() == pytest.approx([1, 1], abs=0.01)
    assert features[[1, 4], TAKEN + ALONE].tolist() == pytest.approx([1, 1], abs=0.01)
    assert features[1, NEAR_OTHERS] < 0.01 < 0.99 < features[4, NEAR_OTHERS]  # found and agreed
    assert features[4, NEAR_OTHERS + 1] < 0.01 < 0.99 < features[1, NEAR_OTHERS + 1]  # found and alone
    assert features[4, [FOUND_ALONE, ALONE_FOUND]].max() < 0.01
    assert features[1, [FOUND_ALONE, ALONE_FOUND]].min() > 0.4
    assert features[:, WHOLE : WHOLE + 5].mean(0).tolist() == pytest.approx([1, *[18 / 19] * 4], abs=0.01)
    torch.testing.assert_close(features[:, WHOLE_PEAK], features[:, PEAK].mean().expand(19))


def test_evidence_tells_how_many_views_there_were():
    logits, prompt = logits_of(spread_pose(2)).expand(3, -1, -1, -1, -1), prompt_of(spread_pose(2))
    told = [gather_evidence(logits, prompt, views).features[..., VIEWS:] for views in range(1, MOST_VIEWS + 1)]
    for found, expected in zip(told, (0.0, 1.0), strict=True):
        assert torch.equal(found, torch.full((2, 19, 1), expected))


DETAILS = {1.0: 0, 3.0: 0, 0.5: -0.2, 0.25: -0.4, 2.0**-MOST_SHRUNK: -1, 1e-4: -1}


@pytest.mark.parametrize("detail", DETAILS)
def test_evidence_tells_how_much_of_a_person_can_be_seen(detail):
    """Image pixels a crop pixel, as a power of two: more than one shows no more."""
    features = evidence_of(logits_of(spread_pose()), spread_pose(), detail=detail).features
    torch.testing.assert_close(features[..., DETAIL], torch.full((1, 19), float(DETAILS[detail])))


def test_evidence_tells_of_two_joints_in_one_place():
    """Both knees are claimed where the left one is, and both ankles are found where the right one is."""
    index = NETWORK.joints.index
    claimed, truth = spread_pose(), spread_pose()
    claimed[0, index("right_knee")] = claimed[0, index("left_knee")]
    truth[0, index("left_ankle")] = truth[0, index("right_ankle")]
    features = evidence_of(logits_of(truth), claimed).features[0]
    for name in ("knee", "ankle"):
        which = [index(f"{side}_{name}") for side in ("left", "right")]
        expected = [1.0, 0.0, 0.0, 0.0] if name == "knee" else [0.0, 1.0, 1.0, 1.0]
        for joint in which:
            assert features[joint, TWIN : TWIN + 4].tolist() == pytest.approx(expected, abs=0.05)
    middle = [j for j, mirror in enumerate(NETWORK.mirror) if j == mirror]
    assert len(middle) == 3
    assert (features[middle, TWIN : TWIN + 4] == 0).all()  # each is its own mirror joint


@pytest.mark.parametrize("sharpness", [0.0, 0.1, 3.0, 200.0], ids=["uniform", "flat", "usual", "certain"])
def test_entropy_is_that_of_a_distribution(sharpness):
    logits = sharpness * torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) + 50
    expected = torch.distributions.Categorical(logits=logits.flatten(-2)).entropy()
    torch.testing.assert_close(entropy(logits, probability_of(logits)), expected, atol=1e-3, rtol=1e-4)


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


def test_where_a_prompt_says_no_trust_the_model_does():
    model = tiny_model()
    lively(model.network)
    crops, initial = torch.randint(0, 255, (2, 256, 192, 3), dtype=torch.uint8), 40 + 90 * torch.rand(2, 19, 2)
    expected = {t: model(crops, prompt_of(initial, trust=t))[0] for t in (0.0, TRUST)}
    assert not torch.equal(expected[0.0], expected[TRUST])
    for own in expected:
        model.trust = own
        assert torch.equal(model(crops, prompt_of(initial))[0], expected[own])


@pytest.mark.parametrize("name", BLENDS)
def test_blend(name):
    xs, *numbers, (low, high) = BLENDS[name]
    quality, weight = (torch.tensor([n], dtype=torch.float32)[..., None].expand(-1, -1, 19) for n in numbers)
    x, y = blend(places_of(*xs).expand(-1, -1, 19, -1), quality, weight, torch.ones(1, 19), USUAL)[0, 5]
    assert low - 1e-3 <= x <= high + 1e-3
    assert y == pytest.approx(100)


def crops_and_poses(people=2):
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (people, CROP_HEIGHT, CROP_WIDTH, 3), generator=generator, dtype=torch.uint8)
    initial = spread_pose(people)
    initial[0, 5] = torch.nan
    return crops, initial


def image_of(crops):
    return crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1


@pytest.mark.parametrize("size", [(256, 192), (192, 160)])
@torch.inference_mode()
def test_forward(size):
    crops, initial = crops_and_poses()
    keypoints, right, agreed = tiny_model(size=size)(crops, prompt_of(initial))
    assert keypoints.shape == agreed.shape == (2, 19, 2)
    assert right.shape == (2, 19)
    assert keypoints.isfinite().all()
    assert agreed.isfinite().all()
    assert ((right >= 0) & (right <= 1)).all()


@torch.inference_mode()
def test_forward_reads_colours_from_black_to_white(model):
    """Black is -1 and white 1."""
    seen = []
    context = model.network.context
    model.network.context = lambda image, *poses: (seen.append(image), context(image, *poses))[1]
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, CROP_HEIGHT, CROP_WIDTH, 3)
    model(levels, prompt_of(spread_pose(2)))
    assert seen[0].shape == (2, 3, CROP_HEIGHT, CROP_WIDTH)
    torch.testing.assert_close(seen[0].amax((1, 2, 3)), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(seen[0].amin((1, 2, 3)), torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("mpii", [False, True])
@torch.inference_mode()
def test_look_believes_and_doubts(model, mpii):
    """The same maps that the network gives for two beliefs; without mirror images, doubt counts as not knowing."""
    crops, initial = crops_and_poses()
    image, others = image_of(crops), initial.flip(0)[:, None]
    prompt = prompt_of(initial + 9, others, initial, mpii=mpii)
    evidence = look(model.network, image, prompt)
    pose8, pose4 = pose_maps(initial, others)
    beliefs = torch.tensor([[1.0], [DOUBT]])
    maps = model.network.answers(model.network.context(image, pose8, pose4), pose4, beliefs)
    believed, doubted = decode(meant(maps, prompt.mpii))[0]
    torch.testing.assert_close(evidence.places[:, FOUND], believed)
    torch.testing.assert_close(evidence.places[:, AGREED], doubted)
    torch.testing.assert_close(evidence.places[:, ALONE], doubted)
    given = ~torch.isnan(initial[..., 0])
    torch.testing.assert_close(evidence.places[:, CLAIMED][given], initial[given] + 9)
    assert not torch.equal(evidence.features[..., 1], evidence.features[..., 2])


@torch.inference_mode()
def test_what_is_found_alone_owes_nothing_to_the_claim(model):
    """Whatever is claimed and shown, it is in the same place; only the neighbours' poses count there."""
    crops, initial = crops_and_poses()
    image = image_of(crops)
    prompts = prompt_of(initial), prompt_of(initial + 40, shown=initial.flip(1)), prompt_of(initial, initial[:, None])
    one, other, crowd = (look(model.network, image, prompt, views=2).places for prompt in prompts)
    torch.testing.assert_close(one[:, ALONE], other[:, ALONE])
    assert not torch.allclose(one[:, FOUND], other[:, FOUND], atol=0.5)
    assert not torch.allclose(one[:, ALONE], crowd[:, ALONE], atol=0.5)
    nothing = torch.full_like(initial, torch.nan)
    inputs = network_inputs(image.flip(3), nothing, nothing[:, None], model.network.config.size)
    maps = meant(model.network.alone(*inputs), torch.zeros(len(image), dtype=torch.bool))
    torch.testing.assert_close(mirrored(decode(maps)[0]), one[:, ALONE], atol=0.05, rtol=0)


@torch.inference_mode()
def test_what_is_agreed_upon_is_the_mean_of_what_is_found_with_the_pose_and_without(model):
    crops, initial = crops_and_poses()
    prompt = prompt_of(initial, initial.flip(0)[:, None])
    posed, alone = heat_maps(model.network, image_of(crops), prompt, torch.float32, views=2, doubt=False)
    maps = combined([posed, alone])
    torch.testing.assert_close(maps, torch.stack([posed[0], (posed[0] + alone[0]) / 2, alone[0]]))
    with_doubt = heat_maps(model.network, image_of(crops), prompt, torch.float32, views=2, doubt=True)
    torch.testing.assert_close(combined(with_doubt), maps)


@torch.inference_mode()
def test_joints_are_those_of_who_asks(model):
    """For COCO and for MPII the faces are the same, and limbs have maps of their own."""
    crops, initial = crops_and_poses()
    as_coco, as_mpii = (look(model.network, image_of(crops), prompt_of(initial, mpii=m)).places for m in (False, True))
    assert torch.equal(as_coco[:, :, :5], as_mpii[:, :, :5])
    assert (as_coco[:, FOUND, 5:] - as_mpii[:, FOUND, 5:]).abs().amax(-1).min() > 0
    mixed = prompt_of(initial)._replace(mpii=torch.tensor([False, True]))
    both = look(model.network, image_of(crops), mixed).places
    torch.testing.assert_close(both, torch.stack([as_coco[0], as_mpii[1]]))


@torch.inference_mode()
@pytest.mark.parametrize("believed", range(HYPOTHESES), ids=["claimed", "found", "agreed", "alone"])
def test_the_decision_chooses_between_the_hypotheses(model, believed):
    crops, initial = crops_and_poses()
    model.views = 2
    # an untrained network finds what was claimed while it believes, and what it sees while it doubts
    model.network.prior.fill_(20.0)
    model.decision.out.weight.zero_()
    model.decision.out.bias.fill_(-20.0)
    model.decision.out.bias[believed] = 20.0
    model.decision.out.bias[HYPOTHESES:] = 0.0
    prompt = prompt_of(initial + 30, shown=initial)
    keypoints, right, _ = model(crops, prompt)
    places = look(model.network, image_of(crops), prompt, views=2).places
    far = (places - places[:, [believed]]).abs().amax((1, 3)) > 60
    assert far.any()
    torch.testing.assert_close(keypoints[far], places[:, believed][far], atol=8, rtol=0)
    torch.testing.assert_close(right, torch.full_like(right, 0.5))


DISTANCES = (2.0, 3.1, 6.0, 20.0)  # person sizes
NOISE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8).repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize(("detail", "stays"), [(UNSEEN, False), (UNSEEN - 1e-4, True)])
@torch.inference_mode()
def test_who_cannot_be_seen_is_left_alone(model, detail, stays):
    """A missing joint gets a place all the same."""
    crops, initial = crops_and_poses()
    given = initial.isfinite()
    keypoints, _, _ = model(crops, prompt_of(initial, detail=detail, trust=0.0))
    assert torch.equal(keypoints[given], initial[given]) == stays
    assert keypoints.isfinite().all()
    assert not given.all()


@settings(deadline=None, max_examples=6)
@given(
    st.sampled_from(["standing", "arms up", "legs apart"]), st.integers(0, 18), st.floats(0, 6.2), st.floats(60, 300),
    st.integers(1, MOST_VIEWS),
)  # fmt: skip
def test_right_joints_do_not_move_with_the_distance_of_a_wrong_claim(posture, wrong, direction, size, views):
    """Image pixels; the crop, what is shown, and what the decision sees of the claim, are the same for all."""
    poses = np.repeat(stickman(size, (320, 240), **POSTURES[posture])[None], len(DISTANCES), 0)
    away = turned(np.array([1.0, 0.0]), direction)
    poses[:, wrong] = poses[0].mean(0) + size * np.array(DISTANCES)[:, None] * away
    claimed, shown, matrices = where_to_cut(poses, NETWORK, NOISE.shape[:2])
    crops = torch.from_numpy(cut_crops(NOISE, matrices))
    initial, seen = (torch.from_numpy(to_crop(points, matrices)) for points in (claimed, shown))
    model = tiny_model()
    lively(model.network)
    model.views = views
    prompt = prompt_of(initial, shown=seen)._replace(detail=torch.from_numpy(scales(matrices)))
    with torch.inference_mode():
        keypoints, right, _ = model(crops, prompt)
    found = to_image(keypoints.numpy(), matrices)
    others = np.arange(19) != wrong
    assert np.abs(found - found[:1])[:, others].max() < 1
    torch.testing.assert_close(right[:, others], right[:1, others].expand(len(DISTANCES), -1), atol=1e-3, rtol=0)
