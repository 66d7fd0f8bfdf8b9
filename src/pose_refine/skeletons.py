"""One table a skeleton, and conversions between them by joint name.

Sources: COCO keypoints (Lin et al. 2014), MPII Human Pose (Andriluka et al. 2014), OpenPose's output page (BODY_25,
COCO-18, MPI-15) and its poseParameters.cpp (BODY_25B, BODY_135), LSP (Johnson and Everingham 2010), Halpe Full-Body
(Fang et al. 2022), COCO-WholeBody (Jin et al. 2020), MediaPipe's pose landmarks, PoseTrack (Andriluka et al. 2018), AI
Challenger (Wu et al. 2017), CrowdPose (Li et al. 2019), Human3.6M (Ionescu et al. 2014) as VideoPose3D orders it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles, Floats

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
REFINED = (*COCO_JOINTS, "upper_neck", "head_top")


@dataclass(frozen=True)
class Skeleton:
    """Names, order and limbs of a set of joints: one of this library's, or your own.

    Joints that are called as here are refined: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles,
    upper_neck, head_top, and the middles of others (neck, pelvis ...). Those of any other name come back untouched.

    Attributes:
        name: What users write, e.g. "coco17".
        joints: Joint names in order. Left and right are the person's. "LWrist" and "left wrist" become "left_wrist";
            names that are not refined stay as they are.
        limbs: Pairs of joint names to draw as lines.

    Raises:
        ValueError: No joints, a name that occurs twice, a limb of joints that are not there.

    Examples:
        >>> hat = Skeleton("hat", ["nose", "LEye", "REye", "brim"], limbs=[("nose", "brim")])
        >>> hat.joints
        ('nose', 'left_eye', 'right_eye', 'brim')
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()

    def __init__(self, name: str, joints: Sequence[str], limbs: Sequence[tuple[str, str]] = ()) -> None:
        if isinstance(joints, str) or not all(isinstance(n, str) for n in joints):
            raise ValueError(f"Skeleton {name}: expected a sequence of joint names, got {joints!r:.80}")
        own, lines = tuple(map(spelt, joints)), tuple((spelt(a), spelt(b)) for a, b in limbs)
        twice = sorted({n for n in own if own.count(n) > 1})
        if not own or twice:
            raise ValueError(f"Skeleton {name}: expected joints, each once, got {twice or 'none'}")
        if unknown := sorted({n for line in lines for n in line} - set(own)):
            raise ValueError(f"Skeleton {name}: expected limbs between its joints, got {unknown}")
        for field, value in (("name", name), ("joints", own), ("limbs", lines)):
            object.__setattr__(self, field, value)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def mirror(self) -> NDArray[np.intp]:
        """For each joint the index of its mirror image, (K,): left_x <-> right_x, others themselves."""
        swap = {"left_": "right_", "right_": "left_"}
        names = [next((b + n.removeprefix(a) for a, b in swap.items() if n.startswith(a)), n) for n in self.joints]
        own = enumerate(names)
        return np.array([self.joints.index(n) if n in self.joints else k for k, n in own], dtype=np.intp)


def joint_name(name: str) -> str:
    """A joint's name as it is spelt here: "LShoulder", "shoulder-left" and "Left Shoulder" are "left_shoulder"."""
    words = [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
    short = len(words) == 1 and words[0][:1] in ("l", "r") and f"left_{words[0][1:]}" in REFINED
    if short and words != ["rear"]:  # which is the end of a horse
        words = [words[0][:1], words[0][1:]]
    sides = [w for w in words if w in ("l", "r", "left", "right")]
    rest = [w for w in words if w not in sides]
    return "_".join([{"l": "left", "r": "right"}.get(s, s) for s in sides] + rest)


def spelt(name: str) -> str:
    """`joint_name` where that is refined, else the name as it is."""
    return known if (known := joint_name(name)) in REFINED or known in MIDDLES else name


# Joints that lie in the middle of others: moved with them, never estimated by the network.
MIDDLES = {
    "pelvis": ("left_hip", "right_hip"),
    "mid_hip": ("left_hip", "right_hip"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "neck": ("left_shoulder", "right_shoulder"),
    "chest": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
}
LIMBS = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
)  # fmt: skip
FACE_LIMBS = (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"))
ARMS_AND_LEGS = LIMBS[4:]
HEAD_LIMB = (("upper_neck", "head_top"),)

NETWORK = Skeleton("network19", REFINED, LIMBS + FACE_LIMBS + HEAD_LIMB)

_OPENPOSE_BODY = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
_OPENPOSE_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_OPENPOSE_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
_FEET_LIMBS = (("left_ankle", "left_big_toe"), ("left_ankle", "left_heel"), ("right_ankle", "right_big_toe"),
               ("right_ankle", "right_heel"))  # fmt: skip
_HALPE_EXTRA = ("head_top", "neck", "mid_hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
                "left_heel", "right_heel")  # fmt: skip
_FACE_AND_HANDS = (*(f"face_{i}" for i in range(68)),
                   *(f"{side}_hand_{i}" for side in ("left", "right") for i in range(21)))  # fmt: skip
_MEDIAPIPE_FACE = ("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
                   "right_eye_outer", "left_ear", "right_ear", "left_mouth", "right_mouth")  # fmt: skip
_MEDIAPIPE_BODY = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel",
                   "foot_index")  # fmt: skip
_BODY_25B = (*COCO_JOINTS, "upper_neck", "head_top", *_FEET)
_FINGERS = tuple(f"{side}_hand_{i}" for side in ("left", "right") for i in range(1, 21))
_NECK_LIMBS = (("neck", "left_shoulder"), ("neck", "right_shoulder"), ("neck", "nose"))

SKELETONS = {
    s.name: s
    for s in (
        NETWORK,
        Skeleton("coco17", COCO_JOINTS, LIMBS + FACE_LIMBS),
        Skeleton(
            "mpii16",
            ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
             "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
             "left_wrist"),
            LIMBS + HEAD_LIMB + (("pelvis", "thorax"), ("thorax", "upper_neck")),
        ),
        Skeleton(
            "lsp14",
            ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
             "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "upper_neck", "head_top"),
            LIMBS + HEAD_LIMB,
        ),
        Skeleton(
            "body25",
            (*_OPENPOSE_BODY, "mid_hip", *_OPENPOSE_LEGS, *_OPENPOSE_FACE, *_FEET),
            (*ARMS_AND_LEGS, *FACE_LIMBS, *_NECK_LIMBS, ("neck", "mid_hip"), ("mid_hip", "left_hip"),
             ("mid_hip", "right_hip"), *_FEET_LIMBS),
        ),
        Skeleton("body25b", _BODY_25B, LIMBS + FACE_LIMBS + HEAD_LIMB + _FEET_LIMBS),
        Skeleton("body135", (*_BODY_25B, *_FINGERS, *_FACE_AND_HANDS[:68], "right_pupil", "left_pupil"),
                 LIMBS + FACE_LIMBS + HEAD_LIMB + _FEET_LIMBS),
        Skeleton("openpose134",  # COCO-WholeBody's joints as OpenPose orders the body's, with a neck
                 (*_OPENPOSE_BODY, *_OPENPOSE_LEGS, *_OPENPOSE_FACE, *_FEET, *_FACE_AND_HANDS),
                 (*ARMS_AND_LEGS, *FACE_LIMBS, *_NECK_LIMBS, ("neck", "left_hip"), ("neck", "right_hip"),
                  *_FEET_LIMBS)),
        Skeleton("coco18", (*_OPENPOSE_BODY, *_OPENPOSE_LEGS, *_OPENPOSE_FACE),
                 (*ARMS_AND_LEGS, *FACE_LIMBS, *_NECK_LIMBS, ("neck", "left_hip"), ("neck", "right_hip"))),
        Skeleton("mpi15", ("head_top", "neck", *_OPENPOSE_BODY[2:], *_OPENPOSE_LEGS, "chest"),
                 (*ARMS_AND_LEGS, *_NECK_LIMBS[:2], ("neck", "head_top"), ("chest", "left_hip"),
                  ("chest", "right_hip"), ("neck", "chest"))),
        Skeleton("halpe26", (*COCO_JOINTS, *_HALPE_EXTRA), LIMBS + FACE_LIMBS + _NECK_LIMBS + _FEET_LIMBS),
        Skeleton("halpe136", (*COCO_JOINTS, *_HALPE_EXTRA, *_FACE_AND_HANDS),
                 LIMBS + FACE_LIMBS + _NECK_LIMBS + _FEET_LIMBS),
        Skeleton("wholebody133", (*COCO_JOINTS, *_FEET, *_FACE_AND_HANDS), LIMBS + FACE_LIMBS + _FEET_LIMBS),
        Skeleton("mediapipe33",
                 (*_MEDIAPIPE_FACE, *(f"{side}_{j}" for j in _MEDIAPIPE_BODY for side in ("left", "right"))),
                 (*LIMBS, *FACE_LIMBS, ("left_ankle", "left_heel"), ("right_ankle", "right_heel"),
                  ("left_ankle", "left_foot_index"), ("right_ankle", "right_foot_index"))),
        Skeleton("posetrack15",  # PoseTrack 2017's joint ids
                 ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
                  "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "upper_neck", "nose",
                  "head_top"), LIMBS + HEAD_LIMB),
        Skeleton("posetrack17",  # PoseTrack 2018's keypoints
                 ("nose", "upper_neck", "head_top", *COCO_JOINTS[3:]), LIMBS + HEAD_LIMB),
        Skeleton("aic14",
                 ("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
                  *_OPENPOSE_LEGS, "head_top", "neck"),
                 (*LIMBS, ("neck", "head_top"), *_NECK_LIMBS[:2])),
        Skeleton("crowdpose14", (*COCO_JOINTS[5:], "head_top", "neck"),
                 (*LIMBS, ("neck", "head_top"), *_NECK_LIMBS[:2])),
        Skeleton("h36m17",  # Human3.6M's joints as networks that lift poses to 3D take them
                 ("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "chest",
                  "thorax", "neck_base", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
                  "right_elbow", "right_wrist"),
                 (*LIMBS, ("pelvis", "chest"), ("chest", "thorax"), ("thorax", "neck_base"),
                  ("neck_base", "head_top"))),
    )
}  # fmt: skip
DEFAULT_BY_COUNT = {
    17: "coco17", 16: "mpii16", 25: "body25", 26: "halpe26", 33: "mediapipe33", 133: "wholebody133",
    134: "openpose134", 135: "body135", 136: "halpe136",
}  # fmt: skip

# Skeletons whose hips, shoulders, neck and top of the head are meant as MPII means them.
MPII_CONVENTION = ("mpii16", "lsp14", "posetrack15")

# Skeletons of the same number of joints; which one it is, limbs tell.
RIVALS = {"body25": "body25b", "body25b": "body25"}
# Of people of COCO val2017 with six joints or more, one by one, 93 % in body25b's order and 97 % in body25's are told
# rightly; the spread of 95 % is less than .4. With more joints, or several people, it is more.
SPREAD, LONGER, LEAST_LIMBS = 0.45, 1.1, 4
# And a skeleton of as many joints whose order is quite another. Of people with half of the limbs, one by one, 0 to .4 %
# of eight estimators' poses (COCO train2017) lie so, and in h36m17's order 47 % of MPII's labels and 34 % of Leeds'.
MISTAKEN = {"coco17": "h36m17"}
IN_ORDER, OUT_OF_ORDER = 0.2, 2.5  # spread of limbs in that order at most, and how many times it is in the other
# Limbs of usual length, in shoulder widths, of which more are in order than out of order.
USUAL = {
    ("left_shoulder", "right_shoulder"): 1.0, ("left_hip", "right_hip"): 0.7, ("left_shoulder", "left_hip"): 1.5,
    ("right_shoulder", "right_hip"): 1.5, ("left_shoulder", "left_elbow"): 0.9, ("left_elbow", "left_wrist"): 0.8,
    ("right_shoulder", "right_elbow"): 0.9, ("right_elbow", "right_wrist"): 0.8, ("left_hip", "left_knee"): 1.2,
    ("left_knee", "left_ankle"): 1.2, ("right_hip", "right_knee"): 1.2, ("right_knee", "right_ankle"): 1.2,
    ("nose", "left_eye"): 0.2, ("nose", "right_eye"): 0.2, ("left_eye", "left_ear"): 0.3,
    ("right_eye", "right_ear"): 0.3, ("left_ankle", "left_heel"): 0.2, ("right_ankle", "right_heel"): 0.2,
    ("left_ankle", "left_big_toe"): 0.5, ("right_ankle", "right_big_toe"): 0.5,
}  # fmt: skip

# What others call these joints, once `joint_name` has seen to sides and spelling.
ALIASES = {"head_bottom": "upper_neck", "head": "head_top", "top_head": "head_top", "hip": "mid_hip"}

# Keypoint constants of OKS (cocoeval's kpt_oks_sigmas); the last two joints, which COCO lacks, as a shoulder.
SIGMAS: Floats = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89, 79, 79], dtype=np.float32
) / np.float32(1000)


AnySkeleton = str | Skeleton


def get_skeleton(skeleton: AnySkeleton) -> Skeleton:
    """Look a skeleton up by name; one of the user's own is as it is.

    Raises:
        ValueError: No such skeleton, or one of the user's own that is called as one of SKELETONS.
        TypeError: Neither a name nor a Skeleton.
    """
    if isinstance(skeleton, Skeleton):
        if SKELETONS.get(skeleton.name, skeleton).joints != skeleton.joints:
            raise ValueError(f"skeleton: {skeleton.name!r} has other joints here; give yours another name")
        return skeleton
    if not isinstance(skeleton, str):
        raise TypeError(f"expected a skeleton's name or a Skeleton, got {type(skeleton).__name__}")
    if skeleton not in SKELETONS:
        raise ValueError(f"unknown skeleton {skeleton!r}; known: {', '.join(sorted(SKELETONS))}")
    return SKELETONS[skeleton]


def known_as(skeleton: AnySkeleton) -> AnySkeleton:
    """Its name where it is one of SKELETONS, else the Skeleton; errors as of `get_skeleton`."""
    found = get_skeleton(skeleton)
    return found.name if found.name in SKELETONS else found


def skeleton_of(names: Sequence[str]) -> str | None:
    """The skeleton whose joints have these names, in this order; None if there is none."""
    joints = tuple(ALIASES.get(n, n) for n in map(joint_name, names))
    return next((s.name for s in SKELETONS.values() if s.joints == joints), None)


def like_a_body(keypoints: AnyArray, name: str) -> str:
    """`name`, or the skeleton of as many joints in which these keypoints (N, K, 2) have a person's proportions.

    In the wrong order limbs run across the body. Where there is too little to tell by, or nobody's proportions, it is
    `name`.
    """
    rival = RIVALS.get(name)
    if rival is None:
        return name
    own, other = (_limbs(keypoints, get_skeleton(n)) for n in (name, rival))
    if min(len(own), len(other)) < LEAST_LIMBS or _spread(other) > SPREAD:
        return name
    longer = LONGER if name == "body25" else 1 / LONGER
    return rival if other[:, 1].mean() < longer * own[:, 1].mean() else name


def in_another_order(keypoints: AnyArray, name: str) -> str | None:
    """The skeleton in whose order these keypoints (N, K, 2) lie like bodies, where they do not in that of `name`."""
    other_order = MISTAKEN.get(name)
    if other_order is None:
        return None
    own, other = (_limbs(keypoints, get_skeleton(n)) for n in (name, other_order))
    for limbs in (own, other):
        if not len(limbs) or len(limbs) < len(np.unique(limbs[:, 0])) * len(LIMBS) / 2:
            return None  # too little of each person to tell by
    spread = _spread(other)
    return other_order if spread < IN_ORDER and _spread(own) > OUT_OF_ORDER * spread else None


def _limbs(keypoints: AnyArray, skeleton: Skeleton) -> Doubles:
    """(L, 2): of each limb whose ends are there the person's index, and its length divided by the usual one."""
    usual = {ends: length for ends, length in USUAL.items() if set(ends) <= set(skeleton.joints)}
    ends = np.array([[skeleton.joints.index(a), skeleton.joints.index(b)] for a, b in usual])
    lengths = np.linalg.norm(keypoints[:, ends[:, 0]].astype(np.float64) - keypoints[:, ends[:, 1]], axis=-1)
    known = lengths > 0  # NaN is not
    return np.stack([np.nonzero(known)[0], (lengths / list(usual.values()))[known]], 1)


def _spread(limbs: Doubles) -> float:
    """How far the limbs of a person (L, 2) are from one proportion, natural logarithm, mean."""
    logs = np.log(limbs[:, 1])
    off = [np.abs(logs[limbs[:, 0] == who] - np.median(logs[limbs[:, 0] == who])) for who in np.unique(limbs[:, 0])]
    return float(np.concatenate(off).mean())


def convert(keypoints: AnyArray, source: Skeleton, target: Skeleton) -> AnyArray:
    """Reorder joints by name; a joint that is the middle of others is computed where the source lacks it.

    Args:
        keypoints: (N, K, C): x, y and maybe more columns; NaN where missing. Any column is averaged for a middle.
        source: The skeleton of `keypoints`.
        target: The skeleton wanted.

    Returns:
        (N, K', C), float32 or as precise as what came, NaN where the source knows nothing of a joint.
    """
    dtype = np.result_type(keypoints, np.float32)
    out = np.full((len(keypoints), len(target.joints), keypoints.shape[2]), np.nan, dtype=dtype)
    for column, name in enumerate(target.joints):
        if name in source.joints:
            out[:, column] = keypoints[:, source.joints.index(name)]
        elif name in MIDDLES and all(n in source.joints for n in MIDDLES[name]):
            out[:, column] = keypoints[:, [source.joints.index(n) for n in MIDDLES[name]]].mean(1)
    return out


def put_back(initial: Floats, refined: Floats, skeleton: Skeleton) -> Floats:
    """The network's answer in the skeleton that came in.

    A joint that the network knows takes its answer. One that lies in the middle of others moves by their mean shift;
    where it was missing, or none of them was there to move, it becomes their middle, and its score their mean. Others
    (feet) stay.

    Args:
        initial: (N, K, 3) x, y, score as they came, NaN where missing.
        refined: (N, 19, 3) the network's joints.
        skeleton: The skeleton of `initial`.

    Returns:
        (N, K, 3) float32.
    """
    out = initial.copy()
    before = convert(initial, skeleton, NETWORK)
    for column, name in enumerate(skeleton.joints):
        if name in NETWORK.joints:
            out[:, column] = refined[:, NETWORK.joints.index(name)]
        elif name in MIDDLES:
            parts = [NETWORK.joints.index(n) for n in MIDDLES[name]]
            out[:, column] = _middle(initial[:, column], before[:, parts], refined[:, parts])
    return out


def _middle(joint: Floats, before: Floats, after: Floats) -> Floats:
    """One middle joint (N, 3) from its parts before and after (N, P, 3)."""
    moved = ~np.isnan(before[..., :2]).any(-1, keepdims=True)
    count = moved.sum(1)
    shift = np.where(moved, after[..., :2] - before[..., :2], 0).sum(1) / np.maximum(count, 1)
    keep = (count > 0) & ~np.isnan(joint[:, :1])
    place = np.where(keep, joint[:, :2] + shift, after[..., :2].mean(1))
    return np.concatenate([place, after[..., 2].mean(1, keepdims=True)], 1).astype(np.float32)


def known_joints(skeleton: AnySkeleton) -> AnyArray:
    """(K,): which joints of a skeleton the network tells, by themselves or as the middle of others; their scores are
    probabilities."""
    return np.array([name in NETWORK.joints or name in MIDDLES for name in get_skeleton(skeleton).joints])
