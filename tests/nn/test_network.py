"""The network reads the image alone until it has learnt what a pose is good for."""

import pytest
import torch
from fakes.weights import lively, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.nn.network import FIRST_MPII, Network, NetworkConfig, largest_layer, meant
from pose_refine.skeletons import COCO_JOINTS, NETWORK


def network_of(**shape):
    """As training starts, but for the trunk and what reads it, which are as if they were published."""
    network = lively(tiny_model(**shape).network)
    entrances = network.pose4, network.pose8, network.alone.others4, network.alone.others8
    for layer in (network.head.out, *(each.write for each in entrances)):
        torch.nn.init.zeros_(layer.weight)
    return network


def trained():
    """With weights where those of a new network are zero."""
    return lively(tiny_model().network)


def random_input(batch=1, height=64, width=96, joints=19):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    poses = [torch.rand(batch, 2 * joints, height // s, width // s, generator=generator) for s in (8, 4)]
    return image, *poses


def own_maps(network, pose4):
    """Heights of one's own joints, for each of the network's maps."""
    own = pose4[:, : network.config.joints]
    return torch.cat([own, own[:, FIRST_MPII:]], 1)


@torch.inference_mode()
def test_without_a_pose_it_starts_as_what_the_trunk_sees():
    network = network_of()
    image, pose8, pose4 = random_input(batch=2)
    logits = network(image, torch.zeros_like(pose8), torch.zeros_like(pose4))
    fine, _ = network.trunk.read(*network.trunk.enter(image))
    assert torch.equal(logits, network.image_only(fine))
    assert logits.std() > 0


@torch.inference_mode()
def test_at_first_a_pose_acts_through_the_prior_alone():
    network = network_of()
    network.prior.copy_(torch.linspace(-1, 4, 33).view(33, 1, 1))
    image, pose8, pose4 = random_input(batch=2)
    empty = network(image, torch.zeros_like(pose8), torch.zeros_like(pose4))
    expected = empty + network.prior * own_maps(network, pose4)
    torch.testing.assert_close(network(image, pose8, pose4), expected, atol=1e-5, rtol=0)


PATHS = {  # the layer by which a pose enters, and which of the two inputs it is
    "early, stride 4": ("pose4.write", 2),
    "early, stride 8": ("pose8.write", 1),
    "late": ("head.out", 2),
    "late, stride 8": ("head.out", 1),
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("whose", ["own", "others'"])
@torch.inference_mode()
def test_the_pose_enters_by_every_path_once_it_has_weights(name, whose):
    layer, which = PATHS[name]
    network, given = network_of(), list(random_input())
    network.prior.zero_()
    changed = list(given)
    changed[which] = changed[which].clone()
    changed[which][:, slice(19) if whose == "own" else slice(19, None)] = 0
    assert torch.equal(network(*given), network(*changed))
    network.get_submodule(layer).weight.normal_(std=0.1)
    assert (network(*given) - network(*changed)).abs().max() > 1e-4


@torch.inference_mode()
def test_nothing_handed_in_is_changed():
    """Activations are computed in place; those that several layers read must outlive it."""
    network, given = trained(), random_input(2)
    before = [tensor.clone() for tensor in given]
    first = network(*given)
    context = network.context(*given)
    kept = [tensor.clone() for tensor in context]
    again = network.answers(context, given[2], torch.ones(1, 1))[0]
    network.answers(context, given[2], torch.tensor([[1.0], [0.5]]))
    assert all(torch.equal(tensor, was) for tensor, was in zip(given, before, strict=True))
    assert all(torch.equal(tensor, was) for tensor, was in zip(context, kept, strict=True))
    assert torch.equal(again, first)


@torch.inference_mode()
def test_a_belief_is_the_height_of_ones_own_late_maps():
    """Everything else is computed once; one belief for all, or one each."""
    network = trained()
    image, pose8, pose4 = random_input(batch=2)
    context = network.context(image, pose8, pose4)
    heights = torch.tensor([[0.5, 0.5], [0.2, 0.7]])
    both = network.answers(context, pose4, heights)
    assert both.shape == (2, 2, 33, 16, 24)
    torch.testing.assert_close(network.answers(context, pose4, heights[:1, :1])[0], both[0])
    biases = network.head.claim.bias.view(1, -1, 1, 1)
    for logits, height in zip(both, heights.view(2, 2, 1, 1, 1), strict=True):
        lowered = torch.cat([pose4[:, :19] * height, pose4[:, 19:]], 1)
        seen = context[0] + (height - 1) * biases  # of a claim that is believed less, the bias is, too
        expected = network.answers((seen, context[1]), lowered, torch.ones(1, 1))[0]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert (both[0] - both[1]).abs().max() > 0.01


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 2), st.floats(0, 2))
def test_the_prior_is_linear_in_belief(one, other):
    """As long as the head says nothing, the answer to the mean of two beliefs is the mean of both answers."""
    network, (image, pose8, pose4) = network_of(), random_input(height=32, width=32)
    with torch.inference_mode():
        beliefs = torch.tensor([[one], [other], [(one + other) / 2]])
        first, second, middle = network.answers(network.context(image, pose8, pose4), pose4, beliefs)
    torch.testing.assert_close((first + second) / 2, middle, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        second - first, (other - one) * network.prior.detach() * own_maps(network, pose4), atol=1e-4, rtol=1e-4
    )


def test_every_new_layer_can_learn_from_the_start():
    """Zero layers must not cut off what lies before them for ever: their own gradients are not zero."""
    network = network_of()
    (network(*random_input()) + network.alone(*random_input())).square().mean().backward()
    zeros = {name for name, p in network.named_parameters() if not p.any()}
    assert {"pose4.write.weight", "pose8.write.weight", "head.out.weight"} <= zeros
    for name, parameter in network.named_parameters():
        if name in zeros or name.startswith(("prior", "image_only", "trunk", "alone.trunk", "alone.out")):
            assert parameter.grad.abs().max() > 0, name


@torch.inference_mode()
def test_the_unprompted_network_sees_the_image_and_the_people_nearby_alone():
    """Of the pose maps it reads the others' half; before training not even these."""
    image, pose8, pose4 = random_input(batch=2)
    own, others = (pose8.clone(), pose4.clone()), (pose8.clone(), pose4.clone())
    for maps in own:
        maps[:, :19] = 0
    for maps in others:
        maps[:, 19:] = 0
    network = trained().alone
    maps = network(image, pose8, pose4)
    assert maps.shape == (2, 33, 16, 24)
    assert torch.equal(network(image, *own), maps)
    assert not torch.allclose(network(image, *others), maps, atol=1e-3)
    assert not torch.allclose(network(-image, pose8, pose4), maps, atol=1e-3)
    untrained = network_of().alone
    assert torch.equal(untrained(image, *others), untrained(image, pose8, pose4))
    fine, _ = untrained.trunk.read(*untrained.trunk.enter(image))
    assert torch.equal(untrained(image, pose8, pose4), untrained.out(fine))


def numbered(joints=19, people=1):
    """Each map says which it is."""
    count = 2 * joints - FIRST_MPII
    return torch.arange(count).view(1, count, 1, 1).expand(people, count, 2, 3)


def test_meant_takes_each_persons_own_maps():
    maps = meant(numbered(people=3), torch.tensor([False, True, False]))
    assert maps.shape == (3, 19, 2, 3)
    assert maps[0, :, 0, 0].tolist() == maps[2, :, 0, 0].tolist() == list(range(19))
    assert maps[1, :, 0, 0].tolist() == [0, 1, 2, 3, 4, *range(19, 33)]


def test_meant_of_several_beliefs_and_of_more_joints():
    stacked = torch.stack([numbered(people=2), 100 + numbered(people=2)])
    maps = meant(stacked, torch.tensor([True, False]))
    assert maps.shape == (2, 2, 19, 2, 3)
    assert maps[1, 0, :, 0, 0].tolist() == [100, 101, 102, 103, 104, *range(119, 133)]
    assert maps[1, 1, :, 0, 0].tolist() == list(range(100, 119))
    assert meant(numbered(24), torch.tensor([True]))[0, :, 0, 0].tolist() == [*range(5), *range(24, 43)]


def test_faces_have_one_map_and_other_joints_two():
    assert NETWORK.joints[:FIRST_MPII] == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert len(NETWORK.joints) == NetworkConfig().joints == len(COCO_JOINTS) + 2
    assert NetworkConfig().maps == 19 + 14
    assert NetworkConfig(joints=17).maps == 17 + 12


LARGEST = {  # which layer is the largest
    "the stem": NetworkConfig(),
    "the stem of a small network": NetworkConfig(width=8, coarse=8, size=(192, 160)),
    "the head's, for two beliefs": NetworkConfig(width=80, coarse=8, size=(64, 96)),
    "the maps, for two beliefs": NetworkConfig(joints=40, size=(64, 96)),
    "the coarse ones": NetworkConfig(coarse=600, size=(64, 96)),
}


@pytest.mark.parametrize("name", LARGEST)
@torch.inference_mode()
def test_the_largest_layer(name):
    """Of one person, for whom the network answers twice: believing and doubting."""
    config, sizes = LARGEST[name], []
    network = Network(config).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, given, out: sizes.append(out.numel()))
    image, pose8, pose4 = random_input(1, *config.size, config.joints)
    network.answers(network.context(image, pose8, pose4), pose4, torch.tensor([[1.0], [0.5]]))
    assert largest_layer(config) == max(sizes)


SHAPES = [
    pytest.param({}, (256, 192), id="the crop"),
    pytest.param({"width": 1, "coarse": 1, "joints": 17}, (32, 96), id="smallest"),
    pytest.param({"joints": 24, "width": 16, "coarse": 24}, (64, 32), id="more joints"),
]


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@torch.inference_mode()
def test_shapes(shape, size):
    network, (height, wide) = network_of(**shape), size
    joints = network.config.joints
    inputs = random_input(2, height, wide, joints)
    assert network(*inputs).shape == (2, 2 * joints - 5, height // 4, wide // 4)


@torch.inference_mode()
def test_people_of_a_batch_do_not_see_each_other():
    network, inputs = trained(), random_input(batch=3)
    alone = torch.cat([network(*(x[i : i + 1] for x in inputs)) for i in range(3)])
    torch.testing.assert_close(network(*inputs), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"joints": 16}, "joints >= 17", id="joints"),
        pytest.param({"width": 0}, "widths >= 1", id="width"),
        pytest.param({"coarse": 0}, "widths >= 1, got .*coarse=0", id="coarse"),
        pytest.param({"size": (192, 144)}, "multiples of 32, got .*144", id="size"),
        pytest.param({"size": (192, 0)}, "multiples of 32, got .*0", id="no width"),
        pytest.param({"size": (192,)}, "two multiples of 32", id="one side"),
    ],
)
def test_config_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**arguments)
