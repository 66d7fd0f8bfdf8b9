"""Linking people from frame to frame."""

import numpy as np
import pytest

from pose_refine.skeletons import SIGMAS
from pose_refine.video.linking import LASTING, Linker, assign, box, iou, oks, parts, similarity

FPS = 10.0  # people are forgotten after 10 frames


def person(x, y=0.0, size=100.0):
    """19 joints on a grid of `size` pixels whose corner is at (x, y)."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 4)), -1).reshape(-1, 2)
    grid = np.concatenate([grid[:18], [[1, 1]]])
    return (grid * size + [x, y]).astype(np.float32)


def people(*places):
    return np.stack([person(*np.atleast_1d(p)) for p in places]) if places else np.empty((0, 19, 2), np.float32)


def linked(*frames, ids=None):
    """Identities, frame by frame; frames are lists of places."""
    linker = Linker(FPS)
    known = ids or [[None] * len(f) for f in frames]
    return [linker.link(n, people(*f), i) for n, (f, i) in enumerate(zip(frames, known, strict=True))]


def test_box_and_iou():
    assert box(people(10)).tolist() == [[10, 0, 110, 100]]
    # Halves of two squares of 10,000 overlap: 5,000 of 15,000.
    assert iou(box(people(0)), box(people(50)))[0, 0] == pytest.approx(1 / 3)
    assert iou(box(people(0)), box(people(500)))[0, 0] == 0
    assert box(np.full((1, 19, 2), np.nan, np.float32)).tolist() == [[0, 0, 0, 0]]


def test_oks_of_joints_that_both_have():
    a, b = people(0), people(0)
    b[0, 5:] = np.nan
    # All five joints one OKS unit away, 2 sigma sqrt(area): exp(-1/2).
    b[0, :5, 0] += 2 * SIGMAS[:5] * np.sqrt(2500)
    assert oks(a, b, np.array([[2500.0]]))[0, 0] == pytest.approx(np.exp(-0.5), abs=1e-5)
    assert oks(a, np.full_like(b, np.nan), np.array([[2500.0]]))[0, 0] == 0


def test_similarity_is_1_for_the_same_and_0_for_nobody_near():
    alike = similarity(people(0, 1000), people(0))
    assert alike[:, 0] == pytest.approx([1, 0])


def test_the_best_assignment_is_not_the_greedy_one():
    # Greedy takes 0.9 and then has 0.1; together 0.8 + 0.7 are more.
    assert assign(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.05) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.9, 0.0], [0.0, 0.04]]), 0.05) == [(0, 0)]


SITUATIONS = {
    "two people stay": (([0, 500], [10, 490], [20, 480]), [[1, 2], [1, 2], [1, 2]]),
    "their order changes": (([0, 500], [500, 0]), [[1, 2], [2, 1]]),
    "somebody comes": (([0], [500, 0]), [[1], [2, 1]]),
    "somebody goes and comes back": (([0, 500], [0], [0, 500]), [[1, 2], [1], [1, 2]]),
    "an empty frame": (([0], [], [0]), [[1], [], [1]]),
    "somebody jumps": (([0], [5000]), [[1], [2]]),
    "gone for as long as anybody is remembered": (([0], *[[]] * 9, [0]), [[1], *[[]] * 9, [1]]),
    "gone for longer": (([0], *[[]] * 10, [0]), [[1], *[[]] * 10, [2]]),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_linking(name):
    frames, expected = SITUATIONS[name]
    assert linked(*frames) == expected


def test_known_identities_stay_and_are_not_given_again():
    assert linked([0, 500], [0, 500, 900], ids=[[1, None], [1, None, None]]) == [[1, 2], [1, 2, 3]]


def test_an_identity_that_comes_late_for_somebody_else_is_not_given_again():
    assert linked([0], [0, 400], [0, 400], ids=[[None], [None, 1], [None, 1]]) == [[1], [2, 1], [2, 1]]


def test_fast_people_are_known_by_their_boxes():
    # 60 of 100 pixels a frame: no joint stays near, the boxes share 40 of 160.
    assert linked([0], [60], [120]) == [[1], [1], [1]]


def test_a_person_without_joints_gets_a_new_identity_and_takes_nobodys():
    linker = Linker(FPS)
    nobody = np.full((1, 19, 2), np.nan, np.float32)
    assert linker.link(0, people(0), [None]) == [1]
    assert linker.link(1, nobody, [None]) == [2]
    assert linker.link(2, people(0), [None]) == [1]


def track(*places):
    return people(*[(x, 0.0) for x in places])


TRACKS = {
    "walking": (range(0, 200, 10), [0] * 20),
    "exchanged with somebody else": ([0] * 8 + [300] * 8, [0] * 8 + [1] * 8),
    "exchanged, and back": ([0] * 5 + [300] * 5 + [0] * 5, [0] * 5 + [1] * 5 + [2] * 5),
    "wrong for some frames": ([0] * 6 + [300] * (LASTING - 1) + [0] * 6, [0] * (11 + LASTING)),
    "wrong at the end, where nobody knows": ([0] * 6 + [300] * (LASTING - 1), [0] * (5 + LASTING)),
    "short": ([0, 300], [0, 0]),
    "running": (range(0, 1000, 50), [0] * 20),
}


@pytest.mark.parametrize("name", TRACKS)
def test_a_track_is_torn_where_it_goes_on_elsewhere(name):
    places, expected = TRACKS[name]
    assert parts(track(*places)) == expected


def test_nobody_is_linked_across_a_cut():
    linker = Linker(FPS)
    assert linker.link(0, people(0), [None]) == [1]
    linker.forget()
    assert linker.link(1, people(0), [None]) == [2]
    assert linker.link(2, people(0), [None]) == [2]
