"""Pictures: what is drawn where, in which colour."""

import numpy as np
import pytest

from pose_refine.poses import Poses
from pose_refine.skeletons import SKELETONS
from pose_refine.viz import ARROW, GUESS, LEFT, MIDDLE, RIGHT, color_of, draw, side_by_side

IMAGE = np.full((260, 300, 3), 90, dtype=np.uint8)
JOINTS = SKELETONS["coco17"].joints


def poses_of(scores=0.9, people=1):
    """Seventeen joints on a circle, so that no joint's disc covers another's; left in the picture's right half."""
    angle = np.linspace(0, 2 * np.pi, 17, endpoint=False)
    circle = 130 + 100 * np.stack([np.cos(angle), np.sin(angle)], -1)
    keypoints = np.repeat(circle[None], people, 0).astype(np.float32)
    return Poses(keypoints, np.full((people, 17), scores, dtype=np.float32), "coco17")


def moved(poses, joint, shift):
    keypoints = poses.keypoints.copy()
    keypoints[:, JOINTS.index(joint)] += shift
    return Poses(keypoints, poses.scores, poses.skeleton)


def without(poses, *joints):
    keypoints = poses.keypoints.copy()
    keypoints[:, [JOINTS.index(n) for n in joints]] = np.nan
    return Poses(keypoints, poses.scores, poses.skeleton)


def color_at(image, point):
    x, y = np.round(point).astype(int)
    return tuple(int(v) for v in image[y, x])


@pytest.mark.parametrize("joint", JOINTS)
def test_joints_are_discs_in_their_sides_colour(joint):
    drawn = draw(IMAGE, poses_of())
    side = {"left": LEFT, "right": RIGHT}.get(joint.partition("_")[0], MIDDLE)
    assert color_at(drawn, poses_of().keypoints[0, JOINTS.index(joint)]) == side


def test_left_is_warm_and_right_is_cold():
    assert LEFT[0] > LEFT[2]
    assert RIGHT[0] < RIGHT[2]
    assert color_of("left_hip", "left_knee") == LEFT
    assert color_of("right_hip", "right_knee") == RIGHT
    assert color_of("left_hip", "right_hip") == color_of("nose") == MIDDLE


def test_limbs_are_drawn():
    knee, ankle = (poses_of().keypoints[0, JOINTS.index(n)] for n in ("left_knee", "left_ankle"))
    assert color_at(draw(IMAGE, poses_of()), (knee + ankle) / 2) == LEFT


@pytest.mark.parametrize("image", [IMAGE, IMAGE[:, ::-1], IMAGE[::-1, :, ::-1]], ids=["plain", "mirrored", "bgr"])
def test_the_image_is_left_alone(image):
    before, poses = image.copy(), poses_of()
    drawn = draw(image, poses, moved(poses, "nose", 30))
    np.testing.assert_array_equal(image, before)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn != image).any()


def test_read_only_images_can_be_drawn_on():
    image = IMAGE.copy()
    image.setflags(write=False)
    assert (draw(image, poses_of()) != image).any()


def test_missing_joints_and_their_limbs_are_left_out():
    poses = poses_of()
    wrist, elbow = (poses.keypoints[0, JOINTS.index(n)] for n in ("left_wrist", "left_elbow"))
    drawn = draw(IMAGE, without(poses, "left_wrist"))
    assert color_at(drawn, wrist) == color_at(drawn, (wrist + elbow) / 2) == (90, 90, 90)
    assert color_at(drawn, elbow) == LEFT


def test_low_scores_are_hidden_and_unknown_ones_shown():
    scores = np.full((1, 17), 0.1, dtype=np.float32)
    scores[0, [9, 10]] = 0.5, np.nan
    poses = Poses(poses_of().keypoints, scores, "coco17")
    drawn = draw(IMAGE, poses, least_score=0.3)
    colors = [color_at(drawn, point) for point in poses.keypoints[0]]
    assert {i for i, color in enumerate(colors) if color != (90, 90, 90)} == {9, 10}
    assert colors[9:11] == [LEFT, RIGHT]


EMPTY = [
    pytest.param(Poses(np.zeros((0, 17, 2)), np.zeros((0, 17)), "coco17"), id="nobody"),
    pytest.param(Poses(np.full((1, 17, 2), np.nan), np.zeros((1, 17)), "coco17"), id="all joints missing"),
]


@pytest.mark.parametrize("poses", EMPTY)
def test_nothing_to_draw(poses):
    np.testing.assert_array_equal(draw(IMAGE, poses, poses), IMAGE)


def test_a_person_without_joints_does_not_hide_the_next():
    poses = poses_of(people=2)
    poses.keypoints[0] = np.nan
    np.testing.assert_array_equal(draw(IMAGE, poses), draw(IMAGE, poses_of()))


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_every_skeleton_can_be_drawn(skeleton):
    joints = len(SKELETONS[skeleton].joints)
    keypoints = np.random.default_rng(0).uniform(0, 250, (2, joints, 2))
    assert (draw(IMAGE, Poses(keypoints, np.ones((2, joints)), skeleton)) != IMAGE).any()


@pytest.mark.parametrize("away", [1e4, 1e9])
def test_a_joint_far_outside_neither_fails_nor_floods_the_picture(away):
    drawn = draw(IMAGE, moved(poses_of(), "nose", away))
    assert drawn.shape == IMAGE.shape
    assert (drawn == IMAGE).all(-1).mean() > 0.5


def test_arrows_show_where_a_joint_came_from():
    after, before = poses_of(), moved(poses_of(), "left_wrist", (40, 20))
    start, end = (p.keypoints[0, JOINTS.index("left_wrist")] for p in (before, after))
    assert color_at(draw(IMAGE, after, before), (start + end) / 2) == pytest.approx(ARROW, abs=30)  # a thin line
    assert color_at(draw(IMAGE, after), (start + end) / 2) != pytest.approx(ARROW, abs=30)


def test_moves_too_short_to_see_have_no_arrow():
    poses = poses_of()
    np.testing.assert_array_equal(draw(IMAGE, poses, moved(poses, "left_wrist", 1.0)), draw(IMAGE, poses))


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(poses_of(people=2), id="more people"),
        pytest.param(Poses(np.zeros((1, 16, 2)), np.zeros((1, 16)), "mpii16"), id="another skeleton"),
    ],
)
def test_before_must_be_the_same_people(before):
    with pytest.raises(ValueError, match="before: expected the same people in the same skeleton"):
        draw(IMAGE, poses_of(), before)


@pytest.mark.parametrize(("width", "gap"), [(300, 3), (120, 2), (1000, 10)])
def test_side_by_side(width, gap):
    image = np.full((260, width, 3), 90, dtype=np.uint8)
    both = side_by_side(image, poses_of(), poses_of(scores=GUESS / 2))
    assert both.shape == (260, 2 * width + gap, 3)
    np.testing.assert_array_equal(both[:, :width], draw(image, poses_of()))
    assert (both[:, width : width + gap] == 255).all()
    np.testing.assert_array_equal(both[:, width + gap :], image)  # guesses are hidden
