"""Halpe-26, Halpe-136 and COCO-WholeBody: the body is refined; hands, face and feet come back as they were."""

import json
from copy import deepcopy

import numpy as np
import pytest

from pose_refine import formats, refine
from pose_refine.skeletons import MIDDLES, NETWORK, SKELETONS

# What is refined: the network's joints, and those in the middle of them.
REFINED = {*NETWORK.joints, *MIDDLES}
# Their places, from the data sets' own pages, cited in tests/test_skeletons.py: COCO's 17, and Halpe's Head, Neck, Hip.
BODY = {"halpe26": range(20), "halpe136": range(20), "wholebody133": range(17)}
EVERY = pytest.mark.parametrize("skeleton", BODY)
# COCO-WholeBody's other keys: https://github.com/jin-s13/COCO-WholeBody/blob/master/data_format.md
PARTS = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


@pytest.fixture(scope="module")
def everyone(photo, pose):
    """The pose in the photograph as (1, K, 3) for each skeleton; other joints at odd places, some not there."""
    rng = np.random.default_rng(0)
    out = {}
    for name in BODY:
        joints = SKELETONS[name].joints
        values = rng.uniform(50, 400, (1, len(joints), 3)).astype(np.float32)
        values[:, ::7] = 0
        for joint, triplet in zip(SKELETONS["coco17"].joints, pose[0], strict=True):
            values[0, joints.index(joint)] = 0 if np.isnan(triplet[0]) else triplet
        if "head_top" in joints:
            values[0, [joints.index(n) for n in ("head_top", "neck", "mid_hip")]] = 0
        out[name] = values
    return out


@EVERY
def test_which_joints_are_the_body(skeleton):
    joints = SKELETONS[skeleton].joints
    assert [i for i, n in enumerate(joints) if n in REFINED] == list(BODY[skeleton])


@EVERY
def test_arrays(photo, everyone, skeleton):
    given = everyone[skeleton]
    before = given.copy()
    out = refine(photo, given)
    body = np.isin(np.arange(given.shape[1]), list(BODY[skeleton]))
    np.testing.assert_array_equal(out[:, ~body], given[:, ~body])
    assert (out[:, body] != given[:, body]).any(-1).all()
    there = body & (given != 0).any(-1)[0]
    assert np.hypot(*(out - given)[0, there, :2].T).max() < 30
    np.testing.assert_array_equal(given, before)


@EVERY
def test_coco_results_of_that_many_joints(photo, everyone, skeleton):
    """As AlphaPose writes Halpe-26 and Halpe-136: everything in "keypoints"."""
    flat = [float(v) for v in everyone[skeleton].ravel()]
    given = [
        {"image_id": "photo.jpg", "category_id": 1, "keypoints": flat, "score": 2.9, "box": [1, 2, 3, 4], "idx": 5}
    ]
    before = deepcopy(given)
    out = refine(photo, given)
    assert given == before
    own, theirs = (json.dumps(d[0].pop("keypoints")[3 * len(BODY[skeleton]) :]) for d in (out, given))
    assert own == theirs
    assert json.dumps(out) == json.dumps(given)


def whole_body(pose):
    """A result as COCO-WholeBody writes one: 17 joints in "keypoints", the others beside them."""
    rng = np.random.default_rng(0)
    parts = {k: rng.uniform(0, 500, 3 * n).round(5).tolist() for k, n in PARTS.items()}
    keypoints = [float(v) for v in np.nan_to_num(pose).ravel()]
    return {"image_id": 7, "category_id": 1, "keypoints": keypoints, **parts, "score": 0.9}


def test_coco_whole_body_results(photo, pose):
    given = [whole_body(pose)]
    out = refine(photo, given)
    assert formats.read(given).skeleton == "coco17"
    assert out[0].pop("keypoints") != given[0].pop("keypoints")
    assert json.dumps(out) == json.dumps(given)


def test_coco_whole_body_annotations(photo, pose):
    flags = {"face_valid": True, "lefthand_valid": False, "face_box": [1.0, 2.0, 3.0, 4.0], "num_keypoints": 17}
    entry = {**whole_body(pose), **flags, "id": 3}
    entry["keypoints"][2::3] = [2 * (v > 0) for v in entry["keypoints"][2::3]]
    category = {"id": 1, "name": "person", "keypoints": list(SKELETONS["coco17"].joints)}
    given = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [entry], "categories": [category]}
    out = refine(photo, given)
    for document in (out, given):
        del document["annotations"][0]["num_keypoints"]
    assert out["annotations"][0].pop("keypoints") != given["annotations"][0].pop("keypoints")
    assert json.dumps(out) == json.dumps(given)


def test_halpe_annotations_name_no_joints(photo, everyone):
    """136 joints in "keypoints", the layout COCO's: https://github.com/Fang-Haoshu/Halpe-FullBody"""
    values = everyone["halpe136"].astype(float)
    values[..., 2] = 2 * (values[..., 2] > 0)
    entry = {"id": 3, "image_id": 7, "category_id": 1, "keypoints": values.ravel().tolist(), "bbox": [1, 2, 3, 4]}
    given = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [entry], "categories": [{"id": 1}]}
    assert formats.read(given).skeleton == "halpe136"
    out = refine(photo, given)["annotations"][0]["keypoints"]
    assert json.dumps(out[60:]) == json.dumps(entry["keypoints"][60:])
    assert out[:51] != entry["keypoints"][:51]
