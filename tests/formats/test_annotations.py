"""COCO annotation files of one image, PoseTrack 2018's and others of that layout."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses, formats, refine
from pose_refine.formats import annotations
from pose_refine.skeletons import SKELETONS

PLAIN = settings(deadline=None, max_examples=60)
COCO17 = list(SKELETONS["coco17"].joints)
# The categories' names as the datasets write them: PoseTrack 2018 (poseval's convert.py), CrowdPose (its files),
# AI Challenger as MMPose converts it (configs/_base_/datasets/aic.py).
POSETRACK17 = ["nose", "head_bottom", "head_top", *COCO17[3:]]
CROWDPOSE = [*COCO17[5:], "head", "neck"]
AIC = [f"{side}_{j}" for js in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")) for side in ("right", "left")
       for j in js] + ["head_top", "neck"]  # fmt: skip
AP10K = [f"{n} of animal" for n in COCO17]


def person(*triplets, **more):
    """An annotation with these joints; the others are not labelled."""
    keypoints = [v for t in triplets for v in t] + [0] * 3 * (17 - len(triplets))
    labelled = sum(v > 0 for v in keypoints[2::3])
    return {"id": 55, "image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 900.5, "iscrowd": 0,
            "num_keypoints": labelled, "keypoints": keypoints, **more}  # fmt: skip


def document(*people, names=COCO17):
    categories = [{"id": 1, "name": "person", "keypoints": names, "skeleton": [[16, 14]]}] if names else []
    images = [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}]
    return {"info": {"year": 2017}, "images": images, "annotations": list(people), "categories": categories}


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton, poses.ids)


def test_flags_are_no_scores():
    poses = annotations.read(document(person((10, 20, 2), (11, 21, 1), (12, 22, 2))))
    assert poses.keypoints[0, :3].tolist() == [[10, 20], [11, 21], [12, 22]]
    assert poses.present[0].tolist() == [True] * 3 + [False] * 14
    assert np.isnan(poses.scores).all()
    assert poses.ids == [55]


# A joint in the file, and whether it is there.
JOINTS = {
    "not labelled": ((0, 0, 0), False),
    "occluded": ((5, 6, 1), True),
    "visible": ((5, 6, 2), True),
    "in the corner": ((0, 0, 2), False),
    "with coordinates, flag 0": ((5, 6, 0), False),
}


@pytest.mark.parametrize("name", JOINTS)
def test_which_joints_are_missing(name):
    joint, there = JOINTS[name]
    given = document(person((10, 20, 2), joint))
    poses = annotations.read(given)
    assert poses.present[0].tolist() == [True, there] + [False] * 15
    out = annotations.write(moved(poses, 0, 0, (30, 40, 0.9)), given)
    assert out["annotations"][0]["keypoints"][3:6] == list(joint)


SKELETON = {
    "COCO": (COCO17, None, "coco17"),
    "PoseTrack 2018": (POSETRACK17, None, "posetrack17"),
    "PoseTrack 2018, named": (POSETRACK17, "posetrack17", "posetrack17"),
    "no names": (None, None, "coco17"),
    "no names, another skeleton": (None, "posetrack17", "posetrack17"),
    "other names, but told": (AP10K, "coco17", "coco17"),
    "names of another number of joints": (COCO17[:5], None, "coco17"),
}


@pytest.mark.parametrize("name", SKELETON)
def test_the_categorys_names_tell_the_skeleton(name):
    names, asked, skeleton = SKELETON[name]
    given = document(person((10, 20, 2)), names=names)
    assert annotations.read(given, asked).skeleton == skeleton
    assert formats.read(given, asked).skeleton == skeleton


@pytest.mark.parametrize(("names", "skeleton"), [(CROWDPOSE, "crowdpose14"), (AIC, "aic14")], ids=["CrowdPose", "AIC"])
def test_fourteen_joints_are_told_apart_by_name(names, skeleton):
    given = document({"image_id": 7, "category_id": 1, "keypoints": [1, 2, 2] * 14}, names=names)
    assert annotations.read(given).skeleton == skeleton


def test_an_image_without_people_has_its_categorys_skeleton():
    assert annotations.read(document(names=POSETRACK17)).skeleton == "posetrack17"
    assert annotations.read(document()).keypoints.shape == (0, 17, 2)
    assert annotations.write(annotations.read(document()), document()) == document()


def test_things_and_people_without_keypoints_are_left_alone():
    things = [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4]},
        {"id": 2, "image_id": 8, "keypoints": []},
    ]
    given = document(things[0], person((10, 20, 2)), things[1])
    poses = annotations.read(given)
    assert len(poses) == 1
    out = annotations.write(moved(poses, 0, 0, (30, 40, 0.9)), given)
    assert [out["annotations"][0], out["annotations"][2]] == things
    assert out["annotations"][1]["keypoints"][:3] == [30.0, 40.0, 2]


flagged = st.tuples(st.integers(0, 640) | st.floats(-50, 640), st.integers(0, 480), st.sampled_from([0, 1, 2]))
triplets = st.lists(flagged, max_size=17)


@PLAIN
@given(st.lists(triplets, max_size=3))
def test_round_trip_is_byte_for_byte(people):
    given = document(*(person(*p) for p in people))
    before = json.dumps(given)
    assert json.dumps(annotations.write(annotations.read(given), given)) == before
    assert json.dumps(given) == before


@PLAIN
@given(triplets, st.integers(0, 16))
def test_only_the_joint_that_moved_changes(joints, joint):
    given = document(person(*joints), person((1, 2, 2)))
    before = json.dumps(given)
    flag = given["annotations"][0]["keypoints"][3 * joint + 2]
    there = annotations.read(given).present[0, joint]
    out = annotations.write(moved(annotations.read(given), 0, joint, (6001.5, 6002.25, 0.9)), given)
    expected = deepcopy(given)
    expected["annotations"][0]["keypoints"][3 * joint : 3 * joint + 3] = [6001.5, 6002.25, flag if there else 1]
    expected["annotations"][0]["num_keypoints"] += not there and not flag  # labelled at (0, 0), it is counted already
    assert json.dumps(out) == json.dumps(expected)
    assert json.dumps(given) == before


# A joint that was missing comes back with this score; is it written?
RECOVERED = {
    "likely": (0.9, True),
    "as likely as not": (0.5, True),
    "unlikely": (0.49, False),
    "who knows": (np.nan, True),
}


@pytest.mark.parametrize("name", RECOVERED)
def test_a_recovered_joint_is_labelled_but_not_visible_if_it_is_likely(name):
    score, written = RECOVERED[name]
    given = document(person((10, 20, 2)))
    out = annotations.write(moved(annotations.read(given), 0, 4, (30.1234, 40, score)), given)
    assert out["annotations"][0]["keypoints"][12:15] == ([30.123, 40.0, 1] if written else [0, 0, 0])
    assert out["annotations"][0]["num_keypoints"] == 1 + written


def test_an_unlikely_joint_that_was_labelled_moves():
    given = document(person((10, 20, 2)))
    out = annotations.write(moved(annotations.read(given), 0, 0, (30, 40, 0.1)), given)
    assert out["annotations"][0]["keypoints"][:3] == [30.0, 40.0, 2]


def test_a_score_alone_changes_nothing():
    given = document(person((10, 20, 2)))
    poses = annotations.read(given)
    out = annotations.write(Poses(poses.keypoints, np.ones_like(poses.scores), "coco17"), given)
    assert json.dumps(out) == json.dumps(given)


def test_num_keypoints_is_not_invented_nor_corrected_unasked():
    without, wrong = person((10, 20, 2)), person((10, 20, 2), num_keypoints=9)
    del without["num_keypoints"]
    given = document(without, wrong)
    poses = annotations.read(given)
    out = annotations.write(moved(moved(poses, 0, 4, (1, 2, 0.9)), 1, 0, (1, 2, 0.9)), given)
    assert "num_keypoints" not in out["annotations"][0]
    assert out["annotations"][1]["num_keypoints"] == 9


def posetrack(scores):
    """A person as poseval's convert.py writes one."""
    return document({"track_id": 3, "category_id": 1, "keypoints": [10.5, 20, 1, *[0, 0, 0] * 2, *[5, 6, 1] * 14],
                     "scores": scores, "image_id": 7, "id": 700}, names=POSETRACK17)  # fmt: skip


def test_posetrack_scores_are_read_and_written():
    given = posetrack([0.25, 0, 0, *[0.5] * 14])
    poses = annotations.read(given)
    assert (poses.skeleton, poses.ids) == ("posetrack17", [3])
    assert poses.scores[0].tolist() == [0.25, 0, 0, *[0.5] * 14]
    out = annotations.write(moved(moved(poses, 0, 0, (10.5, 20, 0.75)), 0, 1, (7, 8, 0.125)), given)
    assert out["annotations"][0]["keypoints"] == [10.5, 20, 1, 7.0, 8.0, 1, 0, 0, 0, *[5, 6, 1] * 14]
    assert out["annotations"][0]["scores"] == [0.75, 0.125, 0, *[0.5] * 14]
    assert given == posetrack([0.25, 0, 0, *[0.5] * 14])


def test_posetrack_ground_truth_has_an_empty_list_of_scores():
    given = posetrack([])
    out = annotations.write(moved(annotations.read(given), 0, 0, (1, 2, 0.75)), given)
    assert out["annotations"][0]["scores"] == []
    assert out["annotations"][0]["keypoints"][:3] == [1.0, 2.0, 1]


def test_predictions_with_scores_in_place_of_flags():
    given = document(person((10, 20, 0.75), (11, 21, 1.0), num_keypoints=2))
    poses = annotations.read(given)
    assert poses.scores[0, :3].tolist() == [0.75, 1, 0]
    out = annotations.write(moved(moved(poses, 0, 0, (10, 20, 0.25)), 0, 2, (3, 4, 0.125)), given)
    assert out["annotations"][0]["keypoints"][:9] == [10, 20, 0.25, 11, 21, 1.0, 3.0, 4.0, 0.125]
    assert out["annotations"][0]["num_keypoints"] == 2


def test_the_result_shares_nothing():
    given = document(person((10, 20, 2)))
    before = deepcopy(given)
    out = annotations.write(annotations.read(given), given)
    out["annotations"][0]["bbox"][0] = out["categories"][0]["keypoints"][0] = out["images"][0]["id"] = 99
    assert given == before


BAD = {
    "two images": (
        document(person((1, 2, 2)), person((1, 2, 2), image_id=8)),
        None,
        "got 2 images: 7, 8.*pose-refine f",
    ),
    "an animal": (document(person((1, 2, 2)), names=AP10K), None, r"no skeleton has the joints \['nose of animal'"),
    "50 numbers": (document(person() | {"keypoints": [1] * 50}), None, r"length 3 K, got lengths \[50\]"),
    "another skeleton": (document(person((1, 2, 2))), "mpii16", "mpii16 has 16 joints, got 17"),
    "a score too few": (posetrack([0.5] * 16), None, "expected 17 scores"),
    "one score": (posetrack(0.5), None, "expected 17 scores, got 0.5"),
    "no dicts": ({"images": [], "annotations": [[1, 2, 3]]}, None, r"expected dicts, got \['list'\]"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("read", [annotations.read, formats.read], ids=["format", "any"])
def test_says_what_was_expected(name, read):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        read(given, skeleton)


OTHERS = [
    {"version": 1.3, "people": []},
    {"images": []},
    {"images": {}, "annotations": []},
    [person()],
    None,
    "a.json",
    5,
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_does_not_claim_other_formats(other):
    assert not annotations.matches(other)


def test_refine(photo, pose):
    keypoints = np.where(np.isnan(pose[0, :, :1]), 0, np.c_[pose[0, :, :2], np.full(17, 2)])
    given = document(person(*keypoints.tolist()))
    out = refine(photo, given)
    before, after = (np.reshape(d["annotations"][0].pop("keypoints"), (17, 3)) for d in (given, out))
    there = keypoints[:, 2] > 0
    assert (after[there, 2] == 2).all()
    assert np.isin(after[~there, 2], [0, 1]).all()
    shift = np.hypot(*(after - before)[there, :2].T)
    assert 0 < shift.max() < 30
    assert out["annotations"][0].pop("num_keypoints") == (after[:, 2] > 0).sum()
    given["annotations"][0].pop("num_keypoints")
    assert out == given
