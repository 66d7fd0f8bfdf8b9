import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import supervision as fake
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_refine import Poses
from pose_refine.poses import identity
from pose_refine.skeletons import SKELETONS

XY, S = np.zeros((2, 17, 2)), np.ones((2, 17))
BAD = {
    "other joints": (XY[:, :16], S, "coco17", None, ValueError, r"\(N, 17, 2\)"),
    "three columns": (np.zeros((2, 17, 3)), S, "coco17", None, ValueError, r"\(N, 17, 2\)"),
    "scores of other people": (XY, S[:1], "coco17", None, ValueError, r"\(2, 17\)"),
    "unknown skeleton": (XY, S, "coco", None, ValueError, "unknown skeleton"),
    "ids of other people": (XY, S, "coco17", [1], ValueError, "expected 2"),
    "infinite": (XY + np.inf, S, "coco17", None, ValueError, "Inf"),
    "beyond float32": (XY + 1e300, S, "coco17", None, ValueError, "Inf"),
    "text": (XY.astype(str), S, "coco17", None, ValueError, "numbers"),
    "a list": (XY.tolist(), S, "coco17", None, TypeError, "list"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    keypoints, scores, skeleton, ids, error, words = BAD[name]
    with pytest.raises(error, match=words):
        Poses(keypoints, scores, skeleton, ids)


def test_half_a_coordinate_is_a_missing_joint():
    keypoints = XY.copy()
    keypoints[0, 3, 1] = np.nan
    poses = Poses(keypoints, S, "coco17")
    assert np.isnan(poses.keypoints[0, 3]).all()
    assert not poses.present[0, 3]
    assert poses.present.sum() == 33
    assert keypoints[0, 3, 0] == 0  # nothing handed in is changed


def test_identities_of_any_kind_of_sequence():
    assert [Poses(XY, S, "coco17", ids).ids for ids in ([7, 8], np.array([7, 8]))] == [[7, 8]] * 2


def test_poses_are_compared_by_what_they_hold():
    keypoints = XY.copy()
    keypoints[0, 3] = np.nan
    one, same = (Poses(keypoints, S, "coco17", ids) for ids in ([1, 2], np.array([1, 2])))
    assert one == same
    for other in (
        Poses(XY, S, "coco17", [1, 2]),
        Poses(keypoints, S, "coco17"),
        Poses(keypoints, S / 2, "coco17", [1, 2]),
        3,
    ):
        assert one != other


def test_ids_are_no_list_of_the_callers():
    own = [1, 2]
    Poses(XY, S, "coco17", own).ids.append(3)
    assert own == [1, 2]


PLACES, SCORES = np.arange(136.0).reshape(4, 17, 2), np.linspace(0.1, 0.9, 68).reshape(4, 17)
CROWD = Poses(PLACES, SCORES, "coco17", list("abcd"))
SOME = {
    "a number": (1, "b"),
    "from the end": (-1, "d"),
    "numpy's number": (np.int64(2), "c"),
    "a slice": (slice(1, 3), "bc"),
    "backwards": (slice(None, None, -1), "dcba"),
    "a mask": (np.array([True, False, False, True]), "ad"),
    "a mask as a list": ([True, False, False, True], "ad"),
    "numbers": ([3, 0], "da"),
    "an array of numbers": (np.array([3, 3]), "dd"),
    "nobody": ([], ""),
    "an empty slice": (slice(4, None), ""),
}


@pytest.mark.parametrize("name", SOME)
def test_some_of_the_people(name):
    index, ids = SOME[name]
    some, rows = CROWD[index], ["abcd".index(i) for i in ids]
    assert some == Poses(CROWD.keypoints[rows], CROWD.scores[rows], "coco17", list(ids))
    assert Poses(CROWD.keypoints, CROWD.scores, "coco17")[index].ids is None
    some.keypoints[:] = np.nan
    assert CROWD.present.all()  # nothing is shared


NOT_PEOPLE = {
    "nobody there": (4, IndexError, "out of bounds"),
    "a mask of others": ([True], IndexError, "boolean"),
    "a joint": ((0, 3), TypeError, r"are people; .* got \(0, 3\)"),
    "text": ("nose", IndexError, "valid indices"),
    "a table": (np.zeros((1, 1), int), TypeError, "are people"),
    "a truth": (True, TypeError, "are people"),
}


@pytest.mark.parametrize("name", NOT_PEOPLE)
def test_not_people(name):
    index, error, words = NOT_PEOPLE[name]
    with pytest.raises(error, match=words):
        CROWD[index]


def test_one_person_after_the_other():
    assert [p.ids for p in CROWD] == [["a"], ["b"], ["c"], ["d"]]
    assert [len(p) for p in CROWD] == [1] * 4


def test_a_joint_of_everybody():
    wrist = CROWD.joint("left_wrist")
    assert wrist.tolist() == np.concatenate([CROWD.keypoints[:, 9], CROWD.scores[:, 9:10]], -1).tolist()
    for spelling in ("LWrist", "left wrist", "wrist-left"):
        assert np.array_equal(CROWD.joint(spelling), wrist)
    with pytest.raises(ValueError, match="no joint 'tail' in coco17; it has nose, left_eye"):
        CROWD.joint("tail")


REPR = {
    "people": (CROWD, "Poses(4 people, coco17, 68 of 68 joints, scores 0.10 to 0.90, ids ['a', 'b', 'c', 'd'])"),
    "one": (Poses(XY[:1] * np.nan, S[:1], "coco17"), "Poses(1 person, coco17, 0 of 17 joints, scores 1.00 to 1.00)"),
    "no scores": (Poses(XY, S * np.nan, "coco17"), "Poses(2 people, coco17, 34 of 34 joints, no scores)"),
    "nobody": (Poses(XY[:0], S[:0], "coco17"), "Poses(0 people, coco17, 0 of 0 joints, no scores)"),
}


@pytest.mark.parametrize("name", REPR)
def test_repr_tells_what_there_is(name):
    poses, text = REPR[name]
    assert repr(poses) == text


def test_another_skeleton():
    mpii = CROWD.to("mpii16")
    assert (mpii.skeleton, mpii.ids) == ("mpii16", list("abcd"))
    assert np.array_equal(mpii.joint("left_knee"), CROWD.joint("left_knee"))
    assert np.array_equal(mpii.joint("pelvis"), (CROWD.joint("left_hip") + CROWD.joint("right_hip")) / 2)
    assert np.isnan(mpii.joint("head_top")).all()
    assert CROWD.to("coco17") == CROWD
    with pytest.raises(ValueError, match="unknown skeleton"):
        CROWD.to("coco")


def test_from_any(tmp_path):
    flat = [1.0, 2.0, 0.5] * 17
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": flat}]))
    for obj in ([{"keypoints": flat}], tmp_path / "a.json", np.array(flat).reshape(17, 3)):
        assert Poses.from_any(obj) == Poses(np.add(XY[:1], (1, 2)), S[:1] / 2, "coco17")
    assert Poses.from_any(np.ones((1, 18, 2)), skeleton="coco18").skeleton == "coco18"
    assert Poses.from_any(CROWD) is CROWD
    shares = np.full((1, 1, 17, 3), 0.5, np.float32)
    assert Poses.from_any(shares, shape=(101, 201)).keypoints[0, 0].tolist() == [100, 50]
    with pytest.raises(ValueError, match="format='coco': expected"):
        Poses.from_any({"people": []}, format="coco")


@st.composite
def any_poses(draw):
    """People of COCO's joints, some missing, some or all of unknown scores, in coordinates of three decimals."""
    people = draw(st.integers(0, 3))
    numbers = st.integers(2000, 10**6).map(lambda n: n / 1000)
    keypoints = draw(arrays(np.float64, (people, 17, 2), elements=numbers))
    keypoints[draw(arrays(bool, (people, 17)))] = np.nan
    scores = draw(arrays(np.float64, (people, 17), elements=st.integers(1, 1000).map(lambda n: n / 1000)))
    if draw(st.booleans()):
        scores[:] = np.nan
    ids = draw(st.none() | st.lists(st.integers(0, 99), min_size=people, max_size=people))
    return Poses(keypoints, scores, "coco17", ids)


@settings(deadline=None, max_examples=60)
@given(any_poses())
def test_what_is_written_is_read_again(poses):
    as_said = Poses(poses.keypoints, np.where(np.isnan(poses.scores), 1, poses.scores), "coco17", poses.ids)
    for document, skeleton in ((poses.as_coco(image_id=7), "coco17"), (poses.as_openpose(), "body25")):
        json.dumps(document, allow_nan=False)
        back, expected = Poses.from_any(document, skeleton=skeleton), as_said.to(skeleton)
        assert np.array_equal(back.present, expected.present)
        np.testing.assert_allclose(back.keypoints, expected.keypoints, atol=1e-3)
        there = expected.present
        np.testing.assert_allclose(back.scores[there], expected.scores[there], atol=1e-3)
        if poses.ids and len(poses):
            assert [identity(i) for i in back.ids] == poses.ids
    plain = poses.to_dict()
    json.dumps(plain, allow_nan=False)
    assert plain["joints"][9] == "left_wrist"
    places = np.array([[p or [np.nan] * 2 for p in own] for own in plain["keypoints"]]).reshape(-1, 17, 2)
    scores = np.array(plain["scores"], dtype=float).reshape(-1, 17)
    assert Poses(places, scores, plain["skeleton"], plain["ids"]) == poses


def test_coco_results_are_what_pycocotools_wants():
    (entry,) = Poses(XY[:1] + 3, S[:1] / 2, "coco17").as_coco(image_id=7, category_id=3)
    assert entry == {"image_id": 7, "category_id": 3, "keypoints": [3.0, 3.0, 0.5] * 17, "score": 0.5}
    assert Poses(XY[:1] * np.nan, S[:1], "coco17").as_coco(image_id="a")[0]["score"] == 0
    assert CROWD.as_coco(image_id=7)[1]["track_id"] == "b"


@pytest.mark.parametrize("skeleton", ["body25", "coco18", "mpi15", "coco17", "wholebody133"])
def test_openpose_in_its_own_skeletons(skeleton):
    count = len(SKELETONS[skeleton].joints)
    poses = Poses(np.ones((1, count, 2)) * 9, np.ones((1, count)), skeleton)
    (person,) = poses.as_openpose()["people"]
    expected = count if skeleton in ("body25", "coco18", "mpi15") else 25
    assert (person["person_id"], len(person["pose_keypoints_2d"])) == ([-1], 3 * expected)


@pytest.mark.parametrize("kind", ["KeyPoints", "OldKeyPoints"])
def test_supervision(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=getattr(fake, kind)))
    keypoints = XY + 3
    keypoints[0, 3] = np.nan
    poses = Poses(keypoints, S / 2, "coco17", ["a", "b"])
    out = poses.as_supervision()
    assert out.xy[0, 3].tolist() == [0, 0]
    assert out.data == {"ids": ["a", "b"]}
    back = Poses.from_any(out)
    assert np.array_equal(back.keypoints, poses.keypoints, equal_nan=True)
    assert np.array_equal(back.scores[back.present], poses.scores[poses.present])
    assert np.isnan(Poses.from_any(Poses(XY + 3, S * np.nan, "coco17").as_supervision()).scores).all()


def test_supervision_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        CROWD.as_supervision()


def test_numpy_takes_them_as_numbers():
    """And not as sequences of sequences of ... one person."""
    assert np.array_equal(np.asarray(CROWD), CROWD.to_array())
    assert np.array([CROWD, CROWD], np.float64).shape == (2, 4, 17, 3)
