import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses, refine
from pose_refine.formats import annotations, coco
from pose_refine.skeletons import SKELETONS

PERSON = {"image_id": 7, "category_id": 1, "keypoints": [1, 2.5, 0.5] * 17, "score": 0.9}
PLAIN = settings(deadline=None, max_examples=60)

BAD = {
    "an array as lists": ([[[1, 2, 3]] * 17], None, TypeError, "must be a numpy array"),
    "boxes only": ([{"image_id": 7, "bbox": [0, 0, 5, 5]}], None, ValueError, "expected 'keypoints', got 0 joints"),
    "two images": ([PERSON, PERSON | {"image_id": 8}], None, ValueError, r"one image's people.*'7', '8'"),
    "one of no image": ([PERSON, {"keypoints": PERSON["keypoints"]}], None, ValueError, "one image's people"),
    "50 numbers": ([{"keypoints": [1] * 50}], None, ValueError, r"length 3 K, got lengths \[50\]"),
    "two lengths": ([PERSON, PERSON | {"keypoints": [1] * 48}], None, ValueError, r"\[51, 48\]"),
    "another number of joints": ([{"keypoints": [1] * 54}], None, ValueError, "18 joints need skeleton="),
    "another skeleton": ([PERSON], "mpii16", ValueError, "mpii16 has 16 joints, got 17"),
    "no joints": ([{"keypoints": []}], None, ValueError, "0 joints"),
    "words": ([{"keypoints": ["x"] * 51}], None, ValueError, "expected numbers"),
    "infinite": ([{"keypoints": [float("inf")] * 51}], None, ValueError, "Inf"),
    "null": ([{"keypoints": None}], None, ValueError, "keypoints"),
    "rows of two lengths": ([{"keypoints": [[1, 2, 3]] * 16 + [[1, 2]]}], None, ValueError, r"\[17\]"),
    "rows of four": ([{"keypoints": [[1, 2, 3, 4]] * 18}], "coco18", ValueError, "keypoints"),
}

number = st.integers(-5000, 5000) | st.floats(-5000, 5000)
triplet = st.tuples(number, number, st.floats(0, 1) | st.integers(0, 2)) | st.sampled_from([(0, 0, 0), (0.0, 0.0, 0)])
flat = st.lists(triplet, min_size=17, max_size=17).map(lambda rows: [v for row in rows for v in row])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
extra = st.dictionaries(st.text(max_size=8).filter(lambda k: k not in ("keypoints", "image_id")), anything, max_size=3)
results = st.lists(
    st.builds(lambda keypoints, more: {"image_id": 7, "keypoints": keypoints, **more}, flat, extra), max_size=3
)


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    entries, skeleton, error, words = BAD[name]
    with pytest.raises(error, match=words):
        coco.read(entries, skeleton)


def test_read():
    second = PERSON | {"keypoints": [0, 0, 0, 3, 4, 0.25, *[9, 9, 1] * 15]}
    poses = coco.read([PERSON, second])
    assert poses.skeleton == "coco17"
    assert poses.ids is None
    assert poses.keypoints[0].tolist() == [[1, 2.5]] * 17
    assert poses.present.tolist() == [[True] * 17, [False] + [True] * 16]
    assert poses.keypoints[1, 1].tolist() == [3, 4]
    assert poses.scores[1].tolist() == [0, 0.25, *[1] * 15]


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_any_skeleton_by_name(skeleton):
    count = len(SKELETONS[skeleton].joints)
    poses = coco.read([{"keypoints": [1] * 3 * count}], skeleton)
    assert poses.skeleton == skeleton
    assert poses.present.all()


@pytest.mark.parametrize(("skeleton", "count"), [(None, 17), ("coco17", 17), ("mpii16", 16)])
def test_nobody(skeleton, count):
    poses = coco.read([], skeleton)
    assert poses.keypoints.shape == (0, count, 2)
    assert coco.write(poses, []) == []


def test_null_coordinate_is_a_missing_joint():
    entry = PERSON | {"keypoints": [None, None, 0, *[1, 2, 0.5] * 16]}
    poses = coco.read([entry])
    assert not poses.present[0, 0]
    assert coco.write(poses, [entry]) == [entry]


@PLAIN
@given(results)
def test_round_trip_is_byte_for_byte(entries):
    before = json.dumps(entries)
    out = coco.write(coco.read(entries), entries)
    assert json.dumps(out) == before
    assert json.dumps(entries) == before


@PLAIN
@given(results.filter(len), st.data())
def test_only_changed_joints_change(entries, data):
    poses = coco.read(entries)
    person = data.draw(st.integers(0, len(entries) - 1))
    joints = data.draw(st.sets(st.integers(0, 16), min_size=1))
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    for joint in joints:
        keypoints[person, joint], scores[person, joint] = (6001.5, 6002.25), 0.125
    expected = deepcopy(entries)
    for joint in joints:
        expected[person]["keypoints"][3 * joint : 3 * joint + 3] = [6001.5, 6002.25, 0.125]
    out = coco.write(Poses(keypoints, scores, "coco17"), entries)
    assert json.dumps(out) == json.dumps(expected)


def test_written_to_a_thousandth_of_a_pixel_as_plain_floats():
    poses = coco.read([PERSON])
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[0, 3], scores[0, 3] = (123.4567, 0.1), 1 / 3
    values = coco.write(Poses(keypoints, scores, "coco17"), [PERSON])[0]["keypoints"][9:12]
    assert values == [123.457, 0.1, 0.333]
    assert {type(v) for v in values} == {float}


def test_a_score_alone_is_written():
    poses = coco.read([PERSON])
    scores = poses.scores.copy()
    scores[0, 0] = 0.75
    out = coco.write(Poses(poses.keypoints, scores, "coco17"), [PERSON])
    assert out[0]["keypoints"] == [1, 2.5, 0.75, *PERSON["keypoints"][3:]]


def test_result_shares_nothing_with_what_was_handed_in():
    entries = [deepcopy(PERSON) | {"segmentation": [[1, 2]]}]
    before = deepcopy(entries)
    out = coco.write(coco.read(entries), entries)
    out[0]["keypoints"][0] = out[0]["segmentation"][0][0] = 99
    assert entries == before


def test_numpy_numbers():
    entry = PERSON | {"keypoints": list(np.arange(1, 52, dtype=np.float32))}
    assert coco.read([entry]).keypoints[0, 16].tolist() == [49, 50]


BOX = {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}


@pytest.mark.parametrize(
    "bare", [BOX, BOX | {"keypoints": []}, BOX | {"keypoints": None}], ids=["no key", "[]", "null"]
)
def test_people_without_joints_come_back_as_they_are(bare):
    given = [bare, PERSON, bare]
    poses = coco.read(given)
    assert len(poses) == 1
    assert json.dumps(coco.write(poses, given)) == json.dumps(given)
    out = coco.write(Poses(poses.keypoints + 1, poses.scores, "coco17"), given)
    assert [out[0], out[2]] == [bare, bare]
    assert out[1]["keypoints"] == [2, 3.5, 0.5] * 17


def alphapose(joints=17, **more):
    """One person as AlphaPose writes it: scores up to 6 for COCO models.

    Source: https://github.com/MVIG-SJTU/AlphaPose/blob/master/alphapose/utils/pPose_nms.py (write_json)
    """
    flat = [v for k in range(joints) for v in (100.5 + k, 20.25 * k, 0.3 + k / 3)]
    box = [90.0, 0.0, 40.0, 400.0]
    return {"image_id": "a photo.jpg", "category_id": 1, "keypoints": flat, "score": 2.9, "box": box, **more}


def pifpaf(**more):
    """One person as OpenPifPaf 0.13.11's Annotation.json_data gave it, scaled and shifted back to the image.

    Source: https://openpifpaf.github.io/predict_cli.html
    """
    lost = [-6.0, 4.0, 0.0]
    flat = [*lost * 5, 194.25, 105.0, 0.9, 295.4, 108.0, 0.01, *lost * 4, 214.0, 304.5, 0.8, *lost * 5]
    return {"keypoints": flat, "bbox": [194.25, 105.0, 101.15, 199.5], "score": 0.1, "category_id": 1, **more}


@pytest.mark.parametrize(("joints", "skeleton"), [(17, "coco17"), (26, "halpe26"), (136, "halpe136")])
def test_alphapose(joints, skeleton):
    given = [alphapose(joints), alphapose(joints)]
    poses = coco.read(given)
    assert poses.skeleton == skeleton
    assert poses.present.all()
    assert poses.keypoints[1, 4].tolist() == [104.5, 81]
    assert poses.scores[1, 3] == np.float32(1.3)
    assert json.dumps(coco.write(poses, given)) == json.dumps(given)


def test_alphapose_of_several_images():
    with pytest.raises(ValueError, match=r"one image's people, got image ids \['a photo.jpg', 'b.jpg'\]"):
        coco.read([alphapose(), alphapose() | {"image_id": "b.jpg"}])


def test_pifpaf():
    given = [pifpaf()]
    poses = coco.read(given)
    assert poses.skeleton == "coco17"
    assert np.flatnonzero(poses.present[0]).tolist() == [5, 6, 11]
    assert poses.keypoints[0, 6].tolist() == [np.float32(295.4), 108]
    assert json.dumps(coco.write(poses, given)) == json.dumps(given)


def test_pifpafs_joints_that_are_found_are_written():
    given = [pifpaf()]
    poses = coco.read(given)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[0, 0], scores[0, 0] = (240, 60), 0.5
    out = coco.write(Poses(keypoints, scores, "coco17"), given)
    assert out == [pifpaf() | {"keypoints": [240, 60, 0.5, *pifpaf()["keypoints"][3:]]}]
    assert given == [pifpaf()]


# Scores of a person's joints, and which are there.
SCORES = {
    "0 for one": ([0, *[0.5] * 16], [False, *[True] * 16]),
    "visibility": ([0, 1, *[2] * 15], [False, *[True] * 16]),
    "logits": ([-1.5, *[3] * 16], [True] * 17),
    "0 for all says nothing": ([0] * 17, [True] * 17),
}


@pytest.mark.parametrize("name", SCORES)
def test_score_of_0_among_others_is_missing(name):
    scores, there = SCORES[name]
    flat = [v for k, score in enumerate(scores) for v in (k + 1, 10, score)]
    poses = coco.read([PERSON, PERSON | {"keypoints": flat}])
    assert poses.present[0].all()
    assert poses.present[1].tolist() == there


IDS = {
    "AlphaPose": ([alphapose(idx=3), alphapose(idx=[1.0])], [3, [1.0]]),
    "OpenPifPaf, one not tracked": ([pifpaf(id_=4), pifpaf()], [4, None]),
    "others": ([PERSON | {"track_id": 9}], [9]),
    "none": ([PERSON | {"id": 9}], None),
}


@pytest.mark.parametrize("name", IDS)
def test_ids(name):
    entries, expected = IDS[name]
    assert coco.read(entries).ids == expected


# One row a joint.
NESTED = {
    "lists of three": [[1, 2.5, 0.5] for _ in range(17)],
    "lists of two": [[1, 2.5] for _ in range(17)],
    "tuples": [(1, 2.5, 0.5)] * 17,
    "an array of three": np.array([[1, 2.5, 0.5]] * 17, np.float32),
    "an array of two": np.array([[1, 2.5]] * 17),
}


@pytest.mark.parametrize("name", NESTED)
def test_rows_stay_rows(name):
    given = [{"bbox": [0, 0, 5, 5], "keypoints": NESTED[name]}]
    before = deepcopy(given)
    poses = coco.read(given)
    width = len(NESTED[name][0])
    assert poses.keypoints[0].tolist() == [[1, 2.5]] * 17
    assert np.isnan(poses.scores).all() == (width == 2)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[0, 3], scores[0, 3] = (8, 9), 0.25
    (out,) = coco.write(Poses(keypoints, scores, "coco17"), given)
    rows = out["keypoints"]
    assert type(rows) is type(NESTED[name])
    assert type(rows[3]) is type(NESTED[name][3])
    assert list(rows[3]) == [8, 9, 0.25][:width]
    np.testing.assert_array_equal(np.delete(rows, 3, 0), np.delete(before[0]["keypoints"], 3, 0))
    np.testing.assert_array_equal(given[0]["keypoints"], before[0]["keypoints"])


LABEL = {"id": 5, "image_id": 7, "category_id": 1, "num_keypoints": 2, "iscrowd": 0, "bbox": [1, 2, 3, 4],
         "keypoints": [10, 20, 2, 11, 21, 1, *[0] * 45]}  # fmt: skip
CROWD = LABEL | {"id": 6, "num_keypoints": 0, "iscrowd": 1, "keypoints": [0] * 51}
# Lists without a name, and whether they are labels.
KINDS = {
    "labels": ([LABEL], True),
    "a crowd among them": ([LABEL, CROWD], True),
    "one key of the two": ([{k: v for k, v in LABEL.items() if k != "iscrowd"}], True),
    "flags that are no whole numbers' type": ([LABEL | {"keypoints": [1.0, 2.0, 2.0] * 17}], True),
    "with a score": ([LABEL | {"score": 0.5}], False),
    "neither key": ([PERSON | {"keypoints": LABEL["keypoints"]}], False),
    "scores of joints": ([LABEL | {"keypoints": PERSON["keypoints"]}], False),
    "scores above 2": ([LABEL | {"keypoints": [1, 2, 3] * 17}], False),
}


@pytest.mark.parametrize("name", KINDS)
def test_labels_are_told_from_results(name):
    people, labels = KINDS[name]
    poses = coco.read(people)
    assert np.isnan(poses.scores).all() == labels
    assert poses.ids is None  # an annotation's id is no track
    assert json.dumps(coco.write(poses, people)) == json.dumps(people)


@pytest.mark.parametrize("score", [0.9, 0.3])
def test_labels_are_written_as_in_annotation_files(score):
    before = [LABEL, CROWD]
    poses = coco.read(before)
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[0, 1:3], scores[0, :3] = [[30, 40], [50, 60]], score
    after = Poses(keypoints, scores, "coco17")
    out = coco.write(after, before)
    assert out == annotations.write(after, {"images": [], "annotations": before})["annotations"]
    recovered = [50, 60, 1] if score > 0.5 else [0, 0, 0]
    assert out[0] == LABEL | {
        "keypoints": [10, 20, 2, 30, 40, 1, *recovered, *[0] * 42],
        "num_keypoints": 3 if score > 0.5 else 2,
    }
    assert out[1] == CROWD


@pytest.mark.parametrize("recover", [True, False])
def test_refine(photo, pose, recover):
    flat = np.where(np.isnan(pose[0, :, :1]), [-6.0, 4.0, 0.0], pose[0]).round(2).ravel().tolist()
    given = [pifpaf(keypoints=flat, id_=2)]
    out = refine(photo, given, recover=recover)
    known = ~np.isnan(pose[0, :, 0])
    expected = refine(photo, pose, recover=recover)[0]
    triplets = np.array(out[0]["keypoints"]).reshape(17, 3)
    assert np.abs(triplets - expected)[known].max() < 0.1
    assert (triplets[~known] == [-6.0, 4.0, 0.0]).all() != recover
    assert out == [pifpaf(keypoints=out[0]["keypoints"], id_=2)]
    assert given[0]["keypoints"] == flat
