"""A tiny data folder: three COCO-format images, two LSP images, and two estimators' predictions; and a start."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fakes.tinypose import TinyPose, write_onnx

from pose_refine.skeletons import NETWORK, SKELETONS

# id, image, left, top, width and height of the person, labelled joints
COCO_PEOPLE = [
    (11, 1, 8, 10, 30, 75, 17),
    (12, 1, 50, 12, 28, 76, 12),
    (13, 2, 20, 8, 40, 66, 9),
    (14, 2, 60, 20, 30, 40, 7),
    (15, 2, 4, 4, 10, 12, 3),  # too few joints to be read
    (16, 3, 12, 30, 36, 80, 17),
]
COCO_IMAGES = {1: (96, 84), 2: (72, 110), 3: (120, 64)}  # height, width
LSP_IMAGES = {"a.png": (100, 80), "b.png": (90, 90)}
# Where the joints of a person stand in its box.
STANDING = {
    "nose": (0.5, 0.06), "left_eye": (0.56, 0.03), "right_eye": (0.44, 0.03), "left_ear": (0.64, 0.05),
    "right_ear": (0.36, 0.05), "left_shoulder": (0.8, 0.2), "right_shoulder": (0.2, 0.2), "left_elbow": (0.95, 0.35),
    "right_elbow": (0.05, 0.35), "left_wrist": (1.0, 0.5), "right_wrist": (0.0, 0.5), "left_hip": (0.7, 0.52),
    "right_hip": (0.3, 0.52), "left_knee": (0.72, 0.75), "right_knee": (0.28, 0.75), "left_ankle": (0.74, 1.0),
    "right_ankle": (0.26, 1.0), "upper_neck": (0.5, 0.16), "head_top": (0.5, 0.0),
}  # fmt: skip


def standing(skeleton, x, y, width, height):
    unit = np.array([STANDING[n] for n in SKELETONS[skeleton].joints])
    return (unit * (width, height) + (x, y)).astype(np.float32)


def write_image(path, size, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR))


def coco_annotation(ann, image, x, y, width, height, labelled):
    keypoints = np.concatenate([standing("coco17", x, y, width, height), np.full((17, 1), 2)], 1)
    keypoints[labelled:] = 0
    return {
        "id": ann, "image_id": image, "iscrowd": 0, "num_keypoints": labelled, "bbox": [x, y, width, height],
        "area": 0.53 * width * height, "keypoints": keypoints.ravel().tolist(),
    }  # fmt: skip


def write_coco(root, rng):
    for number, size in COCO_IMAGES.items():
        write_image(root / "train" / f"{number}.png", size, rng)
    crowd = coco_annotation(17, 3, 0, 0, 60, 100, 17) | {"iscrowd": 1}
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "sharp": i != 2} for i in COCO_IMAGES],
        "annotations": [*(coco_annotation(*row) for row in COCO_PEOPLE), crowd],
    }
    (root / "person_keypoints_train.json").write_text(json.dumps(document))


def write_lsp(root, rng):
    for name, size in LSP_IMAGES.items():
        write_image(root / "train" / name, size, rng)
    keypoints = np.stack([standing("lsp14", 20, 15, 40, 70)] * 2)
    keypoints = np.concatenate([keypoints, np.ones((2, 14, 1))], 2).astype(np.float32)
    keypoints[0, 0, 2] = 0  # the first person's right ankle is not labelled
    np.savez(root / "joints_train.npz", file_name=np.array(list(LSP_IMAGES)), keypoints=keypoints)


def write_predictions(path, ids, boxes, rng):
    """Close to the truth: most joints are right."""
    poses = np.stack([standing("network19", *box) for box in boxes])
    poses += rng.normal(0, 0.5, poses.shape).astype(np.float32)
    scores = rng.random((*poses.shape[:2], 1)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    keypoints = np.concatenate([poses, scores], 2)
    keypoints[:, 17:] = np.nan
    np.savez(path, ann_id=np.array(ids), keypoints=keypoints, names=np.array(NETWORK.joints))


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The folder; tests only read it. "beta" is blind to person 12 and to LSP, and lists people in another order."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    write_coco(root / "coco", rng)
    write_lsp(root / "lsp_extended", rng)
    boxes = {row[0]: row[2:6] for row in COCO_PEOPLE}
    predictions = root / "predictions"
    write_predictions(predictions / "coco_train" / "alpha.npz", list(boxes), list(boxes.values()), rng)
    seen = [16, 15, 14, 13, 11, 999]  # 999 is nobody here
    write_predictions(predictions / "coco_train" / "beta.npz", seen, [boxes.get(i, (0, 0, 9, 9)) for i in seen], rng)
    write_predictions(predictions / "lsp_train" / "alpha.npz", [0, 1], [(20, 15, 40, 70)] * 2, rng)
    return root


@pytest.fixture(scope="session")
def trunk_file(tmp_path_factory) -> Path:
    """An untrained PP-TinyPose, whose maps are about as high as published ones."""
    pytest.importorskip("onnx")
    network = TinyPose()
    network(torch.zeros(1, 3, 64, 64))
    network.layers[-1] = tuple(0.02 * values for values in network.layers[-1])
    return write_onnx(tmp_path_factory.mktemp("init") / "tinypose.onnx", network.layers)
