"""What a run is watched by: poses that come from the network alone."""

import numpy as np
import pytest
import torch
from fakes.weights import lively, tiny_model

from pose_refine.crops.geometry import crop_boxes
from pose_refine.nn.network import Network
from pose_refine.skeletons import NETWORK
from pose_refine.training import heldout
from pose_refine.training.data import load_images, nearest_others, of_others, read_training_sets
from pose_refine.training.heldout import network_poses

WRIST = NETWORK.joints.index("left_wrist")


@pytest.fixture(scope="module")
def loaded(data):
    return load_images(read_training_sets(data), 128)


def network_of(prior):
    network = lively(tiny_model(size=(64, 64)).network)
    torch.nn.init.zeros_(network.head.out.weight)
    with torch.no_grad():
        network.prior.fill_(prior)
    return network


def refined(network, loaded, rows, poses, others=None):
    images, people = loaded
    others = of_others(people.keypoints, nearest_others(people)[rows]) if others is None else others
    return network_poses(network, images, people, rows, poses, others)


def test_who_believes_all_finds_what_is_shown(loaded):
    """In image pixels; nothing handed in is changed, and of people without a joint nothing is known."""
    rows = np.array([0, 4, 6, 2])
    poses = loaded[1].keypoints[rows]
    poses[3] = np.nan
    before = poses.copy()
    found = refined(network_of(1e4), loaded, rows, poses)
    assert found.shape == (4, 19, 3)
    np.testing.assert_array_equal(poses, before)
    there = ~np.isnan(poses[..., 0])
    half_a_cell = crop_boxes(poses[:3], (128, 128))[1] / 32  # of 16 x 16 cells
    assert (np.nanmax(np.abs(found[..., :2] - poses)[:3], (1, 2)) < 1.05 * half_a_cell).all()
    assert found[there][:, 2].min() > 0.9
    assert np.isnan(found[3]).all()
    assert not np.isnan(found[:3]).any()


@pytest.mark.parametrize("distance", [300.0, 90_000.0])
def test_a_joint_far_off_changes_nothing_about_the_others(loaded, distance):
    """It is not shown, of nobody; as at inference."""
    rows, network = np.array([0, 1]), network_of(3.0)
    poses = loaded[1].keypoints[rows]
    others = of_others(loaded[1].keypoints, nearest_others(loaded[1])[rows])
    lacking, without = poses.copy(), others.copy()
    lacking[:, WRIST] = without[:, :, WRIST] = np.nan
    poses[:, WRIST] += distance
    others[:, :, WRIST] -= distance
    found, expected = refined(network, loaded, rows, poses, others), refined(network, loaded, rows, lacking, without)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_people_of_mpii_are_asked_for_its_own_maps(loaded):
    """LSP's people mean hips as MPII does."""
    network, rows = network_of(0.0), np.array([0, 5])
    assert loaded[1].mpii[rows].tolist() == [False, True]
    with torch.no_grad():
        network.image_only.weight[19:] = 0
        network.image_only.bias[19:] = 0
    found = refined(network, loaded, rows, loaded[1].keypoints[rows])
    corner = 3 * 3 / (16 * 16)  # the share of a flat map's first window, of which a corner is in the map
    np.testing.assert_allclose(found[1, 5:, 2], corner, rtol=1e-4)
    assert (np.abs(found[0, :, 2] - corner) > 1e-4).all()
    assert (np.abs(found[1, :5, 2] - corner) > 1e-4).all()


def test_watching_tells_of_every_estimator(loaded):
    images, people = loaded
    report = heldout.watch(network_of(1e4), images, people, nearest_others(people), np.array([0, 2, 4]))
    assert set(report) == {"alpha", "beta"}
    for told in report.values():
        assert told["before"] > 90
        assert told["after"] > 40  # at a cell's precision of small people
        assert told["harm"] < 20


def test_watching_uses_no_gradient(loaded):
    seen = []
    network = network_of(1.0)
    forward = Network.forward
    network.forward = lambda *given: (seen.append(torch.is_grad_enabled()), forward(network, *given))[1]
    heldout.watch(network, *loaded, nearest_others(loaded[1]), np.array([0]))
    assert seen
    assert not any(seen)
