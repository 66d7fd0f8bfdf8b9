"""Identities in, identities out, and joints that are dropped, for the formats of trackers."""

from copy import deepcopy

import numpy as np
import pytest

from pose_refine import Poses, formats
from pose_refine.formats.common.identities import identity, told_apart, tracks_of, write_ids

FLAT = [10.0, 20.0, 0.9] * 17
FLAGGED = [10.0, 20.0, 2] * 17


def points(count=15):
    return [{"id": [k], "x": [10.0], "y": [20.0], "score": [0.9]} for k in range(count)]


def dropped(poses, lost):
    keypoints = np.where(lost[..., None], np.float32(np.nan), poses.keypoints)
    return Poses(keypoints, poses.scores, poses.skeleton, poses.ids)


FORMATS = {  # like, where the identity goes, what it is for person 5
    "openpose": (
        {"people": [{"person_id": [-1], "pose_keypoints_2d": [10.0, 20.0, 0.9] * 25}]},
        lambda out: out["people"][0]["person_id"],
        [5],
    ),
    "coco": ([{"image_id": 1, "keypoints": FLAT}], lambda out: out[0]["track_id"], 5),
    "alphapose": ([{"image_id": "1.jpg", "idx": None, "keypoints": FLAT}], lambda out: out[0]["idx"], 5),
    "annotations": (
        {"images": [], "annotations": [{"id": 77, "keypoints": FLAGGED, "num_keypoints": 17}], "categories": []},
        lambda out: out["annotations"][0]["track_id"],
        5,
    ),
    "posetrack": (
        {"image": [{"name": "1.jpg"}], "annorect": [{"annopoints": [{"point": points()}]}]},
        lambda out: out["annorect"][0]["track_id"],
        [5],
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_new_identities_are_written_and_read_again(name):
    like, place, written = FORMATS[name]
    assert tracks_of(like, formats.read(like)) == [None]
    out = deepcopy(like)
    write_ids(out, [5])
    assert place(out) == written
    assert [i if isinstance(i, int) else i[0] for i in tracks_of(out, formats.read(out))] == [5]


def test_identities_that_were_known_stay():
    two = {"people": [{"person_id": [7]}, {"person_id": [-1]}]}
    write_ids(two, [None, 1])
    assert [p["person_id"] for p in two["people"]] == [[7], [1]]


def test_objects_without_a_place_stay_as_they_are():
    array = np.zeros((1, 17, 3))
    write_ids(array, [5])
    assert (array == 0).all()
    assert tracks_of(array, formats.read(array)) == [None]


@pytest.mark.parametrize("name", FORMATS)
def test_a_dropped_joint_is_missing(name):
    like = FORMATS[name][0]
    poses = formats.read(like)
    lost = np.zeros(poses.scores.shape, bool)
    lost[0, 3] = True
    out = formats.write(dropped(poses, lost), like)
    again = formats.read(out)
    assert np.array_equal(again.present, ~lost)
    assert np.array_equal(again.keypoints[~lost], poses.keypoints[~lost])


def test_a_dropped_joint_is_no_longer_counted_or_listed():
    lost = np.zeros((1, 17), bool)
    lost[0, 3] = True
    like = FORMATS["annotations"][0]
    person = formats.write(dropped(formats.read(like), lost), like)["annotations"][0]
    assert person["num_keypoints"] == 16
    like = FORMATS["posetrack"][0]
    person = formats.write(dropped(formats.read(like), lost[:, :15]), like)["annorect"][0]
    assert [p["id"] for p in person["annopoints"][0]["point"]] == [[k] for k in range(15) if k != 3]


IDENTITIES = {  # what formats and trackers have, and what it is
    "numpy's integer": (np.int64(5), 5),
    "an array of one": (np.array([5]), 5),
    "a list of one, as OpenPose's": ([5], 5),
    "a float": (np.float32(5), 5),
    "text": ("5a", "5a"),
    "-1": (-1, None),
    "numpy's -1": (np.int32(-1), None),
    "[-1]": ([-1], None),
    "-1 as a float": (-1.0, None),
    "NaN": (float("nan"), None),
    "nothing": (None, None),
    "no text": ("", None),
    "an empty list": ([], None),
    "zero": (0, 0),
    "several": ([1, 2], "[1, 2]"),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_what_is_an_identity(name):
    value, wanted = IDENTITIES[name]
    found = identity(value)
    assert found == wanted
    assert type(found) is type(wanted)


def test_an_identity_that_tells_nobody_apart_is_none_from_then_on():
    doubted = set()
    assert told_apart([0, 7], doubted) == [0, 7]
    assert told_apart([0, 0, 7], doubted) == [None, None, 7]
    assert told_apart([np.int64(0), 7], doubted) == [None, 7]
    assert doubted == {"0"}
