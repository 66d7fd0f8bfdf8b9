"""People made of lines, whose joints hang together as a body's do."""

import numpy as np

from pose_refine.skeletons import NETWORK

DOWN, SIDE = np.array([0.0, 1.0]), np.array([1.0, 0.0])
POSTURES = {  # angles of the trunk, of (upper arm, elbow) and (thigh, knee), left and right; how wide the body looks
    "standing": {},
    "arms up": {"arms": (3.0, 0.1, -3.0, -0.1)},
    "sitting, from the side": {"legs": (-1.4, 1.5, -1.3, 1.5), "wide": 0.3},
    "sitting, from the front": {"legs": (0.2, -0.2, -0.2, 0.2), "arms": (0.3, -0.9, -0.3, 0.9)},
    "squatting": {"legs": (-2.0, 2.4, -2.0, 2.4), "arms": (-1.0, -0.5, -1.0, -0.5)},
    "bent down to the feet": {"trunk": 2.4, "wide": 0.4},
    "legs apart": {"legs": (-1.5, 0.0, 1.5, 0.0)},
    "in profile": {"wide": 0.05},
}


def turned(vectors, angle):
    """(..., 2) turned clockwise as seen on the screen."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * vectors[..., 0] - sin * vectors[..., 1], sin * vectors[..., 0] + cos * vectors[..., 1]], -1)


def stickman(size=200.0, centre=(0.0, 0.0), lean=0.0, *, arms=(0,) * 4, legs=(0,) * 4, trunk=0.0, wide=1.0):
    """(19, 2) float32: somebody of that size, pixels, whose hips are at the centre, turned by `lean`, radians."""
    across, up = turned(wide * SIDE, trunk), turned(-DOWN, trunk)
    neck = 0.29 * up
    joints = {"upper_neck": neck + 0.05 * up, "nose": neck + 0.11 * up, "head_top": neck + 0.22 * up}
    sides = (("left", 1, arms[:2], legs[:2]), ("right", -1, arms[2:], legs[2:]))
    for side, sign, (arm, elbow), (thigh, knee) in sides:
        joints[f"{side}_eye"] = neck + 0.13 * up + sign * 0.02 * across
        joints[f"{side}_ear"] = neck + 0.125 * up + sign * 0.045 * across
        joints[f"{side}_shoulder"] = neck + sign * 0.125 * across
        joints[f"{side}_elbow"] = joints[f"{side}_shoulder"] + turned(0.18 * DOWN, arm)
        joints[f"{side}_wrist"] = joints[f"{side}_elbow"] + turned(0.15 * DOWN, arm + elbow)
        joints[f"{side}_hip"] = sign * 0.09 * wide * SIDE
        joints[f"{side}_knee"] = joints[f"{side}_hip"] + turned(0.24 * DOWN, thigh)
        joints[f"{side}_ankle"] = joints[f"{side}_knee"] + turned(0.24 * DOWN, thigh + knee)
    pose = np.stack([joints[name] for name in NETWORK.joints])
    return (size * turned(pose, lean) + np.array(centre)).astype(np.float32)
