"""The trunk's shapes, and that it keeps to what it was given. That it computes what was published is tested where its
weights are translated (training/test_tinypose.py)."""

import pytest
import torch

from pose_refine.nn.trunk import WIDTHS, Blocks, Exchange, Trunk, Unit


@pytest.fixture(scope="module")
def trunk():
    """Random, with a signal that is as strong in its last layer as in its first."""
    torch.manual_seed(0)
    trunk = Trunk().eval()
    for parameter in trunk.parameters():
        if parameter.ndim == 4:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return trunk


def image_of(batch, height, width, seed=0):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


SHAPES = {"a crop": (1, 256, 192), "small": (2, 64, 96), "smallest": (3, 32, 32), "nobody": (0, 64, 64)}


@pytest.mark.parametrize("name", SHAPES)
@torch.inference_mode()
def test_shapes(trunk, name):
    batch, height, width = SHAPES[name]
    x4, x8 = trunk.enter(image_of(batch, height, width))
    fine, branches = trunk.read(x4, x8)
    assert x4.shape == fine.shape == (batch, WIDTHS[0], height // 4, width // 4)
    assert x8.shape == (batch, WIDTHS[1], height // 8, width // 8)
    assert [tuple(b.shape) for b in branches] == [
        (batch, channels, height // stride, width // stride)
        for channels, stride in zip(WIDTHS, (4, 8, 16, 32), strict=True)
    ]


def layers():
    torch.manual_seed(0)
    x = [torch.randn(2, width, 16 >> n, 16 >> n) for n, width in enumerate(WIDTHS)]
    yield "unit", Unit(40, 40, 40), [x[0]]
    yield "blocks", Blocks(40), [x[0]]
    yield "exchange of two", Exchange(2), [x[:2]]
    yield "exchange of four", Exchange(4), [x]


@pytest.mark.parametrize(("layer", "given"), [pytest.param(*rest, id=name) for name, *rest in layers()])
@torch.inference_mode()
def test_layers_leave_what_they_are_given(layer, given):
    """Much is computed in place."""
    tensors = [t for argument in given for t in (argument if isinstance(argument, list) else [argument])]
    before = [t.clone() for t in tensors]
    first = layer(*given)
    again = layer(*given)
    assert all(torch.equal(t, b) for t, b in zip(tensors, before, strict=True))
    pairs = zip(first, again, strict=True) if isinstance(first, list) else [(first, again)]
    assert all(torch.equal(a, b) for a, b in pairs)


@torch.inference_mode()
def test_the_trunk_leaves_what_it_is_given(trunk):
    image = image_of(1, 64, 64)
    before = image.clone()
    x4, x8 = trunk.enter(image)
    copies = x4.clone(), x8.clone()
    fine, branches = trunk.read(x4, x8)
    again, more = trunk.read(x4, x8)
    assert torch.equal(image, before)
    assert torch.equal(x4, copies[0])
    assert torch.equal(x8, copies[1])
    assert torch.equal(fine, again)
    assert all(torch.equal(a, b) for a, b in zip(branches, more, strict=True))


@torch.inference_mode()
def test_people_of_a_batch_do_not_see_each_other(trunk):
    images = image_of(3, 64, 32)
    together, _ = trunk.read(*trunk.enter(images))
    alone = torch.cat([trunk.read(*trunk.enter(image[None]))[0] for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4 * together.std().item(), rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 0.01 * together.std()


@torch.inference_mode()
def test_a_cell_looks_around_its_middle(trunk):
    """The first layer's first cell of stride 2 starts one pixel after the image's edge, two later than published."""
    seen = []
    hook = trunk.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image = image_of(1, 64, 32)
    trunk.enter(image)
    hook.remove()
    assert seen[0].shape == (1, 3, 65, 33)
    assert torch.equal(seen[0][..., :-2, :-2], image[..., 1:, 1:])
    assert (seen[0][..., -2:, :] == 0).all()
    assert (seen[0][..., -2:] == 0).all()


def test_every_layer_learns(trunk):
    """Of every part of the output, through every part of the network."""
    fine, branches = trunk.read(*trunk.enter(image_of(2, 64, 64)))
    (fine.square().mean() + sum(b.square().mean() for b in branches)).backward()
    still = [name for name, p in trunk.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    trunk.zero_grad(set_to_none=True)
    assert still == []
