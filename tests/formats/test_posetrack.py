"""PoseTrack 2017's JSON of one image."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine import Poses, formats, refine
from pose_refine.formats import posetrack
from pose_refine.formats.common.documents import frames
from pose_refine.skeletons import SKELETONS

PLAIN = settings(deadline=None, max_examples=60)


def point(joint, x, y, **more):
    return {"id": [joint], "x": [x], "y": [y], **{k: [v] for k, v in more.items()}}


def person(*points, **more):
    """As in poseval's README."""
    return {"x1": [625], "y1": [94], "x2": [681], "y2": [178], "score": [0.9], "track_id": [12],
            "annopoints": [{"point": list(points)}], **more}  # fmt: skip


def frame(*people, name="images/bonn_5sec/000342_mpii/00000001.jpg"):
    return {"annolist": [{"image": [{"name": name}], "annorect": list(people), "imgnum": [1]}]}


def people(document):
    return document["annolist"][0]["annorect"]


def points(document, index=0):
    return people(document)[index]["annopoints"][0]["point"]


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton, poses.ids)


def test_read():
    given = frame(person(point(0, 394, 173, score=0.75), point(14, 10.5, 20)), person(track_id=[3]))
    poses = posetrack.read(given)
    assert (poses.skeleton, poses.ids) == ("posetrack15", [12, 3])
    assert poses.keypoints[0, [0, 14]].tolist() == [[394, 173], [10.5, 20]]
    assert poses.scores[0, 0] == 0.75
    assert np.isnan(poses.scores[0, 14])
    assert poses.present.sum(1).tolist() == [2, 0]


def test_an_entry_of_annolist_alone():
    entry = frame(person(point(0, 394, 173, score=0.75)))["annolist"][0]
    poses = formats.read(entry)
    assert poses.keypoints[0, 0].tolist() == [394, 173]
    out = formats.write(moved(poses, 0, 0, (1, 2, 0.5)), entry)
    assert out == {**entry, "annorect": [person(point(0, 1.0, 2.0, score=0.5))]}


def test_of_two_points_of_one_joint_the_first_counts():
    given = frame(person(point(3, 1, 2, score=0.5), point(3, 8, 9, score=0.9)))
    poses = posetrack.read(given)
    assert poses.keypoints[0, 3].tolist() == [1, 2]
    out = posetrack.write(moved(poses, 0, 3, (4, 5, 0.25)), given)
    assert points(out) == [point(3, 4.0, 5.0, score=0.25), point(3, 8, 9, score=0.9)]


# People without a joint, as MATLAB's conversions leave them.
NO_POINTS = {
    "no annopoints": None,
    "an empty list": [],
    "an empty list in a list": [[]],
    "an empty dict in a list": [{}],
    "no points": [{"point": []}],
}


@pytest.mark.parametrize("name", NO_POINTS)
def test_people_without_points(name):
    empty = person(annopoints=NO_POINTS[name])
    if NO_POINTS[name] is None:
        del empty["annopoints"]
    given = frame(person(point(0, 1, 2, score=0.5)), empty)
    before = json.dumps(given)
    poses = posetrack.read(given)
    assert poses.present.sum(1).tolist() == [1, 0]
    assert json.dumps(posetrack.write(poses, given)) == before
    out = posetrack.write(moved(poses, 1, 7, (3, 4, 0.25)), given)
    assert points(out, 1) == [point(7, 3.0, 4.0, score=0.25)]
    assert json.dumps(given) == before


def test_points_of_other_ids_are_left_alone():
    strange = [point(15, 1, 2), point(-1, 1, 2), {**point(0, 1, 2), "id": None}]
    given = frame(person(*strange))
    poses = posetrack.read(given)
    assert not poses.present.any()
    assert points(posetrack.write(moved(poses, 0, 0, (3, 4, 0.5)), given)) == [*strange, point(0, 3.0, 4.0, score=0.5)]


def test_a_moved_joint_keeps_its_visibility_and_a_kept_one_its_numbers():
    given = frame(person(point(0, 394, 173, is_visible=0), point(5, 7.123456, 8, score=0.123456789)))
    poses = posetrack.read(given)
    out = posetrack.write(moved(moved(poses, 0, 0, (1.23456, 2, 0.98765)), 0, 5, (*poses.keypoints[0, 5], 0.5)), given)
    assert points(out) == [point(0, 1.235, 2.0, is_visible=0, score=0.988), point(5, 7.123456, 8, score=0.5)]


def test_without_a_score_none_is_written():
    given = frame(person(point(0, 394, 173)))
    out = posetrack.write(moved(posetrack.read(given), 0, 0, (1, 2, np.nan)), given)
    assert points(out) == [point(0, 1.0, 2.0)]


coordinate = st.integers(-100, 2000) | st.floats(-100, 2000)
joints = st.dictionaries(st.integers(0, 14), st.tuples(coordinate, coordinate, st.none() | st.floats(0, 1)))
someone = joints.map(
    lambda d: person(*(point(k, x, y, **({} if s is None else {"score": s})) for k, (x, y, s) in d.items()))
)


@PLAIN
@given(st.lists(someone, max_size=3))
def test_round_trip_is_byte_for_byte(rects):
    given = frame(*rects)
    before = json.dumps(given)
    assert json.dumps(posetrack.write(posetrack.read(given), given)) == before
    assert json.dumps(given) == before


@PLAIN
@given(someone, st.integers(0, 14))
def test_only_the_joint_that_moved_changes(rect, joint):
    given = frame(person(point(1, 2, 3)), rect)
    before = json.dumps(given)
    out = posetrack.write(moved(posetrack.read(given), 1, joint, (6001.5, 6002.25, 0.125)), given)
    expected = deepcopy(given)
    own = [p for p in points(expected, 1) if p["id"] == [joint]]
    if not own:
        points(expected, 1).append({"id": [joint]})
    (own or points(expected, 1))[-1].update(x=[6001.5], y=[6002.25], score=[0.125])
    assert json.dumps(out) == json.dumps(expected)
    assert json.dumps(given) == before


@pytest.mark.parametrize("nobody", [frame(), {"annolist": []}, {"annolist": [{"image": [{"name": "a"}]}]}], ids=str)
def test_nobody(nobody):
    poses = posetrack.read(nobody)
    assert poses.keypoints.shape == (0, 15, 2)
    assert posetrack.write(poses, nobody) == nobody


def annopoints(value):
    return frame(person(annopoints=value))


BAD = {
    "two images": ({"annolist": frame(name="a")["annolist"] + frame(name="b")["annolist"]}, None, "got 2 images"),
    "another skeleton": (frame(person(point(0, 1, 2))), "coco17", "'coco17', but the poses are 'posetrack15'"),
    "bare numbers": (frame(person({"id": 0, "x": 1, "y": 2})), None, "a list of one number as 'id' of a point, got 0"),
    "a word": (frame(person(point(0, "x", 2))), None, "list of one number as 'x'"),
    "two numbers": (frame(person({**point(0, 1, 2), "y": [1, 2]})), None, "list of one number as 'y'"),
    "no y": (frame(person({"id": [0], "x": [1]})), None, "list of one number as 'y'"),
    "an infinite x": (frame(person(point(0, float("inf"), 2))), None, "Inf"),
    "points alone": (annopoints({"point": []}), None, "expected annopoints"),
    "a point that is a list": (annopoints([{"point": [[1, 2]]}]), None, "expected annopoints"),
    "numbers in annorect": (frame(5), None, r"expected dicts in 'annorect', got \['int'\]"),
    "numbers in annolist": ({"annolist": [5]}, None, "expected dicts with 'image' and 'annorect'"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


OTHERS = [{"version": 1.3, "people": []}, {"images": [], "annotations": []}, {"annolist": {}}, [person()], None, "a", 5]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_does_not_claim_other_formats(other):
    assert not posetrack.matches(other)


def test_posevals_examples(golden_files_folder):
    """The ids of poseval's evaluation examples are the skeleton's: ankles at the bottom, the head top on top."""
    content = json.loads((golden_files_folder / "posetrack" / "gt" / "seq_a.json").read_text())
    y = np.concatenate([posetrack.read(f).keypoints[..., 1] for _, f in frames(content)])
    order = np.array(SKELETONS["posetrack15"].joints)[np.argsort(np.nanmean(y, 0))]
    assert order[0] == "head_top"
    assert set(order[-2:]) == {"left_ankle", "right_ankle"}


def test_refine(photo, pose):
    own = {n: t for n, t in zip(SKELETONS["coco17"].joints, pose[0].tolist(), strict=True) if not np.isnan(t[0])}
    names = SKELETONS["posetrack15"].joints
    given = frame(person(*(point(i, own[n][0], own[n][1], score=own[n][2]) for i, n in enumerate(names) if n in own)))
    before = deepcopy(given)
    out = refine(photo, given)
    assert given == before
    there = [p["id"] for p in points(given)]
    assert [p["id"] for p in points(out)][: len(there)] == there
    assert sorted(p["id"][0] for p in points(out)) == list(range(15))
    first = [
        np.hypot(a["x"][0] - b["x"][0], a["y"][0] - b["y"][0]) for a, b in zip(points(out), points(given), strict=False)
    ]
    assert 0 < max(first) < 30
    assert all(0 <= p["score"][0] <= 1 for p in points(out))
    people(out)[0]["annopoints"] = people(given)[0]["annopoints"]
    assert out == given
