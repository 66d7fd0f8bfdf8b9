import numpy as np
import pytest
import torch

from pose_refine import Poses, formats, refine
from pose_refine.formats import vitpose

BBOX = [200.0, 250.0, 200.875, 251.5]


def person(labels=tuple(range(17)), dtype=torch.float32, scale=1.0):
    """As transformers 5.23.0's VitPoseImageProcessor gives one, with threshold= where labels are left out.

    Joint k is at (k + 1.3, 10 k + 0.7), with score (k + 1) / 20.
    Source: https://huggingface.co/docs/transformers/model_doc/vitpose
    """
    known = torch.tensor(labels, dtype=torch.int64)
    return {
        "keypoints": (torch.stack([known + 1.3, 10 * known + 0.7], 1) * scale).to(dtype),
        "scores": ((known + 1) / 20).to(dtype),
        "labels": known,
        "bbox": torch.tensor(BBOX),
    }


def moved(poses, joints, triplet, row=0):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[row, joints], scores[row, joints] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one
    )


OURS = {
    "one image": [[person(), person((3, 5))]],
    "its people": [person(), person((3, 5))],
    "an image of nobody": [[]],
}
OTHERS = {
    "nobody": [],
    "torchvision's": [{"boxes": torch.ones(1, 4), "labels": torch.ones(1), "scores": torch.ones(1), "keypoints": 1}],
    "COCO results": [{"keypoints": [1, 2, 0.5] * 17, "scores": [1], "labels": [1], "bbox": BBOX}],
    "a tuple": ([person()],),
    "one person": person(),
    "mixed": [[person()], person()],
    "arrays": [np.ones((4, 17))],
}


@pytest.mark.parametrize("name", OURS)
def test_recognised(name):
    assert formats.detect(OURS[name]) == "vitpose"


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not_claimed(name):
    assert not vitpose.matches(OTHERS[name])


@pytest.mark.parametrize("name", ["one image", "its people"])
def test_read(name):
    poses = formats.read(OURS[name])
    assert poses.skeleton == "coco17"
    assert poses.present.sum(1).tolist() == [17, 2]
    assert np.flatnonzero(poses.present[1]).tolist() == [3, 5]
    assert np.allclose(poses.keypoints[:, 5], [6.3, 50.7])
    assert np.allclose(poses.scores[:, 5], 0.3)
    assert np.isnan(poses.scores[1, 4])


@pytest.mark.parametrize("name", OURS)
def test_round_trip_is_exact(name):
    given = OURS[name]
    out = vitpose.write(vitpose.read(given), given)
    people, before = (p[0] if name != "its people" else p for p in (out, given))
    assert len(people) == len(before)
    assert all(same(a, b) and a is not b for a, b in zip(people, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_only_the_changed_joint_changes(dtype):
    given = [[person(dtype=dtype), person((3, 5), dtype)]]
    out = vitpose.write(moved(vitpose.read(given), 5, (101.5, 102.25, 0.75), row=1), given)
    expected = person((3, 5), dtype)
    expected["keypoints"][1] = torch.tensor([101.5, 102.25])
    expected["scores"][1] = 0.75
    assert same(out[0][0], given[0][0])
    assert same(out[0][1], expected)
    assert same(given[0][1], person((3, 5), dtype))


def test_recovered_joints_come_in_the_order_of_labels():
    given = [person((3, 5))]
    out = vitpose.write(moved(vitpose.read(given), [0, 4, 16], (7, 8, 0.5)), given)[0]
    assert out["labels"].tolist() == [0, 3, 4, 5, 16]
    assert out["labels"].dtype == torch.int64
    assert torch.equal(out["keypoints"][[1, 3]], given[0]["keypoints"])
    assert out["keypoints"][[0, 2, 4]].tolist() == [[7, 8]] * 3
    assert out["scores"][[0, 2, 4]].tolist() == [0.5] * 3
    assert out["bbox"] is given[0]["bbox"]
    assert given[0]["labels"].tolist() == [3, 5]


def test_labels_in_another_order_keep_it():
    given = [person((5, 3))]
    out = vitpose.write(moved(vitpose.read(given), 3, (7, 8, 0.5)), given)[0]
    assert out["labels"].tolist() == [5, 3]
    assert out["keypoints"][1].tolist() == [7, 8]


def test_a_person_whose_joints_were_all_dropped():
    given = [[person(()), person()]]
    poses = vitpose.read(given)
    assert not poses.present[0].any()
    assert same(vitpose.write(poses, given)[0][0], person(()))


def test_a_joint_without_a_peak_is_missing():
    given = person()
    given["keypoints"][3], given["scores"][3] = torch.tensor([4.5213, -7.9365]), -1  # as recorded for heat maps of -1
    poses = vitpose.read([given])
    assert poses.present[0].tolist() == [True] * 3 + [False] + [True] * 13
    assert same(vitpose.write(poses, [given])[0], given)
    assert vitpose.write(moved(poses, 3, (7, 8, 0.5)), [given])[0]["keypoints"][3].tolist() == [7, 8]


SKELETONS = {
    "COCO": ((0, 16), None, "coco17"),
    "feet": ((0, 17), None, "wholebody133"),
    "last of the hands": ((132,), None, "wholebody133"),
    "MPII, said so": ((0, 15), "mpii16", "mpii16"),
    "whole body, only its body there": ((0, 16), "wholebody133", "wholebody133"),
}


@pytest.mark.parametrize("name", SKELETONS)
def test_skeleton(name):
    labels, asked, skeleton = SKELETONS[name]
    poses = formats.read([person(labels)], asked)
    assert poses.skeleton == skeleton
    assert np.flatnonzero(poses.present[0]).tolist() == list(labels)


BAD = {
    "two images": ([[person()], [person()]], None, "one image's people, got 2 images"),
    "a label too many": ([person((133,))], None, "wholebody133 has 133 joints, got label 133"),
    "another skeleton": ([person()], "mpii16", "mpii16 has 16 joints, got label 16"),
    "3D": ([person() | {"keypoints": torch.ones(17, 3)}], None, r"got \(17, 3\), \(17,\) and \(17,\)"),
    "fewer scores": ([person() | {"scores": torch.ones(16)}], None, r"\(16,\)"),
    "infinite": ([person(scale=np.inf)], None, "Inf"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


def test_format_by_name(photo):
    assert refine(photo, [], format="vitpose") == []
    with pytest.raises(ValueError, match="expected a list of dicts of tensors"):
        formats.read([{"keypoints": [1, 2, 3]}], format="vitpose")


@pytest.mark.parametrize("recover", [True, False])
def test_refine(photo, pose, recover):
    known = np.flatnonzero(~np.isnan(pose[0, :, 0]))
    given = person(tuple(known.tolist()))
    given["keypoints"] = torch.from_numpy(pose[0, known, :2])
    given["scores"] = torch.from_numpy(pose[0, known, 2])
    out = refine(photo, [[given]], recover=recover)[0][0]
    expected = refine(photo, pose, recover=recover)[0]
    assert out["labels"].tolist() == (list(range(17)) if recover else known.tolist())
    assert np.allclose(out["keypoints"].numpy(), expected[out["labels"].numpy(), :2], atol=0.01)
    assert np.allclose(out["scores"].numpy(), expected[out["labels"].numpy(), 2], atol=0.01)
