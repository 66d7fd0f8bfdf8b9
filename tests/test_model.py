"""What the decision sees, and what it decides."""

import pytest
import torch

from pose_refine.crops import CROP_HEIGHT, CROP_WIDTH
from pose_refine.encoding import decode, gaussian_maps, pose_maps
from pose_refine.model import EVIDENCE, Decision, Model, gather_evidence
from pose_refine.network import NetworkConfig

GIVEN, PEAK, SUPPORT, DISTANCE, NEAR = range(5)
FOUND_TAKEN, CLAIMED_TAKEN = 8, 9


def spread_pose(people=1):
    """Nineteen joints, far from each other and from the crop's edges."""
    x, y = torch.meshgrid(torch.linspace(20, 170, 4), torch.linspace(20, 235, 5), indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)[:19].repeat(people, 1, 1)


def nobody(people=1):
    return torch.full((people, 3, 19, 2), torch.nan)


def logits_of(poses):
    return 8 * gaussian_maps(poses, 4, 4.0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(NetworkConfig("lightning", width=8)).eval()


def test_evidence_of_a_claim_that_is_right():
    evidence = gather_evidence(logits_of(spread_pose()), spread_pose(), nobody())
    assert evidence.features.shape == (1, 19, EVIDENCE)
    assert (evidence.features[..., GIVEN] == 1).all()
    torch.testing.assert_close(evidence.found, spread_pose(), atol=0.5, rtol=0)
    torch.testing.assert_close(evidence.features[..., SUPPORT], evidence.features[..., PEAK], atol=0.1, rtol=0)
    assert (evidence.features[..., NEAR] > 0.99).all()


def test_evidence_of_a_claim_that_is_wrong():
    claimed = spread_pose()
    claimed[0, 3] += torch.tensor([60.0, -50.0])
    features = gather_evidence(logits_of(spread_pose()), claimed, nobody()).features[0]
    others = torch.arange(19) != 3
    assert features[3, SUPPORT] < 0.05 < features[others, SUPPORT].min()
    assert features[3, DISTANCE] > 1 > features[others, DISTANCE].max()
    assert features[3, NEAR] < 0.01


def test_missing_joints_are_not_given_and_claim_what_was_found():
    initial = spread_pose(2)
    initial[0, [1, 7]] = torch.nan
    evidence = gather_evidence(logits_of(spread_pose(2)), initial, nobody(2))
    missing = torch.isnan(initial[..., 0])
    assert torch.equal(evidence.features[..., GIVEN] == 0, missing)
    assert torch.equal(evidence.claimed[missing], evidence.found[missing])
    assert torch.equal(evidence.claimed[~missing], initial[~missing])
    assert (evidence.features[missing][:, [SUPPORT, DISTANCE, NEAR]] == 0).all()


def test_evidence_tells_what_belongs_to_somebody_else():
    """The first neighbour stands where this person was found, the second where its left eye was claimed."""
    claimed = spread_pose() + 60
    others = torch.cat([spread_pose()[:, None], nobody()[:, :2]], 1)
    others[0, 0, 4] = torch.nan
    others[0, 1, 1] = claimed[0, 1]
    features = gather_evidence(logits_of(spread_pose()), claimed, others).features[0]
    joints = torch.arange(19)
    assert (features[joints != 4, FOUND_TAKEN] > 0.99).all()
    assert features[4, FOUND_TAKEN] == 0
    assert features[1, CLAIMED_TAKEN] == 1
    assert features[joints != 1, CLAIMED_TAKEN].max() < 0.3
    alone = gather_evidence(logits_of(spread_pose()), claimed, nobody()).features[0]
    assert (alone[:, [FOUND_TAKEN, CLAIMED_TAKEN]] == 0).all()
    assert torch.equal(gather_evidence(logits_of(spread_pose()), claimed, nobody()[:, :0]).features[0], alone)


@pytest.mark.parametrize("place", [1e6, -1e6, 3e4, torch.nan], ids=["far", "far before", "outside", "all missing"])
@pytest.mark.parametrize("contrast", [0, 1, 200], ids=["flat", "plain", "sharp"])
def test_features_are_finite(place, contrast):
    initial = torch.full((2, 19, 2), place)
    evidence = gather_evidence(logits_of(spread_pose(2)) * contrast, initial, initial[:, None])
    assert evidence.features.isfinite().all()
    assert evidence.found.isfinite().all()
    assert (evidence.features[..., SUPPORT] == 0).all()


def test_the_whole_pose_tells_how_good_its_estimator_is():
    """The seventh number is the mean nearness of the joints that were given, and only of them."""
    initial = spread_pose()
    initial[0, :9] = torch.nan
    initial[0, 9] += 100
    whole = gather_evidence(logits_of(spread_pose()), initial, nobody()).features[0, :, 6]
    assert whole.tolist() == pytest.approx([0.9] * 19, abs=0.01)


def test_decision_gives_two_logits_a_joint():
    torch.manual_seed(0)
    features = torch.randn(50, 19, EVIDENCE) * 100
    keep, right = Decision(19)(features)
    assert keep.shape == right.shape == (50, 19)
    for logit in (keep, right):
        assert logit.isfinite().all()
        assert logit.min() < 0 < logit.max()


def test_the_decision_knows_which_joint_it_is():
    torch.manual_seed(0)
    keep, right = Decision(19)(torch.zeros(1, 19, EVIDENCE))
    assert len(set(keep[0].tolist())) == len(set(right[0].tolist())) == 19


def crops_and_poses(people=2):
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (people, CROP_HEIGHT, CROP_WIDTH, 3), generator=generator, dtype=torch.uint8)
    initial = spread_pose(people)
    initial[0, 5] = torch.nan
    return crops, initial


@torch.inference_mode()
def test_forward(model):
    crops, initial = crops_and_poses()
    keypoints, right = model(crops, initial, nobody(2))
    assert keypoints.shape == (2, 19, 2)
    assert right.shape == (2, 19)
    assert keypoints.isfinite().all()
    assert ((right >= 0) & (right <= 1)).all()


@torch.inference_mode()
def test_forward_reads_colours_as_movenet_does(model):
    """Black is -1 and white 1."""
    seen = []
    hook = model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, CROP_HEIGHT, CROP_WIDTH, 3)
    model(levels, spread_pose(2), nobody(2))
    hook.remove()
    assert seen[0].shape == (2, 3, CROP_HEIGHT, CROP_WIDTH)
    torch.testing.assert_close(seen[0].amax((1, 2, 3)), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(seen[0].amin((1, 2, 3)), torch.tensor([-1.0, 1.0]))


@torch.inference_mode()
@pytest.mark.parametrize(("bias", "believed"), [(20.0, "claimed"), (-20.0, "found")])
def test_the_decision_chooses_between_claimed_and_found(model, bias, believed):
    crops, initial = crops_and_poses()
    model.network.prior.zero_()  # else an untrained network finds what was claimed
    model.decision.out.weight.zero_()
    model.decision.out.bias.copy_(torch.tensor([bias, 0.0]))
    keypoints, right = model(crops, initial, nobody(2))
    image = crops.permute(0, 3, 1, 2).float() * (2 / 255) - 1
    found = decode(model.network(image, *pose_maps(initial, nobody(2))))[0]
    claimed = torch.where(torch.isnan(initial), found, initial)
    assert (found - claimed).abs().max() > 5
    torch.testing.assert_close(keypoints, {"claimed": claimed, "found": found}[believed], atol=1e-2, rtol=0)
    torch.testing.assert_close(right, torch.full_like(right, 0.5))
