"""MPII's annotations: JSON of one image, and the official .mat file."""

import json
from copy import deepcopy

import numpy as np
import pytest
from fakes.mpii import point, rect, save
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from pose_refine import Poses, formats, refine
from pose_refine.formats import mpii
from pose_refine.formats.common import documents
from pose_refine.skeletons import SKELETONS

PLAIN = settings(deadline=None, max_examples=60)
NAMES = SKELETONS["mpii16"].joints


def person(*joints, **more):
    """A person with these joints; the others are not labelled. Keys as in HRNet's train.json."""
    missing = 16 - len(joints)
    return {
        "joints_vis": [1] * len(joints) + [0] * missing,
        "joints": [list(j) for j in joints] + [[-1.0, -1.0]] * missing,
        "image": "015601864.jpg",
        "scale": 3.021046,
        "center": [594.0, 257.0],
        **more,
    }


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton)


def test_matlab_counts_from_one():
    given = [person((1, 1), (620.5, 394))]
    poses = formats.read(given)
    assert poses.skeleton == "mpii16"
    assert poses.keypoints[0, :2].tolist() == [[0, 0], [619.5, 393]]
    assert np.isnan(poses.scores).all()
    out = formats.write(moved(poses, 0, 1, (10.25, 20, 0.9)), given)
    assert out[0]["joints"][:2] == [[1, 1], [11.25, 21.0]]


# A joint, its flag, and whether the joint is there.
JOINTS = {
    "labelled": ((5.5, 6), 1, True),
    "occluded, in files that say so": ((5.5, 6), 0, True),
    "not labelled": ((-1.0, -1.0), 0, False),
    "not labelled, in other files": ((0, 0), 0, False),
    "outside, labelled": ((-1.0, -1.0), 1, False),
    "outside": ((-1.0, -7), 0, True),
}


@pytest.mark.parametrize("name", JOINTS)
def test_which_joints_are_missing(name):
    joint, flag, there = JOINTS[name]
    given = [person((10, 20), joint)]
    given[0]["joints_vis"][1] = flag
    poses = mpii.read(given)
    assert poses.present[0].tolist() == [True, there] + [False] * 14
    out = mpii.write(moved(poses, 0, 0, (30, 40, 0.9)), given)
    assert (out[0]["joints"][1], out[0]["joints_vis"][1]) == (list(joint), flag)


def test_files_without_flags():
    given = [person((10, 20))]
    del given[0]["joints_vis"]
    poses = mpii.read(given)
    assert poses.present[0].tolist() == [True] + [False] * 15
    out = mpii.write(moved(poses, 0, 5, (30, 40, 0.9)), given)
    assert out[0] == {**given[0], "joints": [[10, 20], *[[-1.0, -1.0]] * 4, [31.0, 41.0], *[[-1.0, -1.0]] * 10]}


coordinate = st.integers(-1, 2000) | st.floats(-50, 2000)
someone = st.lists(st.tuples(coordinate, coordinate), max_size=16).map(lambda joints: person(*joints))


@PLAIN
@given(st.lists(someone, max_size=3))
def test_round_trip_is_byte_for_byte(people):
    before = json.dumps(people)
    assert json.dumps(mpii.write(mpii.read(people), people)) == before
    assert json.dumps(people) == before


@PLAIN
@given(someone, st.integers(0, 15))
def test_only_the_joint_that_moved_changes(other, joint):
    people = [person((1, 2)), other]
    before = json.dumps(people)
    expected = deepcopy(people)
    expected[1]["joints"][joint], expected[1]["joints_vis"][joint] = [6002.5, 6003.25], 1
    out = mpii.write(moved(mpii.read(people), 1, joint, (6001.5, 6002.25, 0.75)), people)
    assert json.dumps(out) == json.dumps(expected)
    assert json.dumps(people) == before


# A joint that was missing comes back with this score; is it written?
RECOVERED = {"likely": (0.9, True), "as likely as not": (0.5, True), "unlikely": (0.49, False)}


@pytest.mark.parametrize("name", RECOVERED)
def test_a_recovered_joint_is_written_if_it_is_likely(name):
    score, written = RECOVERED[name]
    given = [person((10, 20))]
    out = mpii.write(moved(mpii.read(given), 0, 4, (30.1234, 40, score)), given)
    assert out[0]["joints"][4] == ([31.123, 41.0] if written else [-1.0, -1.0])
    assert out[0]["joints_vis"][4] == written


def test_a_score_alone_changes_nothing():
    given = [person((10, 20))]
    poses = mpii.read(given)
    assert json.dumps(mpii.write(Poses(poses.keypoints, np.ones((1, 16)), "mpii16"), given)) == json.dumps(given)


def test_nobody():
    assert mpii.read([]).keypoints.shape == (0, 16, 2)
    assert mpii.write(mpii.read([]), []) == []


BAD = {
    "two images": ([person(), person(image="b.jpg")], None, "got 2 images: 015601864.jpg, b.jpg"),
    "17 joints": ([person(joints=[[1, 2]] * 17)], None, r"expected 16 joints.*got shape \(17, 2\)"),
    "triplets": ([person(joints=[[1, 2, 3]] * 16)], None, r"got shape \(16, 3\)"),
    "15 flags": ([person(joints_vis=[1] * 15)], None, r"got shape \(15,\)"),
    "words": ([person(joints=[["x", "y"]] * 16)], None, "expected numbers of shape"),
    "one coordinate short": ([person(joints=[[1, 2]] * 15 + [[1]])], None, "expected numbers of shape"),
    "another skeleton": ([person((1, 2))], "coco17", "'coco17', but the poses are 'mpii16'"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    given, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(given, skeleton)


OTHERS = [[], [{"image_id": 1, "keypoints": []}], [person(), {"image": "a.jpg"}], person(), [[1, 2]], None, "a", 5]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_does_not_claim_other_formats(other):
    assert not mpii.matches(other)


def test_refine(photo, pose):
    own = {n: t[:2] for n, t in zip(SKELETONS["coco17"].joints, pose[0].tolist(), strict=True) if not np.isnan(t[0])}
    given = [person(extra=[1, 2])]
    for i, name in enumerate(NAMES):
        if name in own:
            given[0]["joints"][i], given[0]["joints_vis"][i] = [v + 1 for v in own[name]], 1
    before = deepcopy(given)
    out = refine(photo, given)
    assert given == before
    there = np.array(given[0]["joints_vis"], bool)
    shift = np.hypot(*(np.array(out[0]["joints"]) - given[0]["joints"])[there].T)
    assert 0 < shift.max() < 30
    assert out[0] == {**given[0], "joints": out[0]["joints"], "joints_vis": out[0]["joints_vis"]}
    labelled = (np.array(out[0]["joints"]) != -1).all(1)
    assert labelled.tolist() == [v == 1 for v in out[0]["joints_vis"]]
    assert labelled.sum() > there.sum()  # the neck is in the picture


def test_mat(tmp_path):
    everyone = [point(k, 100 + k, 200.5 + k, "1" if k % 2 else 0) for k in range(16)]
    save(
        tmp_path / "mpii.mat",
        ("a.jpg", [rect(*everyone), rect(point(9, 7, 8.5), center=(1, 2), scale=1.5), rect()]),
        ("nobody.jpg", []),
        ("test.jpg", [rect()]),
        ("b.jpg", [rect(point(0, 3, 4), point(6, 5, 6))]),
    )
    people = mpii.load_mat(tmp_path / "mpii.mat")
    assert [(p["image"], p["annolist_index"], p["annorect_index"]) for p in people] == [
        ("a.jpg", 0, 0),
        ("a.jpg", 0, 1),
        ("b.jpg", 3, 0),
    ]
    assert people[0]["joints"] == [[100.0 + k, 200.5 + k] for k in range(16)]
    assert people[0]["joints_vis"] == [1] * 16
    assert (people[0]["scale"], people[0]["center"]) == (3.25, [594.0, 257.0])
    assert people[1]["joints"] == [[-1.0, -1.0]] * 9 + [[7.0, 8.5]] + [[-1.0, -1.0]] * 6
    assert people[1]["joints_vis"] == [0] * 9 + [1] + [0] * 6
    assert (people[1]["scale"], people[1]["center"]) == (1.5, [1.0, 2.0])
    assert json.loads(json.dumps(people)) == people
    assert mpii.read(people[:2]).keypoints[1, 9].tolist() == [6, 7.5]
    assert [len(frame) for _, frame in documents.frames(people)] == [2, 1]


def test_mat_of_one_person_without_scale(tmp_path):
    """MATLAB's arrays of one element are no arrays in scipy."""
    alone = rect(point(9, 7, 8))
    del alone["scale"], alone["objpos"]
    save(tmp_path / "mpii.mat", ("a.jpg", [alone]))
    (person,) = mpii.load_mat(tmp_path / "mpii.mat")
    assert (person["joints"][9], person["scale"], person["center"]) == ([7.0, 8.0], -1.0, [-1.0, -1.0])


def test_mat_with_head_boxes(tmp_path):
    """The corners that PCKh takes its head size from."""
    head = {"x1": 627.0, "y1": 100.0, "x2": 706.0, "y2": 198.0}
    save(tmp_path / "mpii.mat", ("a.jpg", [{**rect(point(9, 7, 8)), **head}, rect(point(9, 1, 2))]))
    first, second = mpii.load_mat(tmp_path / "mpii.mat")
    assert first["head_box"] == [627, 100, 706, 198]
    assert "head_box" not in second


def test_another_mat(tmp_path):
    savemat(tmp_path / "pred.mat", {"preds": np.zeros((2, 16, 2))})
    with pytest.raises(ValueError, match=r"expected MPII's RELEASE.annolist, got \['preds'\]"):
        mpii.load_mat(tmp_path / "pred.mat")


def test_no_mat(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such pose file: .*none\.mat"):
        mpii.load_mat(tmp_path / "none.mat")
