"""One object of every format from the same joints: x, y, score (N, K, 3) of COCO's seventeen, or the format's own."""

import numpy as np
import torch

from fakes.deeplabcut import table
from fakes.detectron2 import Instances
from fakes.mediapipe import NormalizedLandmark, PoseLandmarkerResult
from fakes.mmpose import topdown
from fakes.openpose import Datum
from fakes.supervision import KeyPoints, OldKeyPoints
from fakes.ultralytics import Results
from pose_refine.skeletons import SKELETONS

SHAPE = 400, 600  # height, width


def flat(joints):
    return [[float(v) for v in person.reshape(-1)] for person in joints]


def openpose(joints, key):
    return {"people": [{"person_id": [-1], key: f} for f in flat(joints)]}


def detectron2(joints):
    return Instances((9, 9), pred_keypoints=torch.from_numpy(joints + np.float32([0.5, 0.5, 0])))


def mmpose_json(joints):
    return [{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist()} for p in joints]


def pair(joints, scores):
    return {"xy": joints[..., :2].copy(), scores: joints[..., 2].copy()}


def coco(joints):
    return [{"image_id": 1, "category_id": 1, "keypoints": f, "score": 0.5} for f in flat(joints)]


def annotations(joints, scores=False):
    people = [
        {"id": i, "image_id": 1, "category_id": 1, "keypoints": f, "num_keypoints": len(f) // 3}
        for i, f in enumerate(flat(joints))
    ]
    for person, own in zip(people, joints, strict=True):
        person["keypoints"][2::3] = [2.0 * (s > 0) for s in own[:, 2]]
        if scores:
            person["scores"] = [float(s) for s in own[:, 2]]
    category = {"id": 1, "name": "person"}
    return {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": people, "categories": [category]}


def posetrack(joints):
    people = [
        {"track_id": [i], "annopoints": [{"point": [
            {"id": [k], "x": [float(x)], "y": [float(y)], "score": [float(s)]} for k, (x, y, s) in enumerate(own)
        ]}]}
        for i, own in enumerate(joints)
    ]  # fmt: skip
    return {"image": [{"name": "a.jpg"}], "annorect": people}


def mpii(joints):
    return [
        {"image": "a.jpg", "joints": [[float(x) + 1, float(y) + 1] for x, y, _ in own], "joints_vis": [1] * len(own)}
        for own in joints
    ]


def deeplabcut(joints):
    names = SKELETONS["coco17"].joints
    people = [f"person{i}" for i in range(len(joints))]
    columns = [("net", p, n, c) for p in people for n in names for c in ("x", "y", "likelihood")]
    return table(joints.reshape(1, -1), ("scorer", "individuals", "bodyparts", "coords"), columns)


def mediapipe(joints):
    height, width = SHAPE
    marks = [
        [NormalizedLandmark((x + 0.5) / width, (y + 0.5) / height, 0.1, s, 0.9) for x, y, s in own.astype(float)]
        for own in joints
    ]
    return PoseLandmarkerResult(marks, [])


def movenet(joints):
    height, width = SHAPE
    out = np.zeros((1, 6, 56), np.float32)
    shares = np.stack([(joints[..., 1] + 0.5) / height, (joints[..., 0] + 0.5) / width, joints[..., 2]], -1)
    out[0, : len(joints), :51], out[0, : len(joints), 55] = shares.reshape(len(joints), -1), 0.9
    return out


def torchvision(joints):
    keypoints = torch.from_numpy(np.concatenate([joints[..., :2] + np.float32(0.5), np.ones_like(joints[..., :1])], -1))
    scores = torch.from_numpy(joints[..., 2].copy())
    return {"boxes": torch.zeros(len(joints), 4), "keypoints": keypoints, "keypoints_scores": scores}


def vitpose(joints):
    return [
        {"keypoints": torch.from_numpy(own[:, :2].copy()), "scores": torch.from_numpy(own[:, 2].copy()),
         "labels": torch.arange(len(own)), "bbox": torch.zeros(4)}
        for own in joints
    ]  # fmt: skip


# Name of a variant to the format, the number of joints, what makes it of joints, and whether scores are kept.
KINDS = {
    "array": ("array", 17, np.copy, True),
    "array of x, y": ("array", 17, lambda j: j[..., :2].copy(), False),
    "array of integers": ("array", 17, lambda j: j.astype(np.int64), False),
    "OpenPose": ("openpose", 25, lambda j: openpose(j, "pose_keypoints_2d"), True),
    "OpenPose, older": ("openpose", 18, lambda j: openpose(j, "pose_keypoints"), True),
    "OpenPose, HALPE_26": ("openpose", 26, lambda j: openpose(j, "pose_keypoints_2d"), True),
    "OpenPose's Datum": ("openpose_api", 25, lambda j: Datum(j.copy()), True),
    "AlphaPose, cmu": ("alphapose", 18, lambda j: {"bodies": [{"joints": f} for f in flat(j)]}, True),
    "COCO results": ("coco", 17, coco, True),
    "COCO annotations": ("coco_annotations", 17, annotations, False),
    "PoseTrack 2018": ("coco_annotations", 17, lambda j: annotations(j, scores=True), True),
    "PoseTrack 2017": ("posetrack", 15, posetrack, True),
    "MPII": ("mpii", 16, mpii, False),
    "DeepLabCut": ("deeplabcut", 17, deeplabcut, True),
    "Detectron2": ("detectron2", 17, detectron2, True),
    "Detectron": ("detectron1", 17, lambda j: [np.stack([p[:, 0], p[:, 1], p[:, 2] * 9, p[:, 2]]) for p in j], True),
    "MMPose": ("mmpose", 17, lambda j: topdown(j[..., :2].copy(), j[..., 2].copy()), True),
    "MMPose's JSON": ("mmpose", 17, mmpose_json, True),
    "rtmlib": ("rtmlib", 17, lambda j: (j[..., :2].copy(), j[..., 2].copy()), True),
    "ViTPose": ("vitpose", 17, vitpose, True),
    "Ultralytics": ("ultralytics", 17, lambda j: Results(torch.from_numpy(j.copy())), True),
    "supervision": ("supervision", 17, lambda j: KeyPoints(**pair(j, "keypoint_confidence")), True),
    "supervision, old": ("supervision", 17, lambda j: OldKeyPoints(**pair(j, "confidence")), True),
    "MediaPipe": ("mediapipe", 33, mediapipe, True),
    "MoveNet": ("movenet", 17, movenet, True),
    "torchvision": ("torchvision", 17, torchvision, True),
}  # fmt: skip
PIXELS = [
    name for name, kind in KINDS.items() if kind[0] not in ("mpii", "mediapipe", "movenet", "torchvision", "detectron2")
]


def joints_of(rng, people, count):
    """(people, count, 3) in the image and no two alike, as a format's decimals hold them."""
    places = rng.integers(2, SHAPE[0] - 2, (people, count, 2)) + rng.integers(1, 4, (people, count, 2)) / 4
    scores = rng.integers(1, 64, (people, count, 1)) / 64
    return np.concatenate([places, scores], -1).astype(np.float32)
