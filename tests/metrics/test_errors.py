"""Kinds of errors, who is who, bias and scores: small cases worked out by hand."""

import numpy as np
import pytest

from pose_refine.metrics import errors
from pose_refine.metrics.errors import KINDS, NOT_LABELLED, assign, judge, kinds_of, ranking, scores_of, together
from pose_refine.metrics.oks import sigmas_of
from pose_refine.skeletons import SKELETONS

COCO = SKELETONS["coco17"]
AREA = 2500.0
SIGMAS = sigmas_of("coco17")
WRIST, OTHER_WRIST, ELBOW = (COCO.joints.index(n) for n in ("left_wrist", "right_wrist", "left_elbow"))


def person(shift=0.0):
    """17 joints, far apart from each other for AREA."""
    return np.stack([100.0 + 60 * np.arange(17) + shift, 50.0 * (1 + np.arange(17) % 5)], -1)


def radius(joint, similarity):
    """Pixels at which a joint is so similar."""
    return 2 * SIGMAS[joint] * np.sqrt(AREA) * np.sqrt(-2 * np.log(similarity))


def kinds(poses, truth):
    found = kinds_of(np.array(poses), np.array(truth), np.full(len(truth), AREA), "coco17")
    return [[KINDS[k] if k != NOT_LABELLED else None for k in row] for row in found]


@pytest.mark.parametrize(
    ("share", "kind"), [(0.851, "good"), (0.849, "jitter"), (0.501, "jitter"), (0.499, "miss"), (1e-9, "miss")]
)
def test_distance(share, kind):
    pose = person()
    pose[WRIST, 1] += radius(WRIST, share)
    (found,) = kinds([pose], [person()])
    assert found[WRIST] == kind
    assert found[:WRIST] + found[WRIST + 1 :] == ["good"] * 16


def test_inversion_swap_missing_and_not_labelled():
    mine, theirs, truth = person(), person(5000), person()
    mine[WRIST] = truth[OTHER_WRIST]
    mine[ELBOW] = theirs[ELBOW + 1]  # the mirror joint of somebody else
    mine[3] = np.nan
    truth[4] = np.nan
    found = kinds([mine, theirs], [truth, theirs])
    assert (found[0][WRIST], found[0][ELBOW], found[0][3], found[0][4]) == ("inversion", "swap", "missing", None)
    assert found[1] == ["good"] * 17


def test_the_first_kind_that_fits_counts():
    """A joint within one's own radius is good, also where the mirror joint and somebody else's are there, too."""
    truth = person()
    truth[OTHER_WRIST] = truth[WRIST]
    assert kinds([truth, truth], [truth, truth]) == [["good"] * 17] * 2


def test_who_is_who():
    truth = np.stack([person(), person(70), person(9000)])
    poses = np.stack([person(72), person()[COCO.mirror], person(-9000)])
    rows = assign(poses, truth, np.full(3, AREA), "coco17")
    assert rows.tolist() == [1, 0, -1]  # the first with its sides exchanged; nobody is like the third
    assert assign(poses[:0], truth, np.full(3, AREA), "coco17").tolist() == [-1, -1, -1]
    assert assign(poses, truth[:0], np.zeros(0), "coco17").tolist() == []


def scored(poses, scores):
    return np.concatenate([poses, np.broadcast_to(np.asarray(scores, float)[..., None], (*poses.shape[:2], 1))], -1)


def test_judging_people_and_what_is_found_of_them():
    truth = np.stack([person(), person(5000)])
    found = judge(
        scored(np.stack([person(9000), person(3)]), 0.5 * np.ones((2, 17))), truth, np.full(2, AREA), "coco17"
    )
    assert found.extra == 1
    assert (found.kinds[1] == KINDS.index("missing")).all()
    everybody = together([found, found])
    assert (len(everybody.kinds), everybody.extra) == (4, 2)
    wrist = errors.joint_errors(everybody, "left_wrist", [WRIST])
    assert (wrist.labelled, wrist.shares["missing"], wrist.shares["good"]) == (4, 50, 50)
    assert wrist.bias == pytest.approx((3, 0))
    assert wrist.of_size == pytest.approx((100 * 3 / 50, 0))
    assert wrist.doubt == pytest.approx((0, 0))


def test_bias_leaves_out_what_is_on_another_joint():
    pose = scored(person()[None], np.ones((1, 17)))
    pose[0, WRIST, :2] = person()[OTHER_WRIST]
    found = errors.joint_errors(judge(pose, person()[None], np.array([AREA]), "coco17"), "left_wrist", [WRIST])
    assert found.shares["inversion"] == 100
    assert np.isnan(found.bias).all()
    assert np.isinf(found.doubt).all()


def test_people_whose_sides_are_exchanged():
    truth = np.stack([person(), person(5000)])
    poses = scored(np.stack([person()[COCO.mirror], person(5000)]), np.ones((2, 17)))
    assert errors.exchanged(judge(poses, truth, np.full(2, AREA), "coco17"), "coco17") == 1


def test_scores():
    """100 people; a joint is good where its score is above .5, and far off elsewhere."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, (100, 17))
    truth = np.stack([person()] * 100)
    poses = scored(truth + np.where(scores > 0.5, 0, 25)[..., None] * np.array([0, 1]), scores)
    parts = [judge(poses[i : i + 1], truth[i : i + 1], np.array([AREA]), "coco17") for i in range(100)]
    found = scores_of(together(parts))
    assert found.ranked > 95  # hips are still near at 25 pixels
    assert sum(b.count for b in found.bins) == 1700
    assert len(found.bins) == errors.BINS
    assert [b.low for b in found.bins] == sorted(b.low for b in found.bins)
    assert found.bins[-1].good == 100
    assert found.off == pytest.approx(25, abs=5)


def test_scores_that_are_none_equal_or_no_shares():
    truth = person()[None]
    of = [judge(scored(truth, np.full((1, 17), s)), truth, np.array([AREA]), "coco17") for s in (np.nan, 0.7, 3.0)]
    assert scores_of(of[0]).bins == []
    (only,) = scores_of(of[1]).bins
    assert (only.low, only.high, only.count, only.good) == (0.7, 0.7, 17, 100)
    assert scores_of(of[1]).off == pytest.approx(30)
    assert np.isnan(scores_of(of[1]).ranked)
    assert np.isnan(scores_of(of[2]).off)


def test_ranking():
    assert ranking(np.array([0.1, 0.2, 0.3]), np.array([False, False, True])) == 100
    assert ranking(np.array([0.3, 0.2, 0.1]), np.array([False, False, True])) == 0
    assert ranking(np.array([0.5, 0.5]), np.array([False, True])) == 50
