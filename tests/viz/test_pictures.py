"""Pictures: what is drawn where, in which colour."""

import cv2
import numpy as np
import pytest
import torch

from pose_refine.poses import Poses
from pose_refine.skeletons import SKELETONS
from pose_refine.viz.pictures import GUESS, LEFT, MIDDLE, RIGHT, before_and_after, color_of, draw, side_by_side

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


NEAR = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1).reshape(-1, 2)


def whitest(image, points):
    """The brightest of the pixels at some points."""
    return max(min(color_at(image, point)) for point in points)


def beside_the_middle(start, end):
    """The points near the middle of a line's left side, where its arrow passes."""
    across = (end - start)[::-1] * (1, -1)
    return [(start + end) / 2 + share * across for share in np.linspace(0.05, 0.15, 9)]


def test_arrows_show_where_a_joint_came_from():
    after, before = poses_of(), moved(poses_of(), "left_wrist", (60, 30))
    start, end = (p.keypoints[0, JOINTS.index("left_wrist")] for p in (before, after))
    drawn = draw(IMAGE, after, before)
    assert whitest(drawn, beside_the_middle(start, end)) > 200
    assert whitest(draw(IMAGE, after), beside_the_middle(start, end)) < 200
    assert color_at(drawn, end) == LEFT  # on top of its arrow


def test_arrows_of_an_exchange_lie_side_by_side():
    after = poses_of()
    before = Poses(after.keypoints[:, SKELETONS["coco17"].mirror], after.scores, "coco17")
    there, back = after.keypoints[0, [JOINTS.index("left_knee"), JOINTS.index("right_knee")]]
    drawn = draw(IMAGE, after, before)
    assert whitest(drawn, beside_the_middle(there, back)) > 200
    assert whitest(drawn, beside_the_middle(back, there)) > 200


def test_arrowheads_are_at_the_end():
    after, before = poses_of(), moved(poses_of(), "left_wrist", (60, 0))
    x, y = np.round(after.keypoints[0, JOINTS.index("left_wrist")]).astype(int)
    thickness = (draw(IMAGE, after, before)[y - 20 : y + 20].min(-1) > 200).sum(0)
    assert thickness[x : x + 20].max() >= 2 * thickness[x + 30 : x + 55].max() > 0


@pytest.mark.parametrize("joint", ["nose", "left_wrist", "right_ankle"])
def test_recovered_joints_are_rings(joint):
    poses = poses_of()
    place, color = poses.keypoints[0, JOINTS.index(joint)], color_of(joint)
    drawn = draw(IMAGE, poses, without(poses, joint))
    ring = [color_at(drawn, place + 1.5 * 3.6 * np.array([np.cos(a), np.sin(a)])) for a in np.linspace(0, 6, 25)]
    assert np.mean([sum(abs(np.subtract(c, color))) < 90 for c in ring]) > 0.6
    assert color_at(drawn, place + np.array([2.5, 2.5])) != color


def test_joints_that_went_missing_leave_a_cross():
    poses = poses_of()
    place = poses.keypoints[0, JOINTS.index("left_wrist")]
    gone = without(poses, "left_wrist")
    assert min(color_at(draw(IMAGE, gone, poses), place)) > 200
    assert color_at(draw(IMAGE, gone, gone), place) == color_at(draw(IMAGE, gone), place) == (90, 90, 90)


def test_hidden_joints_leave_no_cross():
    poses = poses_of(scores=0.1)
    np.testing.assert_array_equal(draw(IMAGE, poses, poses, least_score=0.3), IMAGE)


def test_a_person_all_of_whose_joints_went_missing_is_shown():
    gone = Poses(np.full((1, 17, 2), np.nan), np.zeros((1, 17)), "coco17")
    drawn = draw(IMAGE, gone, poses_of())
    assert all(whitest(drawn, point + NEAR) > 200 for point in poses_of().keypoints[0])


def test_face_and_finger_joints_are_small():
    names = SKELETONS["wholebody133"].joints
    grid = 20 + 20 * np.stack(np.divmod(np.arange(133), 12), -1)
    drawn = draw(
        np.full((280, 280, 3), 90, np.uint8), Poses(grid[None].astype(float), np.ones((1, 133)), "wholebody133")
    )
    face, toe = (color_at(drawn, grid[names.index(n)] + (0, 5)) for n in ("face_3", "left_big_toe"))
    assert face == (90, 90, 90)
    assert toe != (90, 90, 90)


@pytest.mark.parametrize("scale", [1, 4, 12])
def test_widths_grow_with_the_person(scale):
    side = round(260 * scale)
    poses = Poses((poses_of().keypoints - 130) * scale + side / 2, poses_of().scores, "coco17")
    drawn = draw(np.full((side, side, 3), 90, np.uint8), poses)
    covered = (drawn != 90).any(-1).mean()
    assert covered == pytest.approx(0.1, abs=0.06)


def text_at(image, joint_at):
    """Which pixels within 40 of a point are nearly white, and how many are nearly black."""
    x, y = np.round(joint_at).astype(int)
    around = image[max(0, y - 40) : y + 40, max(0, x - 40) : x + 40].astype(int)
    return int((around.min(-1) > 200).sum()), int((around.max(-1) < 30).sum())


def test_scores_are_written_beside_joints_white_on_dark():
    scores = np.full((1, 17), np.nan, dtype=np.float32)
    scores[0, JOINTS.index("left_wrist")] = 0.87
    poses = Poses(poses_of().keypoints, scores, "coco17")
    wrist = poses.keypoints[0, JOINTS.index("left_wrist")]
    plain, written = draw(IMAGE, poses), draw(IMAGE, poses, scores=True)
    y, x = np.nonzero((plain != written).any(-1))
    assert np.hypot(x - wrist[0], y - wrist[1]).max() < 40
    assert np.subtract(text_at(written, wrist), text_at(plain, wrist)).min() > 15
    assert all(color_at(plain, point) == color_at(written, point) for point in poses.keypoints[0])


@pytest.mark.parametrize("score", [0.0, 0.004, 1.0, 12.5, -3.0])
def test_any_score_can_be_written(score):
    poses = poses_of(scores=score)
    everything = {"least_score": -np.inf}
    assert (draw(IMAGE, poses, scores=True, **everything) != draw(IMAGE, poses, **everything)).any()


@pytest.mark.parametrize("corner", [(3, 3), (296, 3), (3, 256), (296, 256)])
def test_scores_stay_inside_the_picture(corner):
    keypoints = np.full((1, 17, 2), np.nan, dtype=np.float32)
    keypoints[0, 0] = corner
    written = draw(IMAGE, Poses(keypoints, np.full((1, 17), 0.87), "coco17"), scores=True)
    middle = draw(IMAGE, Poses(keypoints * 0 + 130, np.full((1, 17), 0.87), "coco17"), scores=True)
    assert text_at(written, corner)[0] == pytest.approx(text_at(middle, (130, 130))[0], abs=6)


def test_missing_and_hidden_joints_have_no_score_written():
    hidden = poses_of(scores=0.1)
    np.testing.assert_array_equal(draw(IMAGE, hidden, least_score=0.3, scores=True), IMAGE)
    nobody = Poses(np.full((1, 17, 2), np.nan), np.ones((1, 17)), "coco17")
    np.testing.assert_array_equal(draw(IMAGE, nobody, scores=True), IMAGE)


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
    both = side_by_side(image, poses_of(), poses_of(scores=GUESS / 2), signs=False)
    assert both.shape == (260, 2 * width + gap, 3)
    np.testing.assert_array_equal(both[:, :width], draw(image, poses_of()))
    assert (both[:, width : width + gap] == 255).all()
    np.testing.assert_array_equal(both[:, width + gap :], image)  # guesses are hidden


def test_guesses_are_hidden_by_one_rule():
    """Of what comes back, in every picture; of what an estimator gave, whose scores mean anything, nothing is."""
    guess, sure = poses_of(scores=GUESS / 2), poses_of()
    np.testing.assert_array_equal(draw(IMAGE, guess), IMAGE)
    before, after = before_and_after(IMAGE, guess, guess)
    np.testing.assert_array_equal(after, IMAGE)
    np.testing.assert_array_equal(before, draw(IMAGE, sure))


@pytest.mark.parametrize(("width", "rows"), [(140, 0), (160, 2), (1000, 1)])
def test_the_legend_is_as_high_as_it_must_be(width, rows):
    image = np.full((260, width, 3), 90, dtype=np.uint8)
    both = side_by_side(image, poses_of(), poses_of())
    below = both[260:]
    assert len(below) == rows * 18
    np.testing.assert_array_equal(both[:260], side_by_side(image, poses_of(), poses_of(), signs=False))
    for color in (LEFT, RIGHT, MIDDLE) if rows else ():
        assert (below == color).all(-1).any()


KEYPOINTS = poses_of().to_array()
GIVEN = {
    "array": KEYPOINTS,
    "one person": KEYPOINTS[0],
    "torch": torch.from_numpy(KEYPOINTS),
    "COCO results": [{"image_id": 1, "keypoints": KEYPOINTS.reshape(-1).tolist(), "score": 1.0}],
}


@pytest.mark.parametrize("kind", GIVEN)
def test_whatever_refine_takes_can_be_drawn(kind):
    np.testing.assert_array_equal(draw(IMAGE, GIVEN[kind]), draw(IMAGE, poses_of()))
    was = moved(poses_of(), "left_wrist", 40)
    np.testing.assert_array_equal(draw(IMAGE, GIVEN[kind], was.to_array()), draw(IMAGE, poses_of(), was))


def test_images_and_poses_from_files(tmp_path):
    paths = [str(tmp_path / name) for name in ("image.png", "poses.npy")]
    image = np.random.default_rng(0).integers(0, 255, IMAGE.shape, dtype=np.uint8)
    cv2.imwrite(paths[0], image[:, :, ::-1])
    np.save(paths[1], KEYPOINTS)
    np.testing.assert_array_equal(draw(*paths), draw(image, poses_of()))
    np.testing.assert_array_equal(draw(image[:, :, ::-1], poses_of(), color="bgr"), draw(image, poses_of()))


@pytest.mark.parametrize(("length", "head"), [(10, False), (14, False), (40, True)])
def test_short_arrows_are_lines_and_no_bare_heads(length, head):
    after = poses_of()
    before = moved(after, "left_wrist", (length, 0))
    x, y = np.round(after.keypoints[0, JOINTS.index("left_wrist")]).astype(int)
    white = (draw(IMAGE, after, before)[y - 20 : y + 20, x : x + length + 5].min(-1) > 200).sum(0)
    assert white.max() > 0
    assert (white.max() > 3) == head


def test_an_image_of_another_kind_is_told():
    with pytest.raises(ValueError, match="a grey image has no colour"):
        draw(IMAGE[:, :, 0], poses_of())
