"""What the decision sees."""

import pytest
import torch
from fakes.prompts import crops_and_poses, image_of, logits_of, nobody, prompt_of, spread_pose

from pose_refine.nn.encoding import DOUBT, decode, mirrored, network_inputs, pose_maps, probability_of
from pose_refine.nn.evidence import (
    EVIDENCE,
    GIVEN,
    HYPOTHESES,
    MOST_SHRUNK,
    MOST_VIEWS,
    combined,
    entropy,
    gather_evidence,
    heat_maps,
    look,
)
from pose_refine.nn.network import meant
from pose_refine.skeletons import NETWORK

# Columns of the features, of the first of several.
PEAK, SUPPORT, FOUND_ALONE, ALONE_FOUND = 1, 4, 8, 11
DISTANCE, NEAR, NEAR_OTHERS = 16, 22, 25
TAKEN, KEPT, DETAIL, TWIN, WHOLE, WHOLE_PEAK, WHOLE_KEPT, VIEWS, MPII = 28, 32, 33, 34, 38, 44, 47, 48, 49
CLAIMED, FOUND, AGREED, ALONE = range(HYPOTHESES)


def evidence_of(logits, initial, others=None, **more):
    """With heat maps that are the same with the pose, without it and on the mean."""
    return gather_evidence(logits.expand(3, *logits.shape), prompt_of(initial, others, **more), 1)


def test_evidence_of_a_claim_that_is_right():
    evidence = evidence_of(logits_of(spread_pose()), spread_pose())
    assert evidence.features.shape == (1, 19, EVIDENCE)
    assert (evidence.features[..., GIVEN] == 1).all()
    torch.testing.assert_close(evidence.places[:, FOUND], spread_pose(), atol=0.5, rtol=0)
    torch.testing.assert_close(evidence.features[..., SUPPORT], evidence.features[..., PEAK], atol=0.1, rtol=0)
    assert (evidence.features[..., NEAR] > 0.99).all()


def test_evidence_tells_whose_labels_are_meant():
    """Nothing else in it depends on that."""
    logits, initial = logits_of(spread_pose(2)), spread_pose(2)
    prompt = prompt_of(initial)._replace(mpii=torch.tensor([False, True]))
    as_coco = evidence_of(logits, initial).features
    mixed = gather_evidence(logits.expand(3, *logits.shape), prompt, 1).features
    assert mixed[..., MPII].tolist() == [[0.0] * 19, [1.0] * 19]
    assert torch.equal(mixed[..., :MPII], as_coco[..., :MPII])


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
    told = [gather_evidence(logits, prompt, views).features[..., VIEWS] for views in range(1, MOST_VIEWS + 1)]
    for found, expected in zip(told, (0.0, 1.0), strict=True):
        assert torch.equal(found, torch.full((2, 19), expected))


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
