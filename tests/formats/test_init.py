import json

import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances

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
    "tensor": (torch.ones(1, 17, 3), r"got Tensor, .* a torch tensor needs \.cpu\(\)\.numpy\(\)"),
    "several images' Instances": ([INSTANCES, INSTANCES], "a list of 2 of format detectron2; .* one at a time"),
    "several images' arrays": ([TRIPLETS[0]] * 3, "a list of 3 of format array; .* one at a time"),
    "list of things": ([INSTANCES.pred_keypoints], "got list of Tensor, which is no format"),
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
    given, words = UNKNOWN[name]
    with pytest.raises(TypeError, match=words):
        formats.read(given)


def test_an_unknown_dict_is_told_by_its_keys():
    for given in ({"joints3d": []}, [{"joints3d": []}]):
        with pytest.raises(TypeError, match=r"with keys \['joints3d'\], which is no format"):
            formats.read(given)


def test_nested_lists_are_told_what_they_must_be():
    with pytest.raises(TypeError, match=r"list of list; .* pass np\.array\(poses"):
        formats.read([[[1.0, 2.0, 0.5]] * 17])


@pytest.mark.parametrize("format", formats.FORMATS)
@pytest.mark.parametrize("odd", [None, 3, "text", (), [], {}, object(), np.zeros(0), [[]], [None], ({}, {})], ids=str)
def test_no_format_stumbles_over_what_is_not_its_own(format, odd):
    assert formats.FORMATS[format].matches(odd) in (True, False)


def test_an_explicit_format_wins():
    flat = [1.0, 2, 0.5] * 18
    assert formats.read([{"keypoints": flat}], "coco18", format="coco").skeleton == "coco18"
    with pytest.raises(ValueError, match=r"format must be one of .*openpose.*, got 'openpos'"):
        formats.read(OPENPOSE, format="openpos")
    with pytest.raises(ValueError, match=r"OpenPose JSON: expected a 'people' list"):
        formats.read({"bodies": []}, format="openpose")


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
