"""What fuzzing has found: each of these failed before it was mended."""

import numpy as np
import pytest
import torch
from fakes.kinds import KINDS, SHAPE, joints_of
from fakes.weights import tiny_model

from fuzz.damage import answer
from fuzz.quick import picture, quick_refiner
from pose_refine import Poses
from pose_refine.formats.common import documents
from pose_refine.metrics import ground_truth as people
from pose_refine.nn import weights

REFINER = quick_refiner()


def made(name):
    _, joints, make, _ = KINDS[name]
    return make(joints_of(np.random.default_rng(0), 2, joints))


def with_it(name, change):
    poses = made(name)
    changed = change(poses)
    return changed if isinstance(changed, (np.ndarray, dict)) else poses


def first(key, value):
    return lambda poses: poses[0].update({key: value})


def entry(**changes):
    return lambda poses: poses["annotations"][0].update(changes)


def point(document):
    return document["annorect"][0]["annopoints"][0]["point"][0]


OBJECTS = {
    "points that are a number": ("PoseTrack 2017", lambda p: p["annorect"][0].update(annopoints=[7])),
    "points beyond float32": ("PoseTrack 2017", lambda p: point(p).update(x=[1e300])),
    "category without a name for its id": ("COCO annotations", lambda p: p["categories"][0].update(id=[1])),
    "category of no joints' list": ("COCO annotations", lambda p: p["categories"][0].update(keypoints=5)),
    "category of numbers for joints": ("COCO annotations", lambda p: p["categories"][0].update(keypoints=[0.5] * 17)),
    "scores in lists": ("PoseTrack 2018", entry(scores=[[1, 2]] + [0] * 16)),
    "scores that are words": ("PoseTrack 2018", entry(scores=["x"] * 17)),
    "keypoints that are a number": ("COCO results", first("keypoints", 5)),
    "an integer beyond all floats": ("COCO results", first("keypoints", [10**400] * 51)),
    "people that are an array": ("OpenPose", lambda p: p.update(people=np.zeros((2, 75)))),
    "bodies that are a tensor": ("AlphaPose, cmu", lambda p: p.update(bodies=torch.zeros(3))),
    "joints of another depth": ("MMPose's JSON", first("keypoints", [[[1.0, 2.0]] * 17])),
    "joints beyond float32": ("MPII", first("joints", [[1e300, 2.0]] * 16)),
    "labels that are no whole numbers": ("ViTPose", lambda p: p[0].update(labels=torch.full((17,), torch.nan))),
    "labels below zero": ("ViTPose", lambda p: p[0].update(labels=torch.arange(17) - 1)),
    "joints without numbers": ("ViTPose", first("keypoints", 1)),
    "a tensor without numbers": ("torchvision", lambda p: p.update(keypoints=torch.zeros(2, 17, 3, device="meta"))),
    "a tensor that is sparse": ("Ultralytics", lambda p: setattr(p.keypoints, "data", p.keypoints.data.to_sparse())),
    "keypoints that are a list": ("Ultralytics", lambda p: setattr(p, "keypoints", [1])),
    "scores of another shape": ("supervision", lambda p: setattr(p, "keypoint_confidence", np.ones((1, 17, 3), "f4"))),
    "landmarks that are numbers": ("MediaPipe", lambda p: setattr(p, "pose_landmarks", [[1] * 33])),
    "people of as many landmarks as they like": ("MediaPipe", lambda p: p.pose_landmarks[0].pop()),
    "landmarks beyond float32": ("MediaPipe", lambda p: setattr(p.pose_landmarks[0][0], "x", 1e300)),
    "shares beyond float32": ("MoveNet", lambda p: np.full_like(p, 3e38)),
    "words in a shape that is right": ("MoveNet", lambda p: p.astype(str)),
    "complex numbers": ("MoveNet", lambda p: p.astype(np.complex64)),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_poses_are_refused_in_words(name):
    poses = with_it(*OBJECTS[name])
    assert answer(lambda: REFINER.refine(picture(*SHAPE), poses)) is None


DOCUMENTS = {
    "categories with lists as ids": ("COCO annotations", lambda p: p["categories"][0].update(id=[1])),
    "categories that are a number": ("COCO annotations", lambda p: p.update(categories=5)),
    "entries that are lists": ("PoseTrack 2017", lambda p: {"annolist": [{"image": "a", "annorect": [[1]]}]}),
    "scores in lists": ("PoseTrack 2018", entry(scores=[[1, 2]] + [0] * 16)),
    "integers beyond all floats": ("MPII", first("joints", [[10**400, 0]] * 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_refused_in_words(name):
    document = with_it(*DOCUMENTS[name])
    assert None in (answer(lambda: people.read(document)), answer(lambda: documents.frames(document)))


IMAGES = {
    "bfloat16": torch.zeros(9, 9, 3, dtype=torch.bfloat16),
    "without numbers": torch.zeros(9, 9, 3, dtype=torch.uint8, device="meta"),
    "sparse": torch.ones(9, 9, 3, dtype=torch.uint8).to_sparse(),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_refused_in_words(name):
    assert answer(lambda: REFINER.refine(IMAGES[name], made("array"))) is None


@pytest.mark.parametrize("option", ["color", "format"])
def test_options_that_are_arrays(option):
    assert answer(lambda: REFINER.refine(picture(9, 9), made("array"), **{option: np.zeros(3)})) is None


def test_moves_beyond_float32_do_not_overflow():
    far = np.full((1, 17, 2), -3e38, np.float32)
    far[0, :3] = 5
    result = REFINER.analyze(picture(9, 9), Poses(far, np.ones((1, 17), np.float32), "coco17"))
    assert np.isfinite(result.shift).all() and (result.verdict[0, 3:] == "moved").all()


def test_what_is_masked_is_missing():
    values = made("array")[:1]
    masked = np.ma.masked_array(values, np.zeros(values.shape, bool))
    masked[0, 5], masked.data[0, 5] = np.ma.masked, 1e30
    poses = Poses.from_any(masked)
    assert not poses.present[0, 5] and poses.present.sum() == 16
    assert type(REFINER.refine(picture(*SHAPE), masked)) is np.ndarray


@pytest.mark.parametrize("what", ["image", "poses", "weights"])
def test_names_that_no_file_can_have(what):
    """A picture as base64 text, say: it is said in a line, not in all of its text."""
    name = "/9j/4AAQ" * 1000
    asked = {"image": picture(9, 9), "poses": made("array"), what: name}
    with pytest.raises(FileNotFoundError) as told:
        weights.find(name) if what == "weights" else REFINER.refine(asked["image"], asked["poses"])
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path, value):
    model = tiny_model(width=1, coarse=1, size=(32, 32))
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = value
    weights.save(model, "broken", tmp_path)
    with pytest.raises(ValueError, match="not finite: network"):
        weights.load(tmp_path)
