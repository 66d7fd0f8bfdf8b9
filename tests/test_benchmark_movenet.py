"""MoveNet, which ours is compared with, is MoveNet as published: on its own check image and on real people."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rivals
import torch
import torch.nn.functional as F
from movenet import MOVENET_JOINTS, Head, MoveNet, Trunk, conv, read_tensors
from safetensors.torch import save_file

from pose_refine.crops.geometry import GREY

SHARED = Path(__file__).parents[1].parent / "shared"
TRUNKS, DATA = SHARED / "trunks", SHARED / "data"
needs_trunks = pytest.mark.skipif(not TRUNKS.is_dir(), reason="MoveNet's tensors (../shared/trunks) are not here")
needs_data = pytest.mark.skipif(not (DATA / "coco" / "dev").is_dir(), reason="COCO dev (../shared/data) is not here")
COCO_DEV = "person_keypoints_dev.json"
SIDE = 256


def movenet_of(trunk):
    return MoveNet(trunk, TRUNKS / f"movenet_{trunk}.safetensors").eval()


def as_input(crop):
    return torch.tensor(crop).permute(2, 0, 1)[None].float() * 2 / 255 - 1


def check_image(trunk):
    """The check image in the middle of a square."""
    square = np.full((SIDE, SIDE, 3), GREY, dtype=np.uint8)
    with np.load(TRUNKS / f"check_{trunk}.npz") as check:
        square[:, 32:224] = check["image"]
    return square


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An untrained Lightning under the published tensors' names, in half precision."""
    torch.manual_seed(0)
    heads = {"center": Head(1), "regress": Head(2 * MOVENET_JOINTS), "offset": Head(2 * MOVENET_JOINTS)}
    tensors = {}
    for name, tensor in Trunk("lightning").state_dict().items():
        tensors[name.replace("pyramid.", "fpn.").replace("heatmap.", "head.heatmap.")] = tensor * np.sqrt(6)
    for head, layers in heads.items():
        tensors |= {f"head.{head}.{name}": tensor for name, tensor in layers.state_dict().items()}
    path = tmp_path_factory.mktemp("movenet") / "movenet_lightning.safetensors"
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, path)
    return path


def test_tensors_are_renamed(file):
    tensors = read_tensors(file)
    assert {"pyramid.lateral32.weight", "heatmap.out.bias", "stem.weight", "blocks.0.project.bias"} <= set(tensors)
    assert not [n for n in tensors if n.startswith(("fpn.", "head."))]
    assert {t.dtype for t in tensors.values()} == {torch.float32}


def test_movenet_is_what_its_file_holds(file):
    """A joint in each crop for everybody, inside the crop or near it; and nothing but the file decides where."""
    torch.manual_seed(1)
    first, again = (MoveNet("lightning", file).eval() for _ in range(2))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    joints = first(images)
    assert joints.shape == (2, MOVENET_JOINTS, 3)
    assert torch.equal(again(images), joints)
    assert ((joints[..., 2] >= 0) & (joints[..., 2] <= 1)).all()
    torch.testing.assert_close(torch.cat([first(image[None]) for image in images]), joints, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("trunk", ["thunder", "storm"])
def test_a_file_of_another_trunk_is_an_error(file, trunk):
    with pytest.raises((RuntimeError, KeyError)):
        MoveNet(trunk, file)


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


def test_the_rival_has_all_four_heads():
    """As it is timed: Lightning's maps, at a quarter of its size."""
    rival = rivals.MoveNetLightning().eval()
    height, width = rival.size
    with torch.inference_mode():
        maps = rival(torch.zeros(1, 3, height, width))
    assert [tuple(m.shape) for m in maps] == [(1, n, height // 4, width // 4) for n in (17, 1, 34, 34)]


@needs_trunks
@pytest.mark.parametrize("trunk", ["lightning", "thunder"])
@torch.inference_mode()
def test_equals_the_published_movenet(trunk):
    """Its taps at strides 4 and 8, and its heat maps."""
    network, taps = movenet_of(trunk).trunk, {}
    for name, block in (("stride4", 2), ("stride8", 5)):
        network.blocks[block].register_forward_hook(lambda _, given, out, name=name: taps.update({name: out.clone()}))
    with np.load(TRUNKS / f"check_{trunk}.npz") as check:
        logits = network.heatmap(network(as_input(check["image"])))
        for name, tap in taps.items():
            np.testing.assert_allclose(tap[0], check[name], atol=1e-3)
        np.testing.assert_allclose(logits[0], check["heatmap_logits"], atol=1e-3)
    assert len(taps) == 2


@needs_trunks
@pytest.mark.parametrize("trunk", ["lightning", "thunder"])
def test_joints_lie_where_their_heat_maps_peak(trunk):
    movenet, image = movenet_of(trunk), as_input(check_image(trunk))
    joints = movenet(image)[0]
    with torch.inference_mode():
        heat = torch.sigmoid(movenet.trunk.heatmap(movenet.trunk(image)))[0]
    assert joints.shape == (MOVENET_JOINTS, 3)
    cells = heat.shape[-1]
    best = heat.flatten(1).argmax(1)
    peak = torch.stack([best % cells, best // cells], -1) * 4 + 1.5
    sure = joints[:, 2] > 0.3
    assert sure.sum() >= 8
    assert (torch.linalg.vector_norm(joints[:, :2] - peak, dim=-1)[sure] < 6).float().mean() > 0.7
    assert (joints[:, 2] <= heat.amax((1, 2)) + 1e-6).all()


@needs_trunks
def test_a_mirrored_image_gives_the_mirrored_pose():
    movenet, square = movenet_of("thunder"), check_image("thunder")
    joints = movenet(as_input(square))[0]
    turned = movenet(as_input(square[:, ::-1].copy()))[0]
    swap = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, MOVENET_JOINTS))]
    turned = torch.stack([SIDE - 1 - turned[swap, 0], turned[swap, 1]], -1)
    sure = joints[:, 2] > 0.3
    assert torch.linalg.vector_norm(turned - joints[:, :2], dim=-1)[sure].median() < 4


def largest_people(count):
    """COCO annotations of well labelled, large people whom MoveNet saw: file, annotation, its prediction."""
    document = json.loads((DATA / "coco" / COCO_DEV).read_text())
    files = {image["id"]: image["file_name"] for image in document["images"]}
    with np.load(DATA / "predictions" / "coco_dev" / "movenet_thunder.npz") as z:
        predicted = dict(zip(z["ann_id"].tolist(), z["keypoints"], strict=True))
    known = [a for a in document["annotations"] if a["id"] in predicted and a["num_keypoints"] >= 14]
    known.sort(key=lambda a: -a["area"])
    return [(DATA / "coco" / "dev" / files[a["image_id"]], a["bbox"], predicted[a["id"]]) for a in known[:count]]


def estimate(movenet, file, box):
    """Joints (17, 2) in image pixels, from a square crop 1.25 times as large as the box's longer side."""
    image, (x, y, width, height) = cv2.imread(str(file))[:, :, ::-1], box
    scale = 1.25 * max(width, height) / SIDE
    corner = np.array([x + width / 2, y + height / 2]) - scale * SIDE / 2
    matrix = np.concatenate([np.eye(2) * scale, corner[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(np.ascontiguousarray(image), matrix, (SIDE, SIDE), flags=flags)
    return movenet(as_input(crop))[0, :, :2].numpy() * scale + corner


@needs_trunks
@needs_data
def test_agrees_with_recorded_predictions():
    movenet = movenet_of("thunder")
    for file, box, recorded in largest_people(6):
        distance = np.linalg.norm(estimate(movenet, file, box) - recorded[:MOVENET_JOINTS, :2], axis=-1)
        assert np.median(distance) < 0.1 * max(box[2:]), file.name
