from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_refine.metrics.multi_person import Frame
from pose_refine.metrics.posetrack import ignore, nearest_pairs, tracking

NAN = float("nan")


def frame(truth, poses):
    """One joint: ids to x. The head size is 10, so that a match is within 5 px."""
    places = [np.array([[[x, 0]] for x in people.values()], dtype=float).reshape(-1, 1, 2) for people in (truth, poses)]
    return Frame(places[0], np.full(len(truth), 10.0), places[1], np.ones((len(poses), 1)), list(truth), list(poses))


def counts(found):
    return [int(v[0]) for v in (found.objects, found.misses, found.false_positives, found.switches, found.detections)]


# Frames of one video: objects, misses, false positives, switches, detections; MOTA and MOTP in percent.
VIDEOS = {
    "perfect": ([({1: 0}, {7: 0}), ({1: 9}, {7: 9})], [2, 0, 0, 0, 2], 100, 100),
    "missed once": ([({1: 0}, {7: 0}), ({1: 9}, {})], [2, 1, 0, 0, 1], 50, 100),
    "too far": ([({1: 0}, {7: 6})], [1, 1, 1, 0, 0], -100, 0),
    "a false positive": ([({1: 0}, {7: 0, 8: 90})], [1, 0, 1, 0, 1], 0, 100),
    "off by 0.2 and 0.4 heads": ([({1: 0}, {7: 2}), ({1: 0}, {7: 4})], [2, 0, 0, 0, 2], 100, 70),
    "another identity": ([({1: 0}, {7: 0}), ({1: 0}, {8: 0}), ({1: 0}, {8: 0})], [3, 0, 0, 1, 3], 200 / 3, 100),
    "exchanged": ([({1: 0, 2: 50}, {7: 0, 8: 50}), ({1: 0, 2: 50}, {8: 0, 7: 50})], [4, 0, 0, 2, 4], 50, 100),
    "back after a gap": ([({1: 0}, {7: 0}), ({}, {}), ({1: 9}, {7: 9})], [2, 0, 0, 0, 2], 100, 100),
    "another after a gap": ([({1: 0}, {7: 0}), ({}, {}), ({1: 9}, {8: 9})], [2, 0, 0, 1, 2], 50, 100),
    "the old identity beats a nearer one": (
        [({1: 0}, {7: 0}), ({1: 0}, {7: 4, 8: 0})], [2, 0, 1, 0, 2], 50, 80,
    ),
    "most pairs before the nearest": ([({1: 0, 2: 4}, {7: 2, 8: -3})], [2, 0, 0, 0, 2], 100, 75),  # 2-7, then 1-8
    "nobody labelled": ([({1: 0}, {7: 0}), ({}, {7: 0})], [1, 0, 1, 0, 1], 0, 100),
}  # fmt: skip


@pytest.mark.parametrize("name", VIDEOS)
def test_tracking_as_defined(name):
    video, expected, mota, motp = VIDEOS[name]
    found = tracking(
        [[frame(*f) for f in video]], drop_last_frame=False, one_object_rule=False, zero_if_undetected=True
    )
    assert counts(found) == expected
    np.testing.assert_allclose([found.mota[0], found.motp[0]], [mota, motp], atol=1e-9)
    objects, _, false, _, detections = expected
    assert found.recall[0] == pytest.approx(100 * detections / objects)
    assert found.precision[0] == pytest.approx(100 * detections / (detections + false))


def test_videos_are_added_up_and_do_not_share_identities():
    """One perfect, one with a miss: (2 + 2 objects, 1 miss); person 1 of the second video is somebody else."""
    first, second = ([frame({1: 0}, {i: 0}), frame({1: 0}, {i: 0} if i == 7 else {})] for i in (7, 8))
    found = tracking([first, second], drop_last_frame=False, one_object_rule=False)
    assert counts(found) == [4, 1, 0, 0, 3]


def test_the_last_frame_is_dropped():
    video = [frame({1: 0}, {7: 0}), frame({1: 0}, {})]
    assert counts(tracking([video], one_object_rule=False)) == [1, 0, 0, 0, 1]
    assert counts(tracking([video], one_object_rule=False, drop_last_frame=False)) == [2, 1, 0, 0, 1]


EMPTY = {
    "two people, no prediction": (frame({1: 0, 2: 50}, {}), [2, 2, 0, 0, 0]),
    "nobody, two predictions": (frame({}, {7: 0, 8: 50}), [0, 0, 2, 0, 0]),
    "nobody at all": (frame({}, {}), [0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", EMPTY)
def test_the_one_object_rule(name):
    """Whatever is in such a frame, poseval books one object, one miss and one false positive."""
    empty, defined = EMPTY[name]
    full = [1, 0, 0, 0, 1]
    for rule, own in ((True, [1, 1, 1, 0, 0]), (False, defined)):
        found = tracking([[frame({1: 0}, {7: 0}), empty]], one_object_rule=rule, drop_last_frame=False)
        assert counts(found) == [a + b for a, b in zip(full, own, strict=True)]


def test_a_joint_that_is_never_there():
    truth = np.array([[[0, 0], [NAN, NAN], [5, 5]]])
    poses = np.array([[[0, 0], [NAN, NAN], [NAN, NAN]]])
    sequence = [Frame(truth, np.ones(1), poses, np.ones((1, 3)), [1], [7])]
    official = tracking([sequence], drop_last_frame=False)
    defined = tracking([sequence], drop_last_frame=False, zero_if_undetected=False)
    np.testing.assert_array_equal(official.mota, [100, NAN, 0])
    np.testing.assert_array_equal(official.motp, [100, 0, 0])
    np.testing.assert_array_equal(defined.motp, [100, NAN, NAN])
    np.testing.assert_array_equal(official.precision, [100, NAN, NAN])
    np.testing.assert_array_equal(official.recall, [100, NAN, 0])


near_or_far = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 2.0, np.inf])


@given(
    st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(near_or_far, min_size=n, max_size=n), min_size=1, max_size=4))
)
def test_pairs_are_the_best_of_all(rows):
    """As many as possible, then with the least total distance; tried out one by one."""
    distance = np.array(rows, dtype=float).reshape(len(rows), -1)
    found = nearest_pairs(distance, 0.5)
    size = max(*distance.shape, 1)
    padded = np.full((size, size), np.inf)
    padded[: distance.shape[0], : distance.shape[1]] = distance
    ways = [[padded[i, j] for i, j in enumerate(p) if padded[i, j] <= 0.5] for p in permutations(range(size))]
    best = min((-len(way), sum(way)) for way in ways)
    assert (-len(found), sum(distance[i, j] for i, j in found)) == pytest.approx(best)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)


def test_ignore_regions():
    """The first person is wholly inside, the second half; the third has no joints at all."""
    region = np.array([(0, 0), (10, 0), (10, 10), (0, 10)])
    people = np.array([[(5, 5), (1, 9)], [(5, 5), (50, 5)], [(NAN, NAN), (NAN, NAN)]])
    kept, counts = ignore(people, [region])
    assert counts.tolist() == [False, True, False]
    np.testing.assert_array_equal(kept[1], [(NAN, NAN), (50, 5)])
    assert ignore(people, [])[1].tolist() == [True, True, True]


def without_ids(name):
    good = frame({1: 0}, {7: 0})
    return Frame(**{**good.__dict__, name: None})


BAD = {
    "no videos": ([], "got 0 of"),
    "one frame": ([[frame({1: 0}, {7: 0})]], "got 1 frames, of which drop_last_frame leaves none"),
    "labels without ids": (
        [[without_ids("truth_ids")] * 2],
        "ids of all people, got none of labelled people in frame 0",
    ),
    "predictions without ids": ([[without_ids("ids")] * 2], "got none of predicted people in frame 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    videos, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        tracking(videos)
