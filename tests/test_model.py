"""What the decision sees, and what it decides."""

import pytest
import torch

from pose_refine.crops import CROP_HEIGHT, CROP_WIDTH
from pose_refine.encoding import decode, gaussian_maps, mirrored, pose_maps, probability_of
from pose_refine.model import (
    DOUBT,
    EVIDENCE,
    GIVEN,
    HYPOTHESES,
    Decision,
    Model,
    blend,
    entropy,
    gather_evidence,
    look,
)
from pose_refine.network import NetworkConfig
from pose_refine.skeletons import NETWORK

_, PEAK, _, SUPPORT = range(4)  # columns of the features
DISTANCE, NEAR, FOUND_TAKEN, CLAIMED_TAKEN, DOUBTED_TAKEN, KEPT, WHOLE, WHOLE_KEPT = 9, 12, 15, 16, 17, 18, 19, 23
CLAIMED, FOUND, DOUBTED = range(HYPOTHESES)


def spread_pose(people=1):
    """Nineteen joints, far from each other and from the crop's edges."""
    x, y = torch.meshgrid(torch.linspace(20, 170, 4), torch.linspace(20, 235, 5), indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)[:19].repeat(people, 1, 1)


def nobody(people=1):
    return torch.full((people, 3, 19, 2), torch.nan)


def logits_of(poses):
    return 8 * gaussian_maps(poses, (64, 48), 4.0)


def evidence_of(logits, initial, others):
    """With heat maps that doubt does not change."""
    return gather_evidence(logits.expand(2, *logits.shape), initial, others, initial)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(NetworkConfig("lightning", width=8)).eval()


def test_evidence_of_a_claim_that_is_right():
    evidence = evidence_of(logits_of(spread_pose()), spread_pose(), nobody())
    assert evidence.features.shape == (1, 19, EVIDENCE)
    assert (evidence.features[..., GIVEN] == 1).all()
    torch.testing.assert_close(evidence.places[:, FOUND], spread_pose(), atol=0.5, rtol=0)
    torch.testing.assert_close(evidence.features[..., SUPPORT], evidence.features[..., PEAK], atol=0.1, rtol=0)
    assert (evidence.features[..., NEAR] > 0.99).all()


def test_evidence_of_a_claim_that_is_wrong():
    claimed = spread_pose()
    claimed[0, 3] += torch.tensor([60.0, -50.0])
    features = evidence_of(logits_of(spread_pose()), claimed, nobody()).features[0]
    others = torch.arange(19) != 3
    assert features[3, SUPPORT] < 0.05 < features[others, SUPPORT].min()
    assert features[3, DISTANCE] > 1 > features[others, DISTANCE].max()
    assert features[3, NEAR] < 0.01


def test_missing_joints_are_not_given_and_claim_what_was_found():
    initial = spread_pose(2)
    initial[0, [1, 7]] = torch.nan
    evidence = evidence_of(logits_of(spread_pose(2)), initial, nobody(2))
    missing = torch.isnan(initial[..., 0])
    assert torch.equal(evidence.features[..., GIVEN] == 0, missing)
    claimed, found, _ = evidence.places.unbind(1)
    assert torch.equal(claimed[missing], found[missing])
    assert torch.equal(claimed[~missing], initial[~missing])
    assert (evidence.features[missing][:, [SUPPORT, DISTANCE, NEAR]] == 0).all()


def test_evidence_tells_what_belongs_to_somebody_else():
    """The first neighbour stands where this person was found, the second where its left eye was claimed."""
    claimed = spread_pose() + 60
    others = torch.cat([spread_pose()[:, None], nobody()[:, :2]], 1)
    others[0, 0, 4] = torch.nan
    others[0, 1, 1] = claimed[0, 1]
    features = evidence_of(logits_of(spread_pose()), claimed, others).features[0]
    joints = torch.arange(19)
    assert (features[joints != 4, FOUND_TAKEN] > 0.99).all()
    assert features[4, FOUND_TAKEN] == 0
    assert features[1, CLAIMED_TAKEN] == 1
    assert features[joints != 1, CLAIMED_TAKEN].max() < 0.3
    alone = evidence_of(logits_of(spread_pose()), claimed, nobody()).features[0]
    assert (alone[:, [FOUND_TAKEN, CLAIMED_TAKEN]] == 0).all()
    assert torch.equal(evidence_of(logits_of(spread_pose()), claimed, nobody()[:, :0]).features[0], alone)


@pytest.mark.parametrize("place", [1e6, -1e6, 3e4, torch.nan], ids=["far", "far before", "outside", "all missing"])
@pytest.mark.parametrize("contrast", [0, 1, 200], ids=["flat", "plain", "sharp"])
def test_features_are_finite(place, contrast):
    initial = torch.full((2, 19, 2), place)
    evidence = evidence_of(logits_of(spread_pose(2)) * contrast, initial, initial[:, None])
    assert evidence.features.isfinite().all()
    assert evidence.places[:, FOUND:].isfinite().all()
    assert (evidence.features[..., SUPPORT] == 0).all()


def test_the_whole_pose_tells_how_good_its_estimator_is():
    """The mean nearness of the joints that were given, and only of them."""
    initial = spread_pose()
    initial[0, :9] = torch.nan
    initial[0, 9] += 100
    whole = evidence_of(logits_of(spread_pose()), initial, nobody()).features[0, :, WHOLE]
    assert whole.tolist() == pytest.approx([0.9] * 19, abs=0.01)


def test_evidence_tells_how_far_the_pose_that_is_shown_is_from_the_initial_one():
    """That is 0 at the first look; later it tells what was made of each joint."""
    initial, shown = spread_pose(), spread_pose()
    initial[0, :9] = torch.nan
    assert evidence_of(logits_of(shown), initial, nobody()).features[0, :, KEPT].tolist() == [0.0] * 9 + [1.0] * 10
    shown[0, 9] += 100
    features = gather_evidence(logits_of(shown).expand(2, -1, -1, -1, -1), initial, nobody(), shown).features[0]
    assert features[:, KEPT].tolist() == pytest.approx([0] * 10 + [1] * 9)
    assert features[:, WHOLE_KEPT].tolist() == pytest.approx([0.9] * 19)


def test_evidence_compares_believing_with_doubting():
    """In doubt the network finds the left eye elsewhere."""
    doubtful = spread_pose()
    doubtful[0, 1] += torch.tensor([40.0, 0.0])
    logits = torch.stack([logits_of(spread_pose()), logits_of(doubtful)])
    evidence = gather_evidence(logits, spread_pose(), doubtful[:, None], spread_pose())
    torch.testing.assert_close(evidence.places[:, FOUND], spread_pose(), atol=0.5, rtol=0)
    torch.testing.assert_close(evidence.places[:, DOUBTED], doubtful, atol=0.5, rtol=0)
    apart = torch.linalg.vector_norm(evidence.places[:, FOUND] - evidence.places[:, DOUBTED], dim=-1)[0]
    assert apart.argmax() == 1
    assert evidence.features[0, 1, DOUBTED_TAKEN] > 0.99 > 0.01 > evidence.features[0, 1, FOUND_TAKEN]


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
    "far apart: the best alone": ((20, 150, 60), (0.5, 0.9, 0.8), (1, 1, 1), (150, 150)),
    "far apart, whatever the others' weights": ((20, 150, 60), (0.5, 0.9, 0.8), (9, 0, 9), (149.9, 150)),
    "the same place": ((80, 80, 80), (0.1, 0.9, 0.5), (0, 1, 2), (80, 80)),
    "close together: between, the best counts a little more": ((80, 82, 81), (0.3, 0.9, 0.3), (0, 0, 0), (81.0, 81.1)),
    "close together: by weight": ((80, 82, 81), (0.3, 0.9, 0.3), (3, 0, 0), (80.1, 80.2)),
    "two close, one far": ((80, 81, 180), (0.8, 0.8, 0.7), (0, 0, 9), (80.4, 80.5)),
}


@pytest.mark.parametrize(("given", "expected"), [(1.0, 20), (0.0, 150)], ids=["claimed", "missing"])
def test_blend_moves_a_claimed_joint_far_only_for_a_clear_gain(given, expected):
    places, quality = places_of(20, 150, 150).expand(-1, -1, 19, -1), torch.tensor([0.8, 0.83, 0.8])
    weight = torch.zeros(1, HYPOTHESES, 19)
    x, _ = blend(places, quality[None, :, None].expand(-1, -1, 19), weight, torch.full((1, 19), given))[0, 5]
    assert x == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("name", BLENDS)
def test_blend(name):
    xs, *numbers, (low, high) = BLENDS[name]
    quality, weight = (torch.tensor([n], dtype=torch.float32)[..., None].expand(-1, -1, 19) for n in numbers)
    x, y = blend(places_of(*xs).expand(-1, -1, 19, -1), quality, weight, torch.ones(1, 19))[0, 5]
    assert low - 1e-3 <= x <= high + 1e-3
    assert y == pytest.approx(100)


def crops_and_poses(people=2):
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (people, CROP_HEIGHT, CROP_WIDTH, 3), generator=generator, dtype=torch.uint8)
    initial = spread_pose(people)
    initial[0, 5] = torch.nan
    return crops, initial


@pytest.mark.parametrize("size", [(256, 192), (192, 160)])
@torch.inference_mode()
def test_forward(size):
    model = Model(NetworkConfig("lightning", width=8, size=size)).eval()
    crops, initial = crops_and_poses()
    keypoints, right = model(crops, initial, nobody(2), initial)
    assert keypoints.shape == (2, 19, 2)
    assert right.shape == (2, 19)
    assert keypoints.isfinite().all()
    assert ((right >= 0) & (right <= 1)).all()


@torch.inference_mode()
def test_forward_reads_colours_as_movenet_does(model):
    """Black is -1 and white 1."""
    seen = []
    hook = model.network.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, CROP_HEIGHT, CROP_WIDTH, 3)
    model(levels, spread_pose(2), nobody(2), spread_pose(2))
    hook.remove()
    assert seen[0].shape == (2, 3, CROP_HEIGHT, CROP_WIDTH)
    torch.testing.assert_close(seen[0].amax((1, 2, 3)), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(seen[0].amin((1, 2, 3)), torch.tensor([-1.0, 1.0]))


@torch.inference_mode()
def test_look_believes_and_doubts(model):
    """As two runs of the network, of which the second is shown fainter fine maps."""
    crops, initial = crops_and_poses()
    image = crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1
    evidence = look(model.network, image, initial, initial.flip(0)[:, None], initial)
    pose8, pose4 = pose_maps(initial, initial.flip(0)[:, None])
    faint = torch.cat([DOUBT * pose4[:, :19], pose4[:, 19:]], 1)
    for place, maps in ((FOUND, pose4), (DOUBTED, faint)):
        torch.testing.assert_close(evidence.places[:, place], decode(model.network(image, pose8, maps))[0])
    assert not torch.equal(evidence.features[..., 1], evidence.features[..., 2])


@torch.inference_mode()
def test_with_flip_it_does_not_matter_which_way_round_it_looks(model):
    """And without it does."""
    crops, initial = crops_and_poses()
    image, others = crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1, initial.flip(0)[:, None] + 20
    for flip in (True, False):
        plain = look(model.network, image, initial, others, initial, flip=flip)
        pose = mirrored(initial)
        turned = look(model.network, image.flip(3), pose, mirrored(others), pose, flip=flip)
        assert torch.allclose(mirrored(turned.places), plain.places, atol=0.05, equal_nan=True) == flip
        assert torch.allclose(turned.features[:, NETWORK.mirror], plain.features, atol=1e-3) == flip


@torch.inference_mode()
@pytest.mark.parametrize("believed", [CLAIMED, FOUND, DOUBTED], ids=["claimed", "found", "doubted"])
def test_the_decision_chooses_between_the_hypotheses(model, believed):
    crops, initial = crops_and_poses()
    # an untrained network finds what was claimed while it believes, and what it sees while it doubts
    model.network.prior.fill_(0.05)
    model.decision.out.weight.zero_()
    model.decision.out.bias.fill_(-20.0)
    model.decision.out.bias[believed] = 20.0
    model.decision.out.bias[HYPOTHESES:] = 0.0
    keypoints, right = model(crops, initial, nobody(2), initial)
    image = crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1
    places = look(model.network, image, initial, nobody(2), initial).places
    far = (places - places[:, [believed]]).abs().amax((1, 3)) > 60
    assert far.any()
    torch.testing.assert_close(keypoints[far], places[:, believed][far], atol=8, rtol=0)
    torch.testing.assert_close(right, torch.full_like(right, 0.5))
