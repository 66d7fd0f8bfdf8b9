"""torchvision's Keypoint R-CNN: the dict of one image, or the list of one that the model gives. Never imported.

Its (0.5, 0.5) is the middle of the first pixel, as in Detectron2. `keypoints_scores` are logits; those of joints that
were refined become probabilities. Boxes, labels and scores of people stay. The model finds all joints; one whose
three columns are 0 is missing.
Source: https://docs.pytorch.org/vision/stable/models/keypoint_rcnn.html and heatmaps_to_keypoints in
https://github.com/pytorch/vision/blob/main/torchvision/models/detection/roi_heads.py
"""

from typing import Any

import numpy as np
import torch

from pose_refine.formats.arrays import changed, nobody, nobodys_skeleton, skeleton_name
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS, unfound, without, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import AnySkeleton

KEYS = {"boxes", "keypoints", "keypoints_scores"}
EDGE = 0.5
EXPECTED = "Keypoint R-CNN's dict of tensors boxes, keypoints and keypoints_scores, or a list of one"


def matches(poses: Any) -> bool:
    output = _output(poses)
    return isinstance(output, dict) and output.keys() >= KEYS and isinstance(output["keypoints"], torch.Tensor)


def _output(poses: Any) -> Any:
    return poses[0] if isinstance(poses, list) and len(poses) == 1 else poses


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read keypoints (N, K, 3) and keypoints_scores (N, K).

    Raises:
        ValueError: Other shapes, or no telling which skeleton.
    """
    output = _output(poses)
    keypoints = as_floats(pairs.as_array(output["keypoints"]), "keypoints")
    scores = as_floats(pairs.as_array(output["keypoints_scores"]), "keypoints_scores")
    if not keypoints.size:
        return nobody(skeleton or nobodys_skeleton(keypoints.shape))
    if keypoints.ndim != 3 or keypoints.shape[2] != 3 or scores.shape != keypoints.shape[:2]:
        raise ValueError(
            f"Keypoint R-CNN: expected keypoints (N, K, 3) and keypoints_scores (N, K), got {keypoints.shape} and "
            f"{scores.shape}"
        )
    joints = without(keypoints[..., :2] - EDGE, (keypoints == 0).all(-1) | unfound(scores, scores == 0))
    return Poses(joints, scores, skeleton_name(keypoints.shape[1], skeleton, joints))


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other keypoints, on the same device, of the same dtype; other tensors are shared."""
    if not len(poses):
        return like
    output, before, values = _output(like), read(like, poses.skeleton), written(poses, MARKS["torchvision"])
    mask, new = changed(poses, before), poses.present ^ before.present
    keypoints = output["keypoints"].detach().clone()
    places = (values[..., :2] + EDGE * poses.present[..., None]).astype(np.float32)
    keypoints[..., :2] = pairs.filled(output["keypoints"][..., :2], mask, places)
    keypoints[..., 2] = pairs.filled(output["keypoints"][..., 2], new, poses.present.astype(np.float32))
    scores = pairs.filled(output["keypoints_scores"], mask, values[..., 2])
    out = {**output, "keypoints": keypoints, "keypoints_scores": scores}
    return [out] if isinstance(like, list) else out
