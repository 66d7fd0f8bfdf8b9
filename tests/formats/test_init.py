import json
import re

import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses, formats

COCO = [{"image_id": 7, "keypoints": [1.0, 2.0, 0.5] * 17}]
OPENPOSE = {"version": 1.3, "people": [{"person_id": [3], "pose_keypoints_2d": [1.0, 2.0, 0.5] * 25}]}
TRIPLETS = np.tile(np.array([1, 2, 0.5], np.float32), (1, 17, 1))
POSES = Poses(TRIPLETS[..., :2], TRIPLETS[..., 2], "coco17")
INSTANCES = Instances((480, 640), pred_keypoints=torch.from_numpy(TRIPLETS + np.float32([0.5, 0.5, 0])))

# Poses of one person, all joints at (1, 2), and the skeleton that is recognised.
KINDS = {
    "array of triplets": (TRIPLETS, "coco17"),
    "array of one person": (TRIPLETS[0], "coco17"),
    "Poses": (POSES, "coco17"),
    "COCO results": (COCO, "coco17"),
    "OpenPose": (OPENPOSE, "body25"),
    "Instances": (INSTANCES, "coco17"),
    "predictor's dict": ({"instances": INSTANCES}, "coco17"),
}
UNKNOWN = {
    "several images' Instances": ([INSTANCES, INSTANCES], "a list of 2 of format detectron2; .* one at a time"),
    "several images' arrays": ([TRIPLETS[0]] * 3, "a list of 3 of format array; .* one at a time"),
    "list of tensors": ([INSTANCES.pred_keypoints], "a list of 1 of format array; .* one at a time"),
    "tuple": (tuple(COCO), "got tuple"),
    "nothing": (None, "got NoneType"),
    "number": (5, "got int"),
    "path, which `load` is for": ("poses.json", "got str"),
}
SKELETONS = {
    "Poses of another": (POSES, "mpii16", "'mpii16', but the poses are 'coco17'"),
    "OpenPose of another": (OPENPOSE, "coco17", "'coco17', but the poses are 'body25'"),
    "COCO of another": (COCO, "mpii16", "mpii16 has 16 joints, got 17"),
    "array of another": (TRIPLETS, "mpii16", "mpii16 has 16 joints, got 17"),
    "Instances of another": (INSTANCES, "mpii16", "mpii16 has 16 joints, got 17"),
    "unknown": (OPENPOSE, "body26", "unknown skeleton 'body26'"),
    "unknown, nobody there": ([], "body26", "unknown skeleton 'body26'"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_recognised(name):
    given, skeleton = KINDS[name]
    for asked in (None, skeleton):
        poses = formats.read(given, asked)
        assert poses.skeleton == skeleton
        assert poses.keypoints.tolist() == [[[1, 2]] * poses.keypoints.shape[1]]
        assert (poses.scores == 0.5).all()


@pytest.mark.parametrize("name", KINDS)
def test_the_same_kind_comes_back(name):
    given, _ = KINDS[name]
    poses = formats.read(given)
    out = formats.write(Poses(poses.keypoints + np.float32(1), poses.scores, poses.skeleton, poses.ids), given)
    assert type(out) is type(given)
    assert formats.read(out).keypoints.tolist() == (poses.keypoints + 1).tolist()
    assert formats.read(given).keypoints.tolist() == poses.keypoints.tolist()


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_kinds(name):
    obj, words = UNKNOWN[name]
    with pytest.raises(TypeError, match=words):
        formats.read(obj)


def test_an_unknown_dict_is_told_by_its_keys():
    for obj in ({"joints3d": []}, [{"joints3d": []}]):
        with pytest.raises(TypeError, match=r"with keys \['joints3d'\], which is no format"):
            formats.read(obj)


def test_nested_lists_are_told_what_they_must_be():
    with pytest.raises(TypeError, match=r"list of list; .* pass np\.array\(poses"):
        formats.read([[[1.0, 2.0, 0.5]] * 17])


class Odd:
    """An object whose name in the list of tests is the same in all processes."""

    def __str__(self):
        return "an object"


@pytest.mark.parametrize("format", formats.FORMATS)
@pytest.mark.parametrize("odd", [None, 3, "text", (), [], {}, Odd(), np.zeros(0), [[]], [None], ({}, {})], ids=str)
def test_no_format_stumbles_over_what_is_not_its_own(format, odd):
    assert formats.FORMATS[format].matches(odd) in (True, False)


def test_an_explicit_format_wins():
    flat = [1.0, 2, 0.5] * 18
    assert formats.read([{"keypoints": flat}], "coco18", format="coco").skeleton == "coco18"
    with pytest.raises(ValueError, match=r"format must be one of .*openpose.*, got 'openpos'"):
        formats.read(OPENPOSE, format="openpos")
    with pytest.raises(ValueError, match=r"format='openpose': expected .*'people', .*with keys \['bodies'\]"):
        formats.read({"bodies": []}, format="openpose")


NOT_ONE_IMAGES = {
    "nothing": None,
    "a number": 3,
    "text": "poses.json",
    "an object": object(),
    "a class": Instances,
    "a tuple of lists": ([[1.0, 2.0]], [0.5]),
    "three arrays": (TRIPLETS,) * 3,
    "an empty dict": {},
    "an unknown dict": {"joints3d": []},
    "a list of numbers": [1.0, 2.0, 0.5] * 17,
    "nested lists": TRIPLETS.tolist(),
    "a list of nothing": [None],
    "a list of empty lists": [[], []],
    "a set": {1, 2},
    "a tensor": torch.ones(1, 17, 3),
}
CROSSED = {**{name: given for name, (given, _) in KINDS.items() if name != "Poses"}, **NOT_ONE_IMAGES}


@pytest.mark.parametrize("name", CROSSED)
@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_forced_format_on_another_object_says_what_it_expects(format, name):
    module, given = formats.FORMATS[format], CROSSED[name]
    if module.matches(given):
        return
    with pytest.raises(ValueError, match=re.escape(f"format={format!r}: expected {module.EXPECTED}, got a")):
        formats.read(given, format=format)
    with pytest.raises(ValueError, match=re.escape(f"format={format!r}: expected {module.EXPECTED}, got a")):
        formats.write(POSES, given, format=format)


@pytest.mark.parametrize("format", formats.FORMATS)
def test_an_empty_list_is_nobody_where_people_are_a_list(format):
    if format in formats.LISTS:
        assert len(formats.read([], format=format)) == 0
        assert formats.write(formats.read([], format=format), [], format=format) == []
    else:
        with pytest.raises(ValueError, match="expected"):
            formats.read([], format=format)


WORDS = ("people", "pose_keypoints_2d", "bodies", "joints", "keypoints", "image", "images", "annotations", "annolist",
         "annorect", "annopoints", "point", "id", "x", "y", "instance_info", "keypoint_scores", "image_id",
         "category_id", "categories", "instances", "predictions", "visualization", "joints_vis", "scores")  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-9, 9) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(content=JSON, format=st.sampled_from(formats.IN_FILES))
def test_no_json_makes_a_reader_stumble(content, format):
    """Whatever is in a file, a forced format reads it or says in a ValueError what is wrong."""
    try:
        poses = formats.read(content, format=format)
    except ValueError:
        return
    assert isinstance(poses, Poses)


@pytest.mark.parametrize("name", SKELETONS)
def test_skeletons_that_do_not_fit(name):
    given, skeleton, words = SKELETONS[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


def test_poses_are_taken_as_they_are():
    assert formats.read(POSES) is POSES
    assert formats.write(POSES, POSES) is POSES


@pytest.mark.parametrize("skeleton", ["coco18", "mpi15"])
def test_openpose_without_people_is_of_any_model(skeleton):
    empty = {"version": 1.3, "people": []}
    poses = formats.read(empty, skeleton)
    assert poses.skeleton == skeleton
    assert len(poses) == 0
    assert formats.write(poses, empty) == empty


@pytest.mark.parametrize("content", [COCO, OPENPOSE, []], ids=["COCO", "OpenPose", "nobody"])
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_load_reads_a_file(tmp_path, content, kind):
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(content))
    assert formats.load(kind(path)) == content


@pytest.mark.parametrize("name", KINDS)
def test_load_leaves_the_rest_alone(name):
    given, _ = KINDS[name]
    assert formats.load(given) is given


FILES = {
    "not JSON": b"{people: []}",
    "empty": b"",
    "truncated": json.dumps(OPENPOSE).encode()[:-5],
    "a picture": b"\xff\xd8\xff\xe0\x00\x10JFIF",
}


@pytest.mark.parametrize("name", FILES)
def test_load_says_which_file_is_not_json(tmp_path, name):
    path = tmp_path / "poses.json"
    path.write_bytes(FILES[name])
    with pytest.raises(ValueError, match=r"poses\.json: not a JSON file"):
        formats.load(path)


@pytest.mark.parametrize("name", ["none.json", "."], ids=["missing", "folder"])
def test_load_says_which_file_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no such pose file"):
        formats.load(tmp_path / name)


KEYPOINTS, SCORES = np.ones((2, 17, 2)), np.ones((2, 17))
PAIR = r"a pair of keypoints and scores must be a tuple of numpy float arrays \(N, K, 2\) and \(N, K\)"
# What is nearly a pair, or an array, and what is said.
NEARLY = {
    "whole pixels": ((KEYPOINTS.astype(int), SCORES), PAIR),
    "tensors": ((torch.from_numpy(KEYPOINTS), torch.from_numpy(SCORES)), PAIR),
    "a list": ([KEYPOINTS, SCORES], PAIR),
    "one person's": ((KEYPOINTS[0], SCORES[0]), PAIR),
    "an array a person": ([np.ones((17, 3))] * 3, r"pass np.stack\(poses\)"),
    "a person alone": ([KEYPOINTS[0]], r"pass np.stack\(poses\)"),
    "of several images": ([np.ones((2, 17, 3))] * 2, "pass them one at a time"),
    "of other shapes": ([np.ones((17, 3)), np.ones((5, 3))], "pass them one at a time"),
}


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_nearly_a_format_is_told_how_to_be_one(name):
    poses, words = NEARLY[name]
    with pytest.raises(TypeError, match=words):
        formats.read(poses)
