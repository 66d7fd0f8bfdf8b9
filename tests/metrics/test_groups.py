import numpy as np
import pytest

from pose_refine.metrics.groups import GROUPS, columns_of, group_means, mean_of_defined
from pose_refine.skeletons import SKELETONS

NAN = float("nan")
HEADS = {
    "mpii16": ["upper_neck", "head_top"],
    "posetrack15": ["upper_neck", "nose", "head_top"],
    "coco17": ["nose", "left_eye", "right_eye", "left_ear", "right_ear"],
}


@pytest.mark.parametrize("skeleton", HEADS)
def test_what_the_head_is(skeleton):
    joints = SKELETONS[skeleton].joints
    assert [joints[i] for i in columns_of("head", joints)] == HEADS[skeleton]


def test_every_group_has_both_sides():
    assert all(len(columns_of(g, SKELETONS["coco17"].joints)) == 2 for g in GROUPS if g != "head")


def test_means():
    """A group with an undefined joint is undefined, as poseval prints it; the total leaves such joints out."""
    joints = ("left_hip", "right_hip", "left_knee", "right_knee", "pelvis")
    values = np.array([10.0, 30.0, NAN, 50.0, 90.0])
    means = group_means(values, joints)
    assert list(means) == ["hip", "knee"]
    assert means["hip"] == 20
    assert np.isnan(means["knee"])
    assert mean_of_defined(values) == 45  # (10 + 30 + 50 + 90) / 4
    assert np.isnan(mean_of_defined(np.array([NAN, NAN])))
