"""Two hundred variants of what people have: no error but a clear one, and no joint that was not touched changes."""

import copy
import json

import numpy as np
import pytest
from fakes.kinds import KINDS, SHAPE, joints_of

from pose_refine import Poses, formats
from pose_refine.formats.common import documents
from pose_refine.formats.common.identities import tracks_of, write_ids

MARKS = ((0, 0, 0), (0, 0, 0.25), (-1, -1, 0), (-1, -1, 0.5), (-1, -1, -1))
COUNTS = (15, 16, 17, 18, 24, 25, 26, 133, 134, 135, 136)


def damaged(rng, joints):
    """Joints as missing as estimators have them: some joints, whole people, all of them."""
    out = joints.copy()
    for person in out:
        mark = MARKS[rng.integers(len(MARKS))]
        gone = rng.random(len(person)) < rng.choice([0, 0.2, 1], p=[0.3, 0.5, 0.2])
        person[gone] = mark
    return out


def in_openpose(rng):
    """OpenPose's layout of any number of joints, keys new and old, people without a body, null for nobody."""
    count, people = int(rng.choice(COUNTS)), int(rng.integers(0, 4))
    key = str(rng.choice(["pose_keypoints_2d", "pose_keypoints"]))
    own = [{key: p.reshape(-1).astype(float).tolist()} for p in damaged(rng, joints_of(rng, people, count))]
    for person in own:
        person.update({"person_id": [int(rng.integers(-1, 3))], "face_keypoints_2d": rng.random(3).tolist()})
        if rng.random() < 0.3:
            person[key] = []
    return {"version": 1.3, "people": own or [None, []][rng.integers(2)]}


def in_coco(rng):
    """COCO results with ids and categories of all kinds."""
    own = [p.reshape(-1).astype(float).tolist() for p in damaged(rng, joints_of(rng, int(rng.integers(1, 4)), 17))]
    image = [139, 139.0, "139", "000000000139.jpg", "photo"][rng.integers(5)]
    categories = [[1], [1, 17], [0], [None]][rng.integers(4)]
    return [
        {"image_id": image, "category_id": categories[rng.integers(len(categories))], "keypoints": f, "score": 0.5,
         "idx": [0, -1, i, [i]][rng.integers(4)]}
        for i, f in enumerate(own)
    ]  # fmt: skip


def in_any(rng):
    """Any format whose library writes it."""
    name = list(KINDS)[rng.integers(len(KINDS))]
    _, count, make, _ = KINDS[name]
    joints = joints_of(rng, int(rng.integers(1, 4)), count)
    return make(joints if name in ("MPII", "MediaPipe", "MoveNet", "torchvision") else damaged(rng, joints))


def empty(rng):
    """Arrays without numbers, of any shape."""
    shape = [int(n) for n in rng.choice([0, 1, 3, 17, 51], int(rng.integers(1, 4)))]
    shape[rng.integers(len(shape))] = 0
    return np.zeros(shape, rng.choice([np.float16, np.float32, np.int64]))


def video(rng):
    """One document of a whole video."""
    people = [in_openpose(rng) for _ in range(3)]
    return people if rng.random() < 0.5 else {f"{i}.jpg": p for i, p in enumerate(people)}


@pytest.mark.parametrize("seed", range(200))
def test_variant(seed):
    rng = np.random.default_rng([seed, 21])
    given = (in_openpose, in_coco, in_any, empty, video)[seed % 5](rng)
    before = copy.deepcopy(given)
    parts = [frame for _, frame in documents.frames(given)] if seed % 5 == 4 else [given]
    for part in parts:
        try:
            poses = formats.read(part, shape=SHAPE)
        except (ValueError, TypeError) as error:
            assert len(str(error)) > 30  # words, and not an error of Python's
            assert any(word in str(error) for word in ("expected", "skeleton=", "joints"))
            continue
        check(rng, part, poses)
    assert written_down(given) == written_down(before)


def check(rng, given, poses):
    """Move some joints and drop others: the rest comes back as it was."""
    touched = poses.present & (rng.random(poses.scores.shape) < 0.3)
    dropped = poses.present & ~touched & (rng.random(poses.scores.shape) < 0.2)
    keypoints = np.where(touched[..., None], poses.keypoints + np.float32(4), poses.keypoints)
    keypoints[dropped] = np.nan
    out = formats.write(Poses(keypoints, poses.scores, poses.skeleton, poses.ids), given, shape=SHAPE)
    if isinstance(given, dict) and "people" in given:
        json.dumps(out)
    ids = tracks_of(given, poses)
    assert all(i is None or isinstance(i, (int, str)) for i in ids)
    write_ids(out, [1 if i is None else None for i in ids])
    skeleton = poses.skeleton if poses.skeleton in ("coco17", "body25", "body25b") else None
    again = formats.read(out, skeleton, shape=SHAPE)
    assert np.array_equal(again.present, poses.present & ~dropped)
    np.testing.assert_allclose(again.keypoints[touched], keypoints[touched], atol=1e-3)
    rest = ~touched & ~dropped
    assert np.array_equal(again.keypoints[rest], poses.keypoints[rest], equal_nan=True)
    assert np.array_equal(again.scores[rest & poses.present], poses.scores[rest & poses.present], equal_nan=True)


def written_down(given):
    """All there is in something of any format, for comparison; of JSON formats every byte."""
    if isinstance(given, np.ndarray):
        return given.tolist()
    try:
        return json.dumps(given)
    except TypeError:  # a library's object
        poses = formats.read(given, shape=SHAPE)
        return str((poses.keypoints.tolist(), poses.scores.tolist(), poses.ids))
