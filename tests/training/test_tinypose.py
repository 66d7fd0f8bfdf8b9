"""PP-TinyPose's layers, whose channels move, are the trunk's, whose do not."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fakes.tinypose import MEAN, STD, TinyPose, write_onnx
from fakes.weights import tiny_model

from pose_refine.nn import weights
from pose_refine.nn.network import Network, NetworkConfig
from pose_refine.training.tinypose import FRESH, SHARPNESS, load_start, mix, normalize, read_layers

onnx = pytest.importorskip("onnx")
TRUNKS = Path(__file__).parents[2].parent / "shared" / "trunks"
needs_trunks = pytest.mark.skipif(not TRUNKS.is_dir(), reason="PP-TinyPose's files (../shared/trunks) are not here")
PER_CHANNEL = (1, 3, 1, 1)


@pytest.fixture(scope="module")
def published():
    """The published layout with random weights, which are made by calling it."""
    network = TinyPose()
    network(torch.zeros(1, 3, 64, 64))
    return network


@pytest.fixture(scope="module")
def file(published, tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("init") / "tinypose.onnx", published.layers)


def network_of(**shape):
    torch.manual_seed(0)
    return Network(NetworkConfig(**{"width": 8, "coarse": 8, **shape})).eval()


def normalized(image):
    """RGB in [0, 1] as PP-TinyPose takes it; black below and on the right, where our first layer sees no further."""
    image = (image - torch.tensor(MEAN).view(PER_CHANNEL)) / torch.tensor(STD).view(PER_CHANNEL)
    image[..., -2:, :] = image[..., -2:] = 0
    return image


@torch.inference_mode()
def maps_of(network, image):
    """Of a `normalized` image, undoing the two things that our first layer does with it: to normalise it, and to begin
    two pixels further to the right and below, beyond which it sees zeros as the published one does."""
    stem = network.trunk.stem
    mean, deviation = (torch.tensor(v).view(PER_CHANNEL) for v in (MEAN, STD))
    plain = stem.weight * 2 * deviation
    bias = stem.bias + (stem.weight * (2 * mean - 1)).sum((1, 2, 3))
    stem.weight.copy_(plain)
    stem.bias.copy_(bias)
    height, width = image.shape[2:]
    poses = (torch.zeros(len(image), 38, height // s, width // s) for s in (8, 4))
    return network(F.pad(image, (2, -2, 2, -2)), *poses) / SHARPNESS


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_of_the_published_layout_is_translated(published, file, seed):
    image = normalized(torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(seed)))
    network = network_of()
    load_start(network, file)
    expected = published(image)
    tolerance = 1e-5 * expected.abs().max().item()
    maps = maps_of(network, image)
    torch.testing.assert_close(maps[:, :17], expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(maps[:, 19:31], expected[:, 5:], atol=tolerance, rtol=0)  # MPII's begin as COCO's
    assert (maps[:, [17, 18, 31, 32]] == 0).all()  # nobody has told of necks and tops of heads
    assert expected.std() > 1


@needs_trunks
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_published_weights_answer_as_onnx_runtime_does(version, photo):
    ort = pytest.importorskip("onnxruntime")
    path = TRUNKS / f"tinypose_{version}.onnx"
    crop = torch.from_numpy(np.ascontiguousarray(photo[:256, 40:232])).permute(2, 0, 1)[None].float() / 255
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = normalized(crop)
    expected = torch.from_numpy(session.run(["heatmap"], {"image": image.numpy()})[0])
    network = network_of()
    load_start(network, path)
    maps = maps_of(network, image)
    torch.testing.assert_close(maps[:, :17], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(maps[:, 19:31], expected[:, 5:], atol=1e-4, rtol=0)
    assert expected.amax() > 0.5  # somebody is there


def test_the_first_layer_normalises():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 4, 3, 2)
    image = torch.rand(1, 3, 9, 9)
    mean, deviation = (torch.tensor(v).view(PER_CHANNEL) for v in (MEAN, STD))
    expected = layer((image - mean) / deviation)
    normalize(layer)
    torch.testing.assert_close(layer(image * 2 - 1), expected, atol=1e-5, rtol=1e-5)


def test_only_the_trunk_and_what_reads_it_are_copied(file):
    network = network_of()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_start(network, file)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    published = ("trunk.", "image_only.", "alone.trunk.", "alone.out.")
    assert changed == {name for name in before if name.startswith(published)}


def test_each_part_may_start_from_a_file_of_its_own(published, file, tmp_path):
    """Without one, both start from the same."""
    other = write_onnx(tmp_path / "other.onnx", [(2 * weight, bias) for weight, bias in published.layers])
    network, apart, swapped = network_of(), network_of(), network_of()
    load_start(network, file)
    load_start(apart, file, other)
    load_start(swapped, other, file)
    for name, tensor in network.trunk.state_dict().items():
        assert torch.equal(network.alone.trunk.state_dict()[name], tensor)
    for one, same, different in [(network, apart, swapped), (network.alone, swapped.alone, apart.alone)]:
        assert torch.equal(one.trunk.stem.weight, same.trunk.stem.weight)
        assert not torch.equal(one.trunk.stem.weight, different.trunk.stem.weight)
    assert torch.equal(network.alone.out.weight, network.image_only.weight)


def test_a_weights_folder_has_all_parts(file, tmp_path):
    weights.save(tiny_model(), "tiny", tmp_path)
    with pytest.raises(ValueError, match=r"expected nothing beside it, got .*\.onnx"):
        load_start(network_of(), tmp_path, file)


def test_layers_are_read_by_number_wherever_their_nodes_lie(published, file, tmp_path):
    order = np.random.default_rng(0).permutation(len(published.layers))
    shuffled = write_onnx(tmp_path / "shuffled.onnx", published.layers, order)
    assert len(published.layers) == 269
    for path in (file, shuffled):
        for (weight, bias), (was, its) in zip(read_layers(path), published.layers, strict=True):
            assert torch.equal(weight, was)
            assert torch.equal(bias, its)


def damaged(layers, place, layer):
    return [*layers[:place], layer, *layers[place + 1 :]]


BAD_LAYERS = {
    "none": lambda layers: [],
    "too few": lambda layers: layers[:200],
    "all but the maps": lambda layers: layers[:-1],
    "another width": lambda layers: damaged(layers, 7, (torch.zeros(48, 32, 1, 1), torch.zeros(48))),
    "another kernel": lambda layers: damaged(layers, 0, (torch.zeros(32, 3, 7, 7), torch.zeros(32))),
    "too few channels to choose from": lambda layers: damaged(layers, 13, (torch.zeros(20, 9, 1, 1), torch.zeros(20))),
    "without a bias": lambda layers: damaged(layers, 3, layers[3][:1]),
}


@pytest.mark.parametrize("name", BAD_LAYERS)
def test_files_of_another_network_are_named(published, tmp_path, name):
    path = write_onnx(tmp_path / "other.onnx", BAD_LAYERS[name](published.layers))
    with pytest.raises(ValueError, match=r"other\.onnx: expected PP-TinyPose with batch norms folded in"):
        load_start(network_of(), path)


@pytest.mark.parametrize("content", [b"pose", b"\x08\xff", bytes(64)], ids=["a text", "truncated", "zeros"])
def test_what_is_no_onnx_file_is_named(tmp_path, content):
    (tmp_path / "start.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"start\.onnx: expected PP-TinyPose"):
        load_start(network_of(), tmp_path / "start.onnx")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        load_start(network_of(), tmp_path / "none.onnx")


def test_without_the_package(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "pose-refine\[onnx\]"'):
        load_start(network_of(), file)


def test_a_weights_folder_is_copied_whole(tmp_path):
    model = tiny_model(seed=1)
    weights.save(model, "tiny", tmp_path)
    network = network_of()
    load_start(network, tmp_path)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor.half().float()), name


@pytest.mark.parametrize(
    "shape", [{"width": 16}, {"coarse": 16}, {"size": (192, 160)}], ids=["width", "coarse", "size"]
)
def test_a_weights_folder_of_another_shape_is_named(tmp_path, shape):
    weights.save(tiny_model(), "tiny", tmp_path)
    with pytest.raises(ValueError, match=f"{tmp_path}: expected weights of the shape .*{next(iter(shape))}=.*got"):
        load_start(network_of(**shape), tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.25, 1.0])
def test_a_mixture_lies_between_and_leaves_what_is_ours(file, kept):
    network, published = network_of(), network_of()
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    load_start(published, file)
    mix(network, file, kept=kept)
    for name, parameter in network.named_parameters():
        theirs = before[name] if name.startswith(FRESH) else dict(published.named_parameters())[name]
        torch.testing.assert_close(parameter, kept * before[name] + (1 - kept) * theirs)
