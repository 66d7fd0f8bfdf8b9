"""The network is MoveNet until it has learnt something else."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pose_refine.training.movenet import load_trunk

from pose_refine.network import MOVENET_JOINTS, Network, NetworkConfig, conv, largest_layer

TRUNKS = Path(__file__).parents[1].parent / "shared" / "trunks"
needs_trunks = pytest.mark.skipif(not TRUNKS.is_dir(), reason="MoveNet's tensors (../shared/trunks) are not here")


def network_of(trunk="lightning", **shape):
    torch.manual_seed(0)
    return Network(NetworkConfig(trunk, **shape)).eval()


def random_input(batch=1, height=64, width=96, joints=19):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    poses = [torch.rand(batch, 2 * joints, height // s, width // s, generator=generator) for s in (8, 4)]
    return image, *poses


@torch.inference_mode()
def movenet_logits(network, image):
    return network.heatmap(network.deeper(*network.features(image))[0])


@needs_trunks
@pytest.mark.parametrize("trunk", ["lightning", "thunder"])
@torch.inference_mode()
def test_equals_the_published_movenet(trunk):
    network = network_of(trunk)
    load_trunk(network, TRUNKS / f"movenet_{trunk}.safetensors")
    with np.load(TRUNKS / f"check_{trunk}.npz") as check:
        image = torch.tensor(check["image"]).permute(2, 0, 1)[None].float() * 2 / 255 - 1
        stride4, stride8 = network.features(image)
        poses = torch.zeros(1, 38, stride8.shape[2], stride8.shape[3]), torch.zeros(1, 38, *stride4.shape[2:])
        logits = network(image, *poses)
        np.testing.assert_allclose(stride4[0], check["stride4"], atol=1e-3)
        np.testing.assert_allclose(stride8[0], check["stride8"], atol=1e-3)
        np.testing.assert_allclose(movenet_logits(network, image)[0], check["heatmap_logits"], atol=1e-3)
        np.testing.assert_allclose(logits[0, :MOVENET_JOINTS], check["heatmap_logits"], atol=1e-3)


@pytest.mark.parametrize(("inputs", "groups"), [(3, 1), (8, 8)], ids=["all channels", "depthwise"])
@pytest.mark.parametrize("size", [(2, 2), (64, 96), (6, 34)])
@torch.inference_mode()
def test_halving_pads_as_tensorflow_does(inputs, groups, size):
    torch.manual_seed(0)
    layer, x = conv(inputs, 8, 3, stride=2, groups=groups), torch.randn(2, inputs, *size)
    padded = F.pad(x, (0, 1, 0, 1))
    expected = F.conv2d(padded, layer.weight, layer.bias, stride=2, groups=groups)
    assert expected.shape == (2, 8, size[0] // 2, size[1] // 2)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.to("meta")(x.to("meta")).shape, expected.shape)


@torch.inference_mode()
def test_nothing_handed_in_is_changed():
    """Activations are computed in place; those that several layers read must outlive it."""
    network, given = network_of(), random_input(2)
    before = [tensor.clone() for tensor in given]
    first = network(*given)
    for tensor, was in zip(given, before, strict=True):
        assert torch.equal(tensor, was)
    x4, x8 = network.features(given[0])
    copies = x4.clone(), x8.clone()
    context = network.context(x4, x8, given[1])
    kept = [tensor.clone() for tensor in context]
    again = network.answers(context, given[2], torch.ones(1, 1))[0]
    assert torch.equal(x4, copies[0])
    assert torch.equal(x8, copies[1])
    assert all(torch.equal(tensor, was) for tensor, was in zip(context, kept, strict=True))
    assert torch.equal(again, first)


@pytest.mark.parametrize("config", [NetworkConfig(), NetworkConfig("lightning", size=(192, 160))])
@torch.inference_mode()
def test_the_largest_layer(config):
    network = Network(config).eval()
    sizes = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, given, out: sizes.append(out.numel()))
    height, width = config.size
    network(*random_input(1, height, width))
    assert largest_layer(config) == max(sizes)


@torch.inference_mode()
def test_without_a_pose_it_starts_as_movenet():
    network = network_of()
    image, pose8, pose4 = random_input()
    logits = network(image, torch.zeros_like(pose8), torch.zeros_like(pose4))
    assert torch.equal(logits[:, :MOVENET_JOINTS], movenet_logits(network, image))
    assert logits[:, :MOVENET_JOINTS].std() > 0
    assert (logits[:, MOVENET_JOINTS:] == 0).all()


@torch.inference_mode()
def test_at_first_a_pose_acts_through_the_prior_alone():
    network = network_of()
    network.prior.copy_(torch.linspace(-1, 4, 19).view(19, 1, 1))
    image, pose8, pose4 = random_input(batch=2)
    empty = network(image, torch.zeros_like(pose8), torch.zeros_like(pose4))
    torch.testing.assert_close(network(image, pose8, pose4), empty + network.prior * pose4[:, :19], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_pose_reaches_every_path_once_it_has_weights():
    network = network_of()
    image, pose8, pose4 = random_input()
    for parameter in (network.pose_input.write.weight, network.pose_branch.out.weight):
        parameter.normal_(std=0.1)
    network.prior.zero_()
    reference = network(image, pose8, pose4)
    for poses in ((pose8 * 0, pose4), (pose8, pose4 * 0)):
        assert (network(image, *poses) - reference).abs().max() > 1e-3


@torch.inference_mode()
def test_a_belief_is_the_height_of_ones_own_fine_maps():
    """Everything else is computed once; one belief for all, or one each."""
    network = network_of()
    network.pose_branch.out.weight.normal_(std=0.1)
    image, pose8, pose4 = random_input(batch=2)
    context = network.context(*network.features(image), pose8)
    heights = torch.tensor([[0.5, 0.5], [0.2, 0.7]])
    both = network.answers(context, pose4, heights)
    torch.testing.assert_close(network.answers(context, pose4, heights[:1, :1])[0], both[0])
    for logits, height in zip(both, heights, strict=True):
        own = pose4[:, :19] * height.view(-1, 1, 1, 1)
        lowered = network(image, pose8, torch.cat([own, pose4[:, 19:]], 1))
        torch.testing.assert_close(logits, lowered, atol=1e-4, rtol=1e-4)
    assert (both[0] - both[1]).abs().max() > 0.01


def test_every_new_layer_can_learn_from_the_start():
    """Zero layers must not cut off what lies before them for ever: their own gradients are not zero."""
    network = network_of()
    network(*random_input()).square().mean().backward()
    for parameter in (network.pose_input.write.weight, network.pose_branch.out.weight, network.prior):
        assert parameter.grad.abs().max() > 0


SHAPES = [
    pytest.param("lightning", 19, 64, (256, 192), id="lightning, the crop"),
    pytest.param("thunder", 19, 16, (64, 64), id="thunder, narrow"),
    pytest.param("lightning", 17, 1, (32, 96), id="smallest"),
    pytest.param("lightning", 24, 8, (64, 32), id="more joints"),
]


@pytest.mark.parametrize(("trunk", "joints", "width", "size"), SHAPES)
@torch.inference_mode()
def test_shapes(trunk, joints, width, size):
    network = network_of(trunk, joints=joints, width=width)
    height, wide = size
    inputs = random_input(2, height, wide, joints)
    assert network(*inputs).shape == (2, joints, height // 4, wide // 4)
    stride4, stride8 = network.features(inputs[0])
    assert stride4.shape[2:] == (height // 4, wide // 4)
    assert stride8.shape[2:] == (height // 8, wide // 8)


@torch.inference_mode()
def test_people_of_a_batch_do_not_see_each_other():
    network, inputs = network_of(), random_input(batch=3)
    alone = torch.cat([network(*(x[i : i + 1] for x in inputs)) for i in range(3)])
    torch.testing.assert_close(network(*inputs), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"trunk": "storm"}, "trunk must be one of .* got 'storm'", id="trunk"),
        pytest.param({"joints": 16}, "joints >= 17", id="joints"),
        pytest.param({"width": 0}, "width >= 1", id="width"),
        pytest.param({"size": (192, 144)}, "multiples of 32, got .*144", id="size"),
    ],
)
def test_config_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**arguments)
