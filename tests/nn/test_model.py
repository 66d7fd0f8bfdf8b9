"""Crops and poses in, joints and scores out."""

import numpy as np
import pytest
import torch
from fakes.prompts import crops_and_poses, image_of, prompt_of, spread_pose
from fakes.stickman import POSTURES, stickman, turned
from fakes.weights import lively, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, UNSEEN, scales, to_crop, to_image, where_to_cut
from pose_refine.nn.decision import TRUST
from pose_refine.nn.evidence import (
    HYPOTHESES,
    MOST_VIEWS,
    look,
)
from pose_refine.skeletons import NETWORK


def test_where_a_prompt_says_no_trust_the_model_does():
    model = tiny_model()
    lively(model.network)
    crops, initial = torch.randint(0, 255, (2, 256, 192, 3), dtype=torch.uint8), 40 + 90 * torch.rand(2, 19, 2)
    expected = {t: model(crops, prompt_of(initial, trust=t))[0] for t in (0.0, TRUST)}
    assert not torch.equal(expected[0.0], expected[TRUST])
    for own in expected:
        model.trust = own
        assert torch.equal(model(crops, prompt_of(initial))[0], expected[own])


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
