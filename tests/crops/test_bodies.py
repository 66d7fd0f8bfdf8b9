"""Which joints can be one body's, and which way up it is."""

import numpy as np
import pytest
from fakes.stickman import POSTURES, stickman, turned
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_refine.crops.bodies import FACE, REACH, TURNED, face_height, in_frame, lean, one_body, one_person
from pose_refine.skeletons import NETWORK

DISTANCES = (2.0, 2.7, 5.0, 11.0, 20.0)  # person sizes
ANGLES = st.floats(-np.pi, np.pi)


@st.composite
def people(draw, least=10.0):
    """Somebody who stands, walks, waves or bends a little, of any size, anywhere, turned anyhow."""
    limbs = st.tuples(st.floats(-3, 3), st.floats(-1, 1), st.floats(-3, 3), st.floats(-1, 1))
    steps = st.tuples(*[st.floats(-0.8, 0.8)] * 4)
    size, place = draw(st.floats(least, 2000)), draw(st.tuples(*[st.floats(-500, 3000)] * 2))
    posture = {"arms": draw(limbs), "legs": draw(steps), "trunk": draw(st.floats(-0.5, 0.5))}
    return size, stickman(size, place, draw(ANGLES), wide=draw(st.floats(0.5, 1)), **posture)


def kept(poses):
    return ~np.isnan(one_body(poses)).any(-1)


def joint(name):
    return NETWORK.joints.index(name)


def test_limbs_reach_no_further_than_a_body_is_long():
    """From head to ankle nearly the whole height; twice the arm's span from wrist to wrist; and nobody is lopsided."""
    assert REACH[joint("head_top"), joint("left_ankle")] == pytest.approx(0.182 + 0.13 + 0.288 + 0.491 + 0.1)
    assert REACH[joint("left_wrist"), joint("right_wrist")] == pytest.approx(2 * (0.186 + 0.146) + 0.259 + 0.1)
    np.testing.assert_array_equal(REACH, REACH.T)
    np.testing.assert_allclose(REACH, REACH[NETWORK.mirror][:, NETWORK.mirror], rtol=1e-6)


@pytest.mark.parametrize("posture", POSTURES)
def test_postures_are_kept_whole(posture):
    poses = np.stack([stickman(200, (300, 250), angle, **POSTURES[posture]) for angle in (0, 0.7, np.pi)])
    np.testing.assert_array_equal(one_body(poses), poses)


@settings(deadline=None, max_examples=100)
@given(people())
def test_a_plausible_pose_is_kept_whole(person):
    _, pose = person
    np.testing.assert_array_equal(one_body(pose[None])[0], pose)


@settings(deadline=None, max_examples=100)
@given(people(), st.integers(0, 18), ANGLES)
def test_a_joint_far_off_is_dropped_and_it_does_not_matter_how_far(person, wrong, direction):
    """Rarely, of somebody bent double whose hip is off, both ankles go with it."""
    size, pose = person
    poses = np.repeat(pose[None], len(DISTANCES), 0)
    poses[:, wrong] = pose.mean(0) + size * np.array(DISTANCES)[:, None] * turned(np.array([1.0, 0.0]), direction)
    found = one_body(poses)
    gone = np.isnan(found).any(-1)
    assert gone[:, wrong].all()
    assert gone[0].sum() <= 1 + 2
    np.testing.assert_array_equal(gone, np.repeat(gone[:1], len(DISTANCES), 0))
    np.testing.assert_array_equal(found[~gone], poses[~gone])


@settings(deadline=None, max_examples=60)
@given(people(), st.lists(st.integers(0, 18), min_size=2, max_size=4, unique=True), st.integers(0, 99))
def test_joints_far_off_in_several_directions_are_dropped(person, wrong, seed):
    """Of people whose hands are above the head and whose shoulders are gone, a foot may go with them."""
    size, pose = person
    directions = np.random.default_rng(seed).uniform(0, 2 * np.pi) + np.arange(len(wrong)) * 2 * np.pi / len(wrong)
    away = turned(np.array([1.0, 0.0]), directions)
    results = []
    for distance in DISTANCES:
        given = pose.copy()
        given[wrong] = pose.mean(0) + size * distance * away
        results.append(one_body(given[None])[0])
        gone = np.isnan(results[-1]).any(-1)
        assert gone[wrong].all()
        assert gone.sum() <= len(wrong) + 4
    assert all(np.array_equal(result, results[0], equal_nan=True) for result in results)


UPPER = [joint(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")]
LEGS = [joint(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "knee", "ankle")]
HEAD = [j for j in range(19) if j not in UPPER + LEGS]
SPLITS = {  # whose joints are a neighbour's, three body sizes away
    "legs": LEGS,
    "arms": UPPER,
    "head": HEAD,
    "one arm and one leg": [joint(f"left_{name}") for name in ("elbow", "wrist", "hip", "knee", "ankle")],
    "all but the legs": HEAD + UPPER,
    "all but the head": UPPER + LEGS,
}


@pytest.mark.parametrize("split", SPLITS)
def test_of_two_clusters_the_larger_is_kept(split):
    theirs = np.isin(np.arange(19), SPLITS[split])
    pose = np.where(theirs[:, None], stickman(200, (900, 300)), stickman(200, (300, 250)))
    larger = theirs if theirs.sum() > 9 else ~theirs
    np.testing.assert_array_equal(kept(pose[None])[0], larger)


FEW = {  # joints that are there -> those that stay
    "none": ({}, []),
    "one": ({"nose": (5, 6)}, ["nose"]),
    "two, however far from each other": ({"nose": (5, 6), "left_ankle": (90_000, -3)}, ["nose", "left_ankle"]),
    "three of one body": (
        {"nose": (5, 6), "left_eye": (8, 3), "right_eye": (2, 3)},
        ["nose", "left_eye", "right_eye"],
    ),
    "four, one far off": (
        {"left_shoulder": (20, 0), "right_shoulder": (0, 0), "right_hip": (2, 24), "left_hip": (900, 900)},
        ["left_shoulder", "right_shoulder", "right_hip"],
    ),
}


@pytest.mark.parametrize("name", FEW)
def test_few_joints(name):
    given, staying = FEW[name]
    pose = np.full((1, 19, 2), np.nan, np.float32)
    for known, place in given.items():
        pose[0, joint(known)] = place
    found = one_body(pose)
    expected = np.isin(np.arange(19), [joint(n) for n in staying])
    np.testing.assert_array_equal(~np.isnan(found[0, :, 0]), expected)
    np.testing.assert_array_equal(found[0, expected], pose[0, expected])


SHAPELESS = {
    "nobody": np.zeros((0, 19, 2)),
    "nobody's joints": np.full((3, 19, 2), np.nan),
    "all in one point": np.full((2, 19, 2), 70.0),
    "all on one line": np.stack([np.arange(19) * 10.0, np.full(19, 4.0)], -1)[None],
    "all but one in one point": np.where(np.arange(19)[:, None] == 4, 1e6, np.full((1, 19, 2), 70.0)),
}


@pytest.mark.parametrize("name", SHAPELESS)
def test_shapeless_poses_are_no_error(name):
    poses = SHAPELESS[name].astype(np.float32)
    found = one_body(poses)
    assert found.shape == poses.shape
    assert found.dtype == np.float32
    present = ~np.isnan(found)
    np.testing.assert_array_equal(found[present], poses[present])
    assert (present.any((1, 2)) == ~np.isnan(poses).all((1, 2))).all()
    assert lean(poses).shape == (len(poses),)
    assert np.isfinite(lean(poses)).all()


def test_all_in_one_point_is_kept_but_for_what_is_elsewhere():
    assert kept(SHAPELESS["all in one point"].astype(np.float32)).all()
    assert kept(SHAPELESS["all but one in one point"].astype(np.float32)).sum() == 18


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_anything_is_judged_person_by_person_and_left_alone(seed, count):
    rng = np.random.default_rng(seed)
    poses = (rng.normal(0, 1, (count, 19, 2)) * 10 ** rng.uniform(0, 4, (count, 19, 1))).astype(np.float32)
    poses[rng.random((count, 19)) < rng.random((count, 1))] = np.nan
    before = poses.copy()
    found = one_body(poses)
    np.testing.assert_array_equal(poses, before)
    for n in range(count):
        np.testing.assert_array_equal(found[n], one_body(poses[n : n + 1])[0])
        assert np.isnan(found[n]).all() == np.isnan(poses[n]).all()
    stays = ~np.isnan(found)
    np.testing.assert_array_equal(found[stays], poses[stays])
    lean(poses)
    np.testing.assert_array_equal(poses, before)


def test_handed_in_read_only():
    pose = stickman()[None]
    pose.setflags(write=False)
    assert one_body(pose) is not pose
    assert lean(pose) == 0


def apart(a, b):
    """Of two angles, on the circle."""
    return abs((a - b + np.pi) % (2 * np.pi) - np.pi)


LEANS = {0: 0, 40: 0, -40: 0, 50: 50, 90: 90, -90: -90, 135: 135, 180: 180}


@pytest.mark.parametrize("angle", LEANS)
def test_lean_of_somebody_turned(angle):
    found = lean(stickman(150, (400, 300), np.deg2rad(angle))[None])
    assert found.dtype == np.float32
    assert apart(found[0], np.deg2rad(LEANS[angle])) < 1e-4


@settings(deadline=None, max_examples=100)
@given(people(), ANGLES)
def test_who_is_turned_further_leans_further(person, more):
    """Unless one of the two is too upright to count; and size and place do not matter."""
    _, pose = person
    both = np.stack([pose, turned(pose, more)])
    before, after = lean(both)
    if before == 0 or after == 0:
        known = after - more if before == 0 else before + more
        assert apart(known, 0) <= TURNED + 1e-2 or (before == 0 and after == 0)
    else:
        assert apart(before + more, after) < 1e-2
    assert all(angle == 0 or TURNED < abs(angle) <= np.float32(np.pi) for angle in (before, after))


def part(*names):
    return [j for j, name in enumerate(NETWORK.joints) if any(n in name for n in names)]


@pytest.mark.parametrize(("x", "framed"), [(-51, False), (-49, True), (129, True), (131, False)])
def test_a_crop_shows_what_lies_beside_the_body(x, framed):
    """A joint that is not one's own, half a body's longer side from its box, or a little more."""
    body = np.full((2, 19, 2), np.nan, np.float32)
    body[0, :4] = [[0, 0], [80, 0], [0, 100], [80, 100]]  # of the other, nothing is known
    claimed = body.copy()
    claimed[0, 4] = [x, 50]
    found = in_frame(claimed, body)
    np.testing.assert_array_equal(found, claimed if framed else body)


MISSING = {  # of somebody who lies on one side
    "nothing": ([], 90),
    "hips": (part("hip"), 90),
    "shoulders": (part("shoulder"), 90),
    "head": (part("nose", "eye", "ear", "neck", "top"), 90),
    "left shoulder and right hip": ([joint("left_shoulder"), joint("right_hip")], 90),
    "hips and shoulders": (part("hip", "shoulder"), 0),
    "hips and head": (part("hip", "nose", "eye", "ear", "neck", "top"), 0),
    "all": (range(19), 0),
}


@pytest.mark.parametrize("name", MISSING)
def test_lean_by_what_there_is(name):
    gone, degrees = MISSING[name]
    pose = stickman(200, (300, 300), np.pi / 2, wide=0.1)
    pose[list(gone)] = np.nan
    assert lean(pose[None])[0] == pytest.approx(np.deg2rad(degrees), abs=0.3 if degrees else 0)


def test_who_disagrees_with_himself_is_taken_for_upright():
    """One side of the trunk, or the head, is somebody else's."""
    lying, standing = stickman(200, (300, 300), np.pi / 2), stickman(200, (300, 300))
    assert lean(lying[None])[0] > 1
    for theirs in (part("left_shoulder", "left_hip"), part("nose", "eye", "ear", "neck", "top")):
        pose = lying.copy()
        pose[theirs] = standing[theirs] + (0, 0 if len(theirs) == 2 else -100)
        assert lean(pose[None])[0] == 0


@settings(deadline=None, max_examples=40)
@given(people(), st.floats(0, 0.01), st.integers(0, 2**32 - 1))
def test_one_person_found_twice(person, apart, seed):
    """A hundredth of the size apart they are one, a tenth they are not; joints that one of them lacks say nothing."""
    size, pose = person
    rng = np.random.default_rng(seed)
    again = pose + rng.uniform(-1, 1, pose.shape) * apart * size
    again[rng.permutation(19)[:9]] = np.nan
    assert one_person(pose, again)
    assert not one_person(pose, pose + np.float32([size / 10, 0]))


def test_two_joints_do_not_tell_who_somebody_is():
    pose = stickman(200, (300, 250))
    some = pose.copy()
    some[2:] = np.nan
    assert not one_person(pose, some)
    assert not one_person(np.full_like(pose, np.nan), pose)


@settings(deadline=None, max_examples=40)
@given(people(), st.sets(st.sampled_from(range(5)), min_size=2))
def test_a_head_alone_tells_how_tall_somebody_is(person, there):
    """Roughly, as heads differ and are seen from the side; and whoever is twice as large is twice as tall."""
    size, pose = person
    head = np.full_like(pose, np.nan)
    head[list(there)] = pose[list(there)]
    tall = face_height(head[None])[0]
    assert FACE * size / 6 < tall < 6 * FACE * size
    np.testing.assert_allclose(face_height(2 * head[None]), 2 * tall, rtol=1e-4)
    head[joint("left_wrist")] = pose[joint("left_wrist")]
    assert face_height(head[None])[0] == 0


def test_one_joint_of_a_head_tells_nothing():
    head = np.full((1, 19, 2), np.nan, np.float32)
    head[0, 0] = 5
    assert face_height(head).tolist() == [0]
