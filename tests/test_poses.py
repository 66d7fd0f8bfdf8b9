import numpy as np
import pytest

from pose_refine import Poses

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
