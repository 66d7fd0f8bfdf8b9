import json
from collections import defaultdict
from copy import deepcopy

import numpy as np
import pytest
import torch
from fakes.detectron2 import Instances
from fakes.mmpose import InstanceData, PoseDataSample, inferencer, merge_data_samples, split_instances, topdown

from pose_refine import Poses, formats, refine
from pose_refine.formats import mmpose
from pose_refine.skeletons import SKELETONS

NAMES = dict(enumerate(SKELETONS["coco17"].joints))
JOINTS = np.arange(2 * 17 * 2, dtype=np.float32).reshape(2, 17, 2) + 0.3
SCORES = np.linspace(0.1, 0.9, 2 * 17, dtype=np.float32).reshape(2, 17)


def samples(keypoints=JOINTS, scores=SCORES, dataset="coco"):
    """As inference_topdown gives them: a data sample a person."""
    return [topdown(k[None].copy(), s[None].copy(), dataset) for k, s in zip(keypoints, scores, strict=True)]


def merged(keypoints=JOINTS, scores=SCORES):
    return merge_data_samples(samples(keypoints, scores))


def entries(keypoints=JOINTS, scores=SCORES):
    """What the Inferencer writes for an image, read from JSON."""
    return json.loads(json.dumps(split_instances(merged(keypoints, scores).pred_instances), default=float))


def tensors():
    sample = merged().clone()
    instances = sample.pred_instances
    arrays = {k: torch.from_numpy(getattr(instances, k)).double() for k in instances.keys()}  # noqa: SIM118
    return PoseDataSample(metainfo=sample.metainfo, pred_instances=InstanceData(**arrays))


# Two people, in all that MMPose hands over for one image.
KINDS = {
    "data samples": samples,
    "one data sample": merged,
    "bare instances": lambda: merged().pred_instances,
    "tensors": tensors,
    "Inferencer": lambda: inferencer(merged()),
    "Inferencer, data samples": lambda: inferencer(merged(), return_datasamples=True),
    "its JSON": entries,
    "demo's JSON": lambda: {"meta_info": {"dataset_name": "coco"}, "instance_info": entries()},
    "a video's frame": lambda: {"frame_id": 3, "instances": entries()},
}


def both(poses):
    """Keypoints and scores, whatever the kind."""
    if isinstance(poses, dict):
        poses = (
            poses["predictions"][0] if "predictions" in poses else poses.get("instance_info", poses.get("instances"))
        )
    parts = poses if isinstance(poses, list) else [poses]
    if isinstance(parts[0], dict):
        return tuple(np.array([p[key] for p in parts]) for key in ("keypoints", "keypoint_scores"))
    parts = [getattr(p, "pred_instances", p) for p in parts]
    return tuple(np.concatenate([np.asarray(getattr(p, k)) for p in parts]) for k in ("keypoints", "keypoint_scores"))


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


@pytest.mark.parametrize("name", KINDS)
def test_recognised_and_read(name):
    given = KINDS[name]()
    assert formats.detect(given) == "mmpose"
    poses = formats.read(given)
    assert poses.skeleton == "coco17"
    assert np.array_equal(poses.keypoints, JOINTS)
    assert np.array_equal(poses.scores, SCORES)


OTHERS = {
    "Instances": Instances((4, 5), pred_keypoints=torch.ones(1, 17, 3)),
    "COCO results": [{"image_id": 7, "keypoints": [1.0, 2.0, 0.5] * 17}],
    "OpenPose": {"version": 1.3, "people": []},
    "array": JOINTS,
    "nobody": [],
    "nothing": None,
    "lists": [[1, 2]],
    "predictions of something else": {"predictions": [1, 2]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_claimed(name):
    assert not mmpose.matches(OTHERS[name])


@pytest.mark.parametrize("name", KINDS)
def test_round_trip_is_exact(name):
    given = KINDS[name]()
    out = mmpose.write(mmpose.read(given), given)
    assert type(out) is type(given)
    for new, old in zip(both(out), both(given), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)


@pytest.mark.parametrize("name", ["its JSON", "demo's JSON"])
def test_json_comes_back_byte_for_byte(name):
    given = KINDS[name]()
    assert json.dumps(mmpose.write(mmpose.read(given), given)) == json.dumps(given)


@pytest.mark.parametrize("name", KINDS)
def test_only_the_changed_joint_changes(name):
    given = KINDS[name]()
    before = [v.copy() for v in both(given)]
    out = mmpose.write(moved(mmpose.read(given), 1, 5, (101.5, 102.25, 0.75)), given)
    keypoints, scores = (v.copy() for v in before)
    keypoints[1, 5], scores[1, 5] = (101.5, 102.25), 0.75
    assert np.array_equal(both(out)[0], keypoints)
    assert np.array_equal(both(out)[1], scores)
    assert all(np.array_equal(a, b) for a, b in zip(both(given), before, strict=True))


def test_other_fields_are_shared():
    given = samples()
    out = mmpose.write(moved(mmpose.read(given), 1, 5, (1, 2, 0.5)), given)
    for new, old in zip(out, given, strict=True):
        assert new is not old
        assert new.metainfo == old.metainfo
        assert new.gt_instances is old.gt_instances
        assert new.pred_instances.bboxes is old.pred_instances.bboxes
        assert new.pred_instances.keys() == old.pred_instances.keys()


def test_inferencers_dict_stays_what_it_is():
    given = inferencer(merged())
    box = given["predictions"][0][0]["bbox"]
    out = mmpose.write(moved(mmpose.read(given), 0, 0, (1, 2, 0.5)), given)
    assert type(out) is defaultdict
    assert out["visualization"] is given["visualization"]
    assert out["predictions"][0][0]["bbox"] == box
    assert isinstance(box, tuple)


def test_visible_follows_the_scores_that_it_was():
    given = samples()
    out = mmpose.write(moved(mmpose.read(given), 1, 5, (1, 2, 0.75)), given)
    assert out[1].pred_instances.keypoints_visible[0, 5] == 0.75
    assert given[1].pred_instances.keypoints_visible[0, 5] == SCORES[1, 5]


def test_visible_of_its_own_stays():
    given = merged()
    given.pred_instances.keypoints_visible = np.zeros((2, 17), np.float32)
    out = mmpose.write(moved(mmpose.read(given), 1, 5, (1, 2, 0.75)), given)
    assert (out.pred_instances.keypoints_visible == 0).all()


# Scores, and which joints are there. The decoder puts a joint whose peak is not above 0 beside the crop.
FOUND = {
    "peak of 0": ([0, 0.5, *[0.9] * 15], [False, *[True] * 16]),
    "negative peak": ([-0.05, 0.5, *[0.9] * 15], [False, *[True] * 16]),
    "scores that say nothing": ([0] * 17, [True] * 17),
}


@pytest.mark.parametrize("kind", [samples, entries], ids=["data samples", "JSON"])
@pytest.mark.parametrize("name", FOUND)
def test_joints_without_a_peak_are_missing(name, kind):
    scores, there = FOUND[name]
    given = kind(JOINTS[:1], np.array([scores], np.float32))
    poses = mmpose.read(given)
    assert poses.present[0].tolist() == there
    out = mmpose.write(moved(poses, 0, 16, (7, 8, 0.5)), given)
    assert np.array_equal(both(out)[0][0, 0], both(given)[0][0, 0])
    out = mmpose.write(moved(poses, 0, 0, (7, 8, 0.5)), given)
    assert both(out)[0][0, 0].tolist() == [7, 8]
    assert both(out)[1][0, 0] == 0.5


NOBODY = {
    "merged": merge_data_samples([]),
    "no instances": PoseDataSample(metainfo={"dataset_name": "mpii"}, pred_instances=InstanceData()),
    "of no length": PoseDataSample(
        pred_instances=InstanceData(keypoints=np.empty((0, 17, 2)), keypoint_scores=np.empty((0, 17)))
    ),
    "Inferencer": defaultdict(list, visualization=[], predictions=[[]]),
    "demo": {"meta_info": {"dataset_name": "mpii"}, "instance_info": []},
}


@pytest.mark.parametrize("name", NOBODY)
def test_nobody(name, photo):
    given = NOBODY[name]
    assert formats.detect(given) == "mmpose"
    assert len(formats.read(given)) == 0
    assert len(formats.read(given, "lsp14")) == 0
    out = refine(photo, given)
    assert type(out) is type(given)
    assert len(mmpose.read(out)) == 0


# Data set, number of joints, and the skeleton.
DATA_SETS = {
    "coco": (17, "coco17"),
    "posetrack18": (17, "posetrack17"),
    "mpii": (16, "mpii16"),
    "aic": (14, "aic14"),
    "crowdpose": (14, "crowdpose14"),
    "halpe26": (26, "halpe26"),
    "coco_wholebody": (133, "wholebody133"),
    "h36m": (17, "h36m17"),
}


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_data_set_tells_the_skeleton(data_set):
    count, skeleton = DATA_SETS[data_set]
    given = samples(np.ones((1, count, 2), np.float32), np.ones((1, count), np.float32), data_set)
    assert mmpose.read(given).skeleton == skeleton


@pytest.mark.parametrize("skeleton", ["coco17", "posetrack17", "mpii16", "aic14", "crowdpose14", "lsp14"])
def test_names_tell_the_skeleton(skeleton):
    joints = SKELETONS[skeleton].joints
    meta = {"dataset_name": "mine", "keypoint_id2name": {str(i): n for i, n in reversed(list(enumerate(joints)))}}
    people = entries(np.ones((1, len(joints), 2)), np.ones((1, len(joints))))
    assert mmpose.read({"meta_info": meta, "instance_info": people}).skeleton == skeleton


def test_number_tells_the_skeleton_where_nothing_is_said():
    assert mmpose.read(entries(np.ones((1, 26, 2)), np.ones((1, 26)))).skeleton == "halpe26"


def test_skeleton_by_name():
    given = samples(dataset="animalpose")
    assert mmpose.read(given, "coco17").skeleton == "coco17"


WITHOUT_SCORES = merged()
WITHOUT_SCORES.pred_instances = InstanceData(bboxes=np.ones((2, 4)))
BAD = {
    "boxes only": (WITHOUT_SCORES, "expected pred_instances with"),
    "ground truth only": (PoseDataSample(gt_instances=InstanceData(bboxes=np.ones((2, 4)))), "expected pred_instances"),
    "another order of 17 joints": (samples(dataset="ap10k"), "data set 'ap10k' with 17 joints is not known; pass skel"),
    "a data set's other joints": (samples(dataset="mpii"), "data set 'mpii' with 17 joints"),
    "14 joints, nothing said": (entries(JOINTS[:, :14], SCORES[:, :14]), "14 joints need skeleton="),
    "3D": (merged(np.ones((2, 17, 3)), SCORES), r"got \(2, 17, 3\)"),
    "3D JSON": (entries(np.ones((2, 17, 3)), SCORES), r"got \(1, 17, 3\)"),
    "scores of other people": (entries(JOINTS, SCORES[:, :5]), r"\(1, 5\)"),
    "two numbers of joints": (entries(JOINTS[:1], SCORES[:1]) + entries(JOINTS[:1, :16], SCORES[:1, :16]), "16, 17"),
    "words": ([{"keypoints": [["x", 1]] * 17, "keypoint_scores": [1] * 17}], "expected keypoints"),
    "ragged": ([{"keypoints": [[1, 1], [2]], "keypoint_scores": [1, 1]}], "expected keypoints"),
    "infinite": (merged(JOINTS * np.float32(np.inf), SCORES), "Inf"),
    "two images": (
        [topdown(JOINTS[:1], SCORES[:1], image="a.jpg"), topdown(JOINTS[1:], SCORES[1:], image="b.jpg")],
        r"of one image, got \['a.jpg', 'b.jpg'\]",
    ),
    "two images of the Inferencer": ({"visualization": [], "predictions": [entries(), entries()]}, "one image, got 2"),
    "a detector's": ({"visualization": [], "predictions": [{"bboxes": [[1, 2, 3, 4]]}]}, "expected data samples"),
    "a video": ({"instance_info": [{"frame_id": 1, "instances": entries()}]}, "pass the 'instances' of one"),
    "a frame of boxes": ({"frame_id": 1, "instances": [{"bbox": [1, 2, 3, 4]}]}, "MMPose: expected data samples"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given)


def test_nobody_by_name_of_the_format(photo):
    assert refine(photo, [], format="mmpose") == []


def test_another_skeleton():
    with pytest.raises(ValueError, match="mpii16 has 16 joints, got 17"):
        formats.read(entries(), "mpii16")


@pytest.mark.parametrize("kind", [samples, entries], ids=["data samples", "JSON"])
def test_refine(photo, pose, kind):
    keypoints, scores = np.nan_to_num(pose[..., :2]), pose[..., 2]
    given = kind(keypoints, scores)
    before = deepcopy(both(given))
    out = refine(photo, given)
    assert type(out) is type(given)
    expected = refine(photo, np.concatenate([keypoints, scores[..., None]], -1))
    assert np.abs(both(out)[0] - expected[..., :2]).max() < 0.01
    assert np.abs(both(out)[1] - expected[..., 2]).max() < 0.01
    assert all(np.array_equal(a, b) for a, b in zip(both(given), before, strict=True))
