"""What a run is watched by: poses that come from the network alone."""

import numpy as np
import pytest
import torch
from fakes.weights import lively, tiny_model

from pose_refine.network import Network
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
