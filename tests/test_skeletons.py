"""Tables of joints, and conversions between them by name."""

import numpy as np
import pytest

from pose_refine.skeletons import (
    COCO_JOINTS,
    MIDDLES,
    NETWORK,
    SIGMAS,
    SKELETONS,
    convert,
    get_skeleton,
    in_another_order,
    joint_name,
    like_a_body,
    put_back,
    skeleton_of,
)

EVERY = [pytest.param(s, id=name) for name, s in SKELETONS.items()]
LENGTHS = {"network19": 19, "coco17": 17, "mpii16": 16, "lsp14": 14, "body25": 25, "body25b": 25, "body135": 135,
           "openpose134": 134, "coco18": 18, "mpi15": 15,
           "halpe26": 26, "halpe136": 136, "wholebody133": 133, "mediapipe33": 33, "posetrack15": 15,
           "posetrack17": 17, "aic14": 14, "crowdpose14": 14, "h36m17": 17}  # fmt: skip
ANCHORS = {  # from each format's own documentation
    "network19": {0: "nose", 16: "right_ankle", 17: "upper_neck", 18: "head_top"},
    "coco17": {0: "nose", 1: "left_eye", 5: "left_shoulder", 10: "right_wrist", 16: "right_ankle"},
    "mpii16": {0: "right_ankle", 5: "left_ankle", 6: "pelvis", 7: "thorax", 8: "upper_neck", 9: "head_top",
               10: "right_wrist", 15: "left_wrist"},
    "lsp14": {0: "right_ankle", 3: "left_hip", 6: "right_wrist", 11: "left_wrist", 12: "upper_neck", 13: "head_top"},
    "body25": {0: "nose", 1: "neck", 2: "right_shoulder", 7: "left_wrist", 8: "mid_hip", 9: "right_hip",
               14: "left_ankle", 15: "right_eye", 18: "left_ear", 19: "left_big_toe", 21: "left_heel",
               22: "right_big_toe", 24: "right_heel"},
    "body25b": {0: "nose", 1: "left_eye", 5: "left_shoulder", 16: "right_ankle", 17: "upper_neck", 18: "head_top",
                19: "left_big_toe", 21: "left_heel", 24: "right_heel"},
    "body135": {16: "right_ankle", 18: "head_top", 24: "right_heel", 25: "left_hand_1", 45: "right_hand_1",
                65: "face_0"},
    "openpose134": {1: "neck", 2: "right_shoulder", 17: "left_ear", 18: "left_big_toe", 24: "face_0",
                    92: "left_hand_0"},
    "coco18": {0: "nose", 1: "neck", 4: "right_wrist", 8: "right_hip", 13: "left_ankle", 14: "right_eye",
               17: "left_ear"},
    "mpi15": {0: "head_top", 1: "neck", 2: "right_shoulder", 8: "right_hip", 13: "left_ankle", 14: "chest"},
    # https://github.com/Fang-Haoshu/Halpe-FullBody/blob/master/README.md: 26-93 face, 94-114 left, 115-135 right hand
    "halpe26": {0: "nose", 16: "right_ankle", 17: "head_top", 18: "neck", 19: "mid_hip", 20: "left_big_toe",
                21: "right_big_toe", 22: "left_small_toe", 23: "right_small_toe", 24: "left_heel", 25: "right_heel"},
    "halpe136": {0: "nose", 17: "head_top", 25: "right_heel", 26: "face_0", 93: "face_67", 94: "left_hand_0",
                 114: "left_hand_20", 115: "right_hand_0", 135: "right_hand_20"},
    # https://github.com/open-mmlab/mmpose/blob/main/configs/_base_/datasets/coco_wholebody.py
    "wholebody133": {0: "nose", 16: "right_ankle", 17: "left_big_toe", 18: "left_small_toe", 19: "left_heel",
                     20: "right_big_toe", 21: "right_small_toe", 22: "right_heel", 23: "face_0", 90: "face_67",
                     91: "left_hand_0", 111: "left_hand_20", 112: "right_hand_0", 132: "right_hand_20"},
    # https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker
    "mediapipe33": {0: "nose", 1: "left_eye_inner", 2: "left_eye", 6: "right_eye_outer", 7: "left_ear",
                    9: "left_mouth", 11: "left_shoulder", 16: "right_wrist", 17: "left_pinky", 19: "left_index",
                    21: "left_thumb", 23: "left_hip", 28: "right_ankle", 29: "left_heel", 32: "right_foot_index"},
    # https://github.com/leonid-pishchulin/poseval/blob/master/py/eval_helpers.py (2017), py/convert.py (2018)
    "posetrack15": {0: "right_ankle", 5: "left_ankle", 6: "right_wrist", 8: "right_shoulder", 9: "left_shoulder",
                    11: "left_wrist", 12: "upper_neck", 13: "nose", 14: "head_top"},
    "posetrack17": {0: "nose", 1: "upper_neck", 2: "head_top", 3: "left_ear", 5: "left_shoulder", 16: "right_ankle"},
    # https://challenger.ai/competition/keypoint/subject (which counts from 1)
    "aic14": {0: "right_shoulder", 2: "right_wrist", 3: "left_shoulder", 6: "right_hip", 8: "right_ankle",
              9: "left_hip", 11: "left_ankle", 12: "head_top", 13: "neck"},
    # https://openpifpaf.github.io/plugins_crowdpose.html
    "crowdpose14": {0: "left_shoulder", 1: "right_shoulder", 5: "right_wrist", 6: "left_hip", 11: "right_ankle",
                    12: "head_top", 13: "neck"},
    # https://github.com/open-mmlab/mmpose/blob/main/configs/_base_/datasets/h36m.py
    "h36m17": {0: "pelvis", 3: "right_ankle", 6: "left_ankle", 7: "chest", 8: "thorax", 9: "neck_base", 10: "head_top",
               11: "left_shoulder", 13: "left_wrist", 16: "right_wrist"},
}  # fmt: skip
# All names, in order, as their authors write them.
PUBLISHED = {
    # https://github.com/Fang-Haoshu/Halpe-FullBody/blob/master/README.md
    "halpe26": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee Rknee LAnkle "
               "RAnkle Head Neck Hip LBigToe RBigToe LSmallToe RSmallToe LHeel RHeel",
    # https://github.com/leonid-pishchulin/poseval/blob/master/py/convert.py
    "posetrack15": "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow "
                   "right_shoulder left_shoulder left_elbow left_wrist head_bottom nose head_top",
    "posetrack17": "nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
                   "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    # https://github.com/open-mmlab/mmpose/blob/main/configs/_base_/datasets/crowdpose.py
    "crowdpose14": "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip "
                   "left_knee right_knee left_ankle right_ankle top_head neck",
    # https://github.com/open-mmlab/mmpose/blob/main/configs/_base_/datasets/aic.py
    "aic14": "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
             "right_ankle left_hip left_knee left_ankle head_top neck",
    # https://github.com/open-mmlab/mmpose/blob/main/mmpose/datasets/datasets/body/mpii_dataset.py
    "mpii16": "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck head_top "
              "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist",
    # https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker
    "mediapipe33": "nose|left eye (inner)|left eye|left eye (outer)|right eye (inner)|right eye|right eye (outer)|"
                   "left ear|right ear|mouth (left)|mouth (right)|left shoulder|right shoulder|left elbow|right elbow|"
                   "left wrist|right wrist|left pinky|right pinky|left index|right index|left thumb|right thumb|"
                   "left hip|right hip|left knee|right knee|left ankle|right ankle|left heel|right heel|"
                   "left foot index|right foot index",
}  # fmt: skip
SPELT = {
    "left_shoulder": ["left_shoulder", "LShoulder", "shoulder_left", "Left Shoulder", "left-shoulder", "LEFT_SHOULDER",
                      "leftShoulder", "l_shoulder", "lshoulder", "ShoulderL", "Shoulder.L"],
    "right_knee": ["Rknee", "rKnee", "knee (right)", "R knee"],
    "nose": ["nose", "Nose", "NOSE"],
    "left_eye_inner": ["left_eye_inner", "left eye (inner)", "LeftEyeInner"],
    "left_hand_12": ["left_hand_12", "LeftHand12"],
    "ribs": ["ribs"], "leg": ["leg"], "rear": ["rear"], "": ["", "?"],
    "left_left_eye": ["left left eye"],
}  # fmt: skip


def index(skeleton, *names):
    return [get_skeleton(skeleton).joints.index(n) for n in names]


def random_poses(skeleton, people=3, columns=3):
    shape = (people, len(get_skeleton(skeleton).joints), columns)
    return np.random.default_rng(0).uniform(0, 200, shape).astype(np.float32)


def test_every_skeleton_is_covered_here():
    assert set(LENGTHS) == set(ANCHORS) == set(SKELETONS)


@pytest.mark.parametrize("skeleton", EVERY)
def test_order(skeleton):
    assert len(skeleton.joints) == len(set(skeleton.joints)) == LENGTHS[skeleton.name]
    assert {i: skeleton.joints[i] for i in ANCHORS[skeleton.name]} == ANCHORS[skeleton.name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_order_as_published(name):
    text = PUBLISHED[name]
    names = text.split("|") if "|" in text else text.split()
    assert skeleton_of(names) == name
    assert skeleton_of(names[::-1]) is None
    assert skeleton_of(names[:-1]) is None


@pytest.mark.parametrize("name", SPELT)
def test_spellings_of_a_joint(name):
    assert {joint_name(n) for n in SPELT[name]} == {name}


@pytest.mark.parametrize("skeleton", EVERY)
def test_every_skeleton_is_known_by_its_own_names(skeleton):
    assert [joint_name(n) for n in skeleton.joints] == list(skeleton.joints)
    assert skeleton_of(skeleton.joints) == skeleton.name


@pytest.mark.parametrize("skeleton", EVERY)
def test_mirror_swaps_sides_and_is_an_involution(skeleton):
    mirror = skeleton.mirror
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    for name, other in zip(skeleton.joints, np.array(skeleton.joints)[mirror], strict=True):
        side, _, joint = name.partition("_")
        expected = {"left": f"right_{joint}", "right": f"left_{joint}"}.get(side, name)
        assert other == expected


@pytest.mark.parametrize("skeleton", EVERY)
def test_limbs_join_different_joints_of_the_skeleton_once(skeleton):
    assert all({a, b} <= set(skeleton.joints) and a != b for a, b in skeleton.limbs)
    assert len({frozenset(limb) for limb in skeleton.limbs}) == len(skeleton.limbs)


def test_middles_are_of_joints_that_the_network_knows():
    assert all(set(parts) <= set(NETWORK.joints) for parts in MIDDLES.values())
    assert not set(MIDDLES) & set(NETWORK.joints)


def test_sigmas_are_cocos_and_the_same_on_both_sides():
    assert SIGMAS[index("network19", "nose", "left_wrist", "right_hip")] == pytest.approx([0.026, 0.062, 0.107])
    assert len(SIGMAS) == len(NETWORK.joints)
    assert (SIGMAS[NETWORK.mirror] == SIGMAS).all()


@pytest.mark.parametrize("middle", ["network19", "body25", "coco18"])
def test_round_trip_keeps_shared_joints(middle):
    poses = random_poses("coco17")
    there = convert(poses, SKELETONS["coco17"], SKELETONS[middle])
    np.testing.assert_array_equal(convert(there, SKELETONS[middle], SKELETONS["coco17"]), poses)


def test_lsp_survives_the_network_and_mpii():
    poses = random_poses("lsp14")
    for other in ("network19", "mpii16"):
        there = convert(poses, SKELETONS["lsp14"], SKELETONS[other])
        np.testing.assert_array_equal(convert(there, SKELETONS[other], SKELETONS["lsp14"]), poses)


def test_convert_goes_by_name_and_leaves_unknown_joints_nan():
    poses = random_poses("mpii16")
    out = convert(poses, SKELETONS["mpii16"], NETWORK)
    face = index("network19", "nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert out.shape == (3, 19, 3)
    assert out.dtype == np.float32
    assert (np.isnan(out).all((0, 2)) == np.isin(np.arange(19), face)).all()
    np.testing.assert_array_equal(out[:, 9], poses[:, 15])  # left wrist
    np.testing.assert_array_equal(out[:, 18], poses[:, 9])  # head top


MIDDLE_ROWS = [
    pytest.param("mpii16", "pelvis", ("left_hip", "right_hip"), id="mpii-pelvis"),
    pytest.param("mpii16", "thorax", ("left_shoulder", "right_shoulder"), id="mpii-thorax"),
    pytest.param("body25", "neck", ("left_shoulder", "right_shoulder"), id="body25-neck"),
    pytest.param("body25", "mid_hip", ("left_hip", "right_hip"), id="body25-mid_hip"),
    pytest.param("mpi15", "chest", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"), id="mpi15-chest"),
]


@pytest.mark.parametrize(("target", "joint", "parts"), MIDDLE_ROWS)
def test_convert_computes_middles_in_every_column(target, joint, parts):
    poses = random_poses("coco17")
    out = convert(poses, SKELETONS["coco17"], SKELETONS[target])
    expected = poses[:, index("coco17", *parts)].mean(1)
    np.testing.assert_allclose(out[:, index(target, joint)[0]], expected, rtol=1e-6)


def test_a_middle_of_a_missing_joint_is_missing():
    poses = random_poses("coco17")
    poses[0, COCO_JOINTS.index("left_hip")] = np.nan
    pelvis = convert(poses, SKELETONS["coco17"], SKELETONS["mpii16"])[:, 6]
    assert np.isnan(pelvis[0]).all()
    assert not np.isnan(pelvis[1:]).any()


def test_convert_prefers_the_sources_own_joint_over_a_computed_middle():
    poses = random_poses("body25")
    neck = convert(poses, SKELETONS["body25"], SKELETONS["coco18"])[:, 1]
    np.testing.assert_array_equal(neck, poses[:, 1])


def test_convert_nobody():
    assert convert(random_poses("coco17", people=0), SKELETONS["coco17"], NETWORK).shape == (0, 19, 3)


@pytest.mark.parametrize("name", ["coco17", "mpii16", "lsp14", "body25", "coco18", "mpi15"])
def test_put_back_gives_known_joints_the_answer(name):
    initial, refined = random_poses(name), random_poses("network19") + 7
    before = initial.copy()
    out = put_back(initial, refined, SKELETONS[name])
    shared = [n for n in SKELETONS[name].joints if n in NETWORK.joints]
    np.testing.assert_array_equal(out[:, index(name, *shared)], refined[:, index("network19", *shared)])
    np.testing.assert_array_equal(initial, before)
    assert out.dtype == np.float32


@pytest.mark.parametrize(("name", "joint", "parts"), MIDDLE_ROWS)
def test_put_back_moves_middles_by_the_mean_shift_of_their_parts(name, joint, parts):
    initial, refined = random_poses(name), random_poses("network19")
    own, theirs = index(name, *parts), index("network19", *parts)
    shifts = np.arange(len(parts) * 2, dtype=np.float32).reshape(-1, 2)
    refined[:, theirs, :2] = initial[:, own, :2] + shifts
    out = put_back(initial, refined, SKELETONS[name])[:, index(name, joint)[0]]
    np.testing.assert_allclose(out[:, :2], initial[:, index(name, joint)[0], :2] + shifts.mean(0), atol=1e-3)
    np.testing.assert_allclose(out[:, 2], refined[:, theirs, 2].mean(1), rtol=1e-5)


@pytest.mark.parametrize(("name", "joint", "parts"), MIDDLE_ROWS)
def test_put_back_makes_a_missing_middle_the_middle(name, joint, parts):
    initial, refined = random_poses(name), random_poses("network19")
    initial[:, index(name, joint)[0]] = np.nan
    out = put_back(initial, refined, SKELETONS[name])[:, index(name, joint)[0]]
    np.testing.assert_allclose(out, refined[:, index("network19", *parts)].mean(1), rtol=1e-5)


def test_put_back_ignores_parts_that_were_not_there_to_move():
    initial, refined = random_poses("mpii16"), random_poses("network19")
    initial[:, index("mpii16", "left_hip")[0]] = np.nan
    right, pelvis = index("mpii16", "right_hip")[0], index("mpii16", "pelvis")[0]
    refined[:, index("network19", "right_hip")[0], :2] = initial[:, right, :2] + (3, -4)
    out = put_back(initial, refined, SKELETONS["mpii16"])
    np.testing.assert_allclose(out[:, pelvis, :2], initial[:, pelvis, :2] + (3, -4), atol=1e-3)


def test_put_back_takes_the_middle_where_no_part_was_there():
    initial, refined = random_poses("mpii16"), random_poses("network19")
    initial[:, index("mpii16", "left_hip", "right_hip")] = np.nan
    out = put_back(initial, refined, SKELETONS["mpii16"])[:, index("mpii16", "pelvis")[0]]
    np.testing.assert_allclose(out, refined[:, index("network19", "left_hip", "right_hip")].mean(1), rtol=1e-5)


def test_put_back_leaves_feet():
    initial = random_poses("body25")
    initial[0, 19] = np.nan
    out = put_back(initial, random_poses("network19"), SKELETONS["body25"])
    np.testing.assert_array_equal(out[:, 19:], initial[:, 19:])


def test_get_skeleton():
    assert get_skeleton("body25") is SKELETONS["body25"]
    assert get_skeleton(NETWORK) is NETWORK
    with pytest.raises(ValueError, match=r"unknown skeleton 'coco16'; known: aic14, body135, body25, body25b, coco17"):
        get_skeleton("coco16")
    with pytest.raises(TypeError, match="got int"):
        get_skeleton(17)


def standing(rng):
    """(25, 2) of somebody who stands, in body25b's order, turned and scaled; some joints are missing."""
    body = np.array([
        [100, 30], [104, 26], [96, 26], [110, 30], [90, 30], [120, 60], [80, 60], [130, 90], [70, 90], [135, 120],
        [65, 120], [112, 120], [88, 120], [114, 160], [86, 160], [115, 200], [85, 200], [100, 50], [100, 12],
        [122, 208],
        [126, 206], [112, 205], [78, 208], [74, 206], [88, 205],
    ], np.float32)  # fmt: skip
    turn, noise = rng.uniform(0, 2 * np.pi), rng.normal(0, 4, body.shape)
    around = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    out = ((body + noise) @ around * rng.uniform(0.5, 5)).astype(np.float32)
    out[rng.random(25) < 0.15] = np.nan
    return out


@pytest.mark.parametrize("seed", range(30))
def test_which_25_joints_are_told_by_their_geometry(seed):
    rng = np.random.default_rng(seed)
    own = np.stack([standing(rng) for _ in range(rng.integers(1, 4))])
    other = convert(own, SKELETONS["body25b"], SKELETONS["body25"])
    assert like_a_body(own, "body25") == "body25b"
    assert like_a_body(other, "body25") == like_a_body(other, "body25b") == "body25"
    assert like_a_body(own, "body25b") == "body25b"
    assert like_a_body(own[:, :17], "coco17") == "coco17"


def test_seventeen_joints_in_another_order_are_told():
    told = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        people = np.stack([standing(rng) for _ in range(3)])
        coco, other = (convert(people, SKELETONS["body25b"], SKELETONS[name]) for name in ("coco17", "h36m17"))
        told.append([in_another_order(k, "coco17") for k in (other, coco, rng.uniform(0, 500, (2, 17, 2)))])
        assert in_another_order(people, "body25b") is None
    theirs, ours, nobodys = zip(*told, strict=True)
    assert theirs.count("h36m17") >= 25
    assert set(ours) == {None}
    assert nobodys.count("h36m17") <= 1
    assert in_another_order(np.full((2, 17, 2), np.nan), "coco17") is None


def test_what_is_no_body_is_body25():
    rng = np.random.default_rng(0)
    drawn = [like_a_body(rng.uniform(0, 500, (2, 25, 2)), "body25") for _ in range(50)]
    assert drawn.count("body25b") <= 1
    assert like_a_body(np.full((2, 25, 2), np.nan), "body25") == "body25"
    assert like_a_body(np.ones((1, 25, 2)), "body25") == "body25"
