import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses
from pose_refine.formats import openpose

PLAIN = settings(deadline=None, max_examples=40)
COUNTS = {"body25": 25, "coco18": 18, "mpi15": 15}


def person(joints, **more):
    """One person as OpenPose writes it; joint i at (i + 1, 10 i, 0.5)."""
    return {"person_id": [-1], "pose_keypoints_2d": [v for i in range(joints) for v in (i + 1, 10 * i, 0.5)], **more}


def document(*people):
    return {"version": 1.3, "people": list(people)}


BAD = {
    "another JSON": ({"annotations": []}, r"'people' list.*got keys \['annotations'\]"),
    "nothing in it": ({}, r"got keys \[\]"),
    "people is no list": ({"people": {"0": person(25)}}, "'people' list"),
    "a person is no dict": ({"people": [[1, 2, 3]]}, "'people' list of dicts"),
    "24 joints": (document(person(24)), "24 joints need skeleton="),
    "two models": (document(person(25), person(18)), r"got lengths \[75, 54\]"),
    "pairs": (document({"pose_keypoints_2d": [1] * 50}), "50 numbers are 25 pairs x, y without scores"),
    "a word for a list": (document({"pose_keypoints_2d": "none"}), "'people' list of dicts"),
    "two numbers more": (document({"pose_keypoints_2d": [1] * 77}), r"length 3 K, got lengths \[77\]"),
    "words": (document({"pose_keypoints_2d": ["x"] * 75}), "expected numbers"),
}

number = st.integers(-5000, 5000) | st.floats(-5000, 5000)
triplet = st.tuples(number, number, st.floats(0, 1) | st.integers(0, 1)) | st.sampled_from([(0, 0, 0), (0.0, 0, 0.0)])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
extra = st.dictionaries(
    st.sampled_from(["hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d", "pose_keypoints_3d"])
    | st.text(max_size=8).filter(lambda k: k not in ("people", "pose_keypoints_2d")),
    anything | st.lists(number, max_size=6),
    max_size=3,
)


def people_of(count):
    flat = st.lists(triplet, min_size=count, max_size=count).map(lambda rows: [v for row in rows for v in row])
    one = st.builds(lambda f, more: {"person_id": [-1], "pose_keypoints_2d": f, **more}, flat, extra)
    return st.lists(one, max_size=2)


def in_pixels(document):
    """Whether some coordinate is well beyond 1, or nobody is there: otherwise the scale may be another one."""
    values = [abs(v) for p in document["people"] for i, v in enumerate(p["pose_keypoints_2d"]) if i % 3 < 2]
    return not any(values) or max(values) > 1.01


documents = st.builds(
    lambda people, more: {"version": 1.3, **more, "people": people},
    st.sampled_from(list(COUNTS.values())).flatmap(people_of),
    extra,
).filter(in_pixels)


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    bad, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        openpose.read(bad)


@pytest.mark.parametrize("skeleton", COUNTS)
def test_models_are_told_apart_by_their_number_of_joints(skeleton):
    count = COUNTS[skeleton]
    poses = openpose.read(document(person(count), person(count)))
    assert poses.skeleton == skeleton
    assert poses.keypoints.shape == (2, count, 2)
    assert poses.keypoints[1, :, 0].tolist() == list(range(1, count + 1))
    assert poses.keypoints[1, :, 1].tolist() == list(range(0, 10 * count, 10))
    assert (poses.scores == 0.5).all()


LAYOUTS = {  # of other tools: joints, and the skeleton that they are
    "Pose2Sim's default": (26, "halpe26"),
    "COCO": (17, "coco17"),
    "whole body": (133, "wholebody133"),
    "whole body, with a neck": (134, "openpose134"),
    "BODY_135": (135, "body135"),
    "Halpe": (136, "halpe136"),
    "MPII": (16, "mpii16"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("key", openpose.KEYS)
def test_layouts_of_other_tools_and_older_keys(name, key):
    count, skeleton = LAYOUTS[name]
    given = document({key: person(count)["pose_keypoints_2d"]})
    poses = openpose.read(given)
    assert poses.skeleton == skeleton
    assert poses.keypoints[0, :, 0].tolist() == list(range(1, count + 1))
    moved = Poses(poses.keypoints + np.float32(1), poses.scores, skeleton)
    assert openpose.write(moved, given)["people"][0][key][:3] == [2, 1, 0.5]


@pytest.mark.parametrize("body", [{"pose_keypoints_2d": []}, {"pose_keypoints_2d": None}, {}])
def test_people_without_a_body_stay_as_they_are(body):
    hand = {"person_id": [3], **body, "hand_left_keypoints_2d": [1.0] * 63}
    given = document(person(25), hand)
    poses = openpose.read(given)
    assert poses.present.tolist() == [[True] * 25, [False] * 25]
    out = openpose.write(Poses(np.full_like(poses.keypoints, 7), poses.scores, "body25"), given)
    assert out["people"][1] == hand
    assert out["people"][0] != given["people"][0]
    assert not openpose.read(document(hand)).present.any()


def test_nobody_may_be_null():
    given = {"version": 1.3, "people": None}
    poses = openpose.read(given)
    assert (len(poses), poses.skeleton) == (0, "body25")
    assert openpose.write(poses, given) == given


def test_a_skeleton_that_is_named_is_taken():
    assert openpose.read(document(person(25)), "body25b").skeleton == "body25b"
    assert openpose.read(document(person(17)), "posetrack17").skeleton == "posetrack17"


IDS = {
    "not tracked": ([person(25)], [[-1]]),
    "tracked": ([person(25, person_id=[4]), person(25, person_id=[2])], [[4], [2]]),
    "older OpenPose, without": ([{"pose_keypoints_2d": [2] * 75}], [None]),
}


@pytest.mark.parametrize("name", IDS)
def test_ids(name):
    people, expected = IDS[name]
    assert openpose.read(document(*people)).ids == expected


# Scales of coordinates within [-1, 1]: OpenPose's keypoint_scale 3 and 4 of a joint at (x, y) of a 640 x 480 image.
SCALES = {
    "3": lambda x, y: (x / 639, y / 479),
    "4": lambda x, y: (2 * x / 639 - 1, 2 * y / 479 - 1),
}


@pytest.mark.parametrize("scale", SCALES)
def test_other_scales_are_refused(scale):
    someone = person(25)
    flat = someone["pose_keypoints_2d"]
    flat[0::3], flat[1::3] = zip(*map(SCALES[scale], flat[0::3], flat[1::3]), strict=True)
    with pytest.raises(ValueError, match=r"keypoint_scale 0.*x \* \(width - 1\) from scale 3, \(x \+ 1\) / 2"):
        openpose.read(document(someone))
    assert len(openpose.read(document(someone, person(25)))) == 2  # one of them says that these are pixels


def test_a_person_of_zeros_alone_has_no_scale():
    assert not openpose.read(document({"pose_keypoints_2d": [0] * 75})).present.any()


def test_zeros_are_missing():
    someone = person(25)
    someone["pose_keypoints_2d"][3 * 19 :] = [0, 0, 0] * 6
    poses = openpose.read(document(someone))
    assert poses.present[0].tolist() == [True] * 19 + [False] * 6


def test_nobody():
    empty = document()
    poses = openpose.read(empty)
    assert poses.keypoints.shape == (0, 25, 2)
    assert poses.ids == []
    assert openpose.write(poses, empty) == {"version": 1.3, "people": []}


@PLAIN
@given(documents)
def test_round_trip_is_byte_for_byte(given_document):
    before = json.dumps(given_document)
    out = openpose.write(openpose.read(given_document), given_document)
    assert json.dumps(out) == before
    assert json.dumps(given_document) == before


@PLAIN
@given(documents.filter(lambda d: d["people"]), st.data())
def test_only_changed_joints_change(given_document, data):
    poses = openpose.read(given_document)
    count = poses.keypoints.shape[1]
    row = data.draw(st.integers(0, len(poses) - 1))
    joints = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    expected = deepcopy(given_document)
    for joint in joints:
        keypoints[row, joint], scores[row, joint] = (6001.5, 6002.25), 0.125
        expected["people"][row]["pose_keypoints_2d"][3 * joint : 3 * joint + 3] = [6001.5, 6002.25, 0.125]
    out = openpose.write(Poses(keypoints, scores, poses.skeleton, poses.ids), given_document)
    assert json.dumps(out) == json.dumps(expected)


def test_a_recovered_joint_is_written_and_a_missing_one_stays_zero():
    someone = person(18)
    someone["pose_keypoints_2d"][:6] = [0] * 6
    poses = openpose.read(document(someone))
    keypoints = poses.keypoints.copy()
    keypoints[0, 0] = 7, 8
    out = openpose.write(Poses(keypoints, poses.scores, "coco18"), document(someone))
    values = out["people"][0]["pose_keypoints_2d"]
    assert values[:6] == [7, 8, 0, 0, 0, 0]
    assert [type(v) for v in values[:6]] == [float] * 3 + [int] * 3
    assert values[6:] == someone["pose_keypoints_2d"][6:]


def test_result_shares_nothing_with_what_was_handed_in():
    given_document = document(person(25, face_keypoints_2d=[1, 2, 3]))
    before = deepcopy(given_document)
    out = openpose.write(openpose.read(given_document), given_document)
    out["people"][0]["face_keypoints_2d"][0] = out["people"][0]["pose_keypoints_2d"][0] = 99
    out["people"].append(person(25))
    assert given_document == before


def test_ids_are_not_needed_to_write():
    given_document = document(person(25, person_id=[4]))
    poses = openpose.read(given_document)
    out = openpose.write(Poses(poses.keypoints + np.float32(1), poses.scores, "body25"), given_document)
    assert out["people"][0]["person_id"] == [4]
    assert out["people"][0]["pose_keypoints_2d"][:3] == [2, 1, 0.5]
