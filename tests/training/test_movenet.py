"""MoveNet as published, on its own check image and on real people."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pose_refine.training.movenet import MoveNet, load_trunk, read_tensors

from pose_refine.crops import GREY
from pose_refine.network import MOVENET_JOINTS, Network, NetworkConfig

SHARED = Path(__file__).parents[2].parent / "shared"
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


def test_tensors_are_renamed(trunk_file):
    tensors = read_tensors(trunk_file)
    assert {"pyramid.lateral32.weight", "heatmap.out.bias", "stem.weight", "blocks.0.project.bias"} <= set(tensors)
    assert not [n for n in tensors if n.startswith(("fpn.", "head."))]
    assert {t.dtype for t in tensors.values()} == {torch.float32}


def test_load_trunk_copies_all_but_what_is_new(trunk_file):
    torch.manual_seed(0)
    network = Network(NetworkConfig("lightning"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_trunk(network, trunk_file)
    tensors = read_tensors(trunk_file)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors.get(name, before[name]))
    assert {n.split(".")[0] for n in before if n not in tensors} == {"pose_input", "pose_branch", "prior"}


@needs_trunks
@pytest.mark.parametrize("trunk", ["lightning", "thunder"])
def test_joints_lie_where_their_heat_maps_peak(trunk):
    movenet, image = movenet_of(trunk), as_input(check_image(trunk))
    joints = movenet(image)[0]
    with torch.inference_mode():
        heat = torch.sigmoid(movenet.trunk.heatmap(movenet.trunk.deeper(*movenet.trunk.features(image))[0]))[0]
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
