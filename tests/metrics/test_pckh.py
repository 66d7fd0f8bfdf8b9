import numpy as np
import pytest

from pose_refine.metrics.pckh import head_distance, head_size, pckh
from pose_refine.skeletons import SKELETONS

NAN = float("nan")
LSP = SKELETONS["lsp14"].joints
MPII = SKELETONS["mpii16"].joints


def people(count, skeleton=MPII):
    """`count` people with all joints at (0, 0)."""
    return np.zeros((count, len(skeleton), 2))


def test_head_size():
    """A box of 3 x 4 has the diagonal 5; 0.6 of it."""
    np.testing.assert_allclose(head_size(np.array([[10, 20, 13, 24]])), [3], rtol=1e-15)


def test_distance_in_head_sizes():
    truth, poses = people(1, LSP), people(1, LSP)
    poses[0, 0], poses[0, 1], truth[0, 2], truth[0, 3] = (3, 4), NAN, NAN, NAN
    poses[0, 3] = NAN
    found = head_distance(poses, truth, np.array([10.0]))
    np.testing.assert_array_equal(found[0, :5], [0.5, np.inf, NAN, NAN, 0])


# Of one person with head size 10 one joint, the right ankle, is so far off, in pixels: is it right?
HITS = {"exact": (0, 100), "on the threshold": (5, 100), "just beyond": (5.001, 0), "not predicted": (NAN, 0)}


@pytest.mark.parametrize("name", HITS)
def test_a_joint_is_right_within_half_a_head(name):
    distance, expected = HITS[name]
    truth, poses = people(1), people(1)
    poses[0, 0, 0] = distance
    found = pckh(poses, truth, np.array([10.0]))
    assert found.joints[MPII.index("right_ankle")] == expected
    assert found.total == pytest.approx(100 * (13 + expected / 100) / 14)


def test_total_counts_labels_not_joints():
    """Two ankles labelled on two people, one wrong, and one hip, right: 2 of 3, where the mean of joints is 75."""
    truth, poses = np.full((2, 16, 2), NAN), people(2)
    truth[:, MPII.index("left_ankle")] = 0
    truth[0, MPII.index("left_hip")] = 0
    poses[1] = 100
    found = pckh(poses, truth, np.array([10.0, 10.0]))
    assert found.joints[MPII.index("left_ankle")] == 50
    assert found.joints[MPII.index("left_hip")] == 100
    assert np.isnan(found.joints[MPII.index("pelvis")])
    assert found.total == pytest.approx(200 / 3)
    assert np.isnan(found.upper_body)


def test_pelvis_and_thorax_are_not_in_the_total():
    truth, poses = people(1), people(1)
    poses[0, [MPII.index("pelvis"), MPII.index("thorax")]] = 100
    assert pckh(poses, truth, np.array([10.0])).total == 100
    assert pckh(poses, truth, np.array([10.0]), leave_out=()).total == pytest.approx(100 * 14 / 16)


def test_upper_body():
    """Shoulders, elbows and wrists: one of six wrong."""
    truth, poses = people(1), people(1)
    poses[0, [MPII.index("left_wrist"), MPII.index("left_hip")]] = 100
    assert pckh(poses, truth, np.array([10.0])).upper_body == pytest.approx(500 / 6)


def test_area_under_the_curve():
    """All joints a quarter of a head off: 0 below threshold 0.25, 100 from there on, a trapezoid of 0.01 between; of
    the width 0.5 that is 0.25 + 0.005 = 51 %."""
    truth, poses = people(1), people(1)
    poses[..., 0] = 2.5
    found = pckh(poses, truth, np.array([10.0]))
    assert found.curve[24] == 0
    assert found.curve[25] == 100
    assert found.auc == pytest.approx(51)


def test_other_skeletons_and_thresholds():
    truth, poses = people(1, LSP), people(1, LSP)
    poses[..., 0] = 2
    assert pckh(poses, truth, np.array([10.0]), skeleton="lsp14", threshold=0.2).total == 100
    assert pckh(poses, truth, np.array([10.0]), skeleton="lsp14", threshold=0.1).total == 0


def test_nothing_is_changed():
    truth, poses, sizes = people(1), people(1), np.array([10.0])
    truth[0, 0] = NAN
    before = truth.copy(), poses.copy(), sizes.copy()
    pckh(poses, truth, sizes)
    for array, copy in zip((truth, poses, sizes), before, strict=True):
        np.testing.assert_array_equal(array, copy)


BAD = {
    "another number of people": (people(2), people(1), [10.0], "expected shapes"),
    "another number of joints": (people(1, LSP), people(1, LSP), [10.0], r"expected shape \(N, 16, 2\) for mpii16"),
    "no head size": (people(1), people(1), [NAN], "above 0 for all labelled people, got nan"),
    "head of size 0": (people(1), people(1), [0.0], "above 0 for all labelled people, got 0.0"),
    "nobody labelled": (people(1), people(1) * NAN, [10.0], "expected labelled joints, got none among 1 people"),
    "nobody": (people(0), people(0), [], "expected labelled joints, got none among 0 people"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    poses, truth, sizes, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        pckh(poses, truth, np.array(sizes))
