"""torchvision's Keypoint R-CNN: the dict of one image, or the list of one that the model gives. Never imported.

Its (0.5, 0.5) is the middle of the first pixel, as in Detectron2. `keypoints_scores` are logits; those of joints that
were refined become probabilities. Boxes, labels, scores of people and the third column of `keypoints` stay.
Source: https://docs.pytorch.org/vision/stable/models/keypoint_rcnn.html and heatmaps_to_keypoints in
https://github.com/pytorch/vision/blob/main/torchvision/models/detection/roi_heads.py
"""

from typing import Any

import torch

from pose_refine.formats import pairs
from pose_refine.formats.arrays import changed, skeleton_name
from pose_refine.poses import Poses, as_floats

KEYS = {"boxes", "keypoints", "keypoints_scores"}
EDGE = 0.5


def matches(poses: Any) -> bool:
    output = _output(poses)
    return isinstance(output, dict) and output.keys() >= KEYS and isinstance(output["keypoints"], torch.Tensor)


def _output(poses: Any) -> Any:
    return poses[0] if isinstance(poses, list) and len(poses) == 1 else poses


def read(poses: Any, skeleton: str | None = None, shape: object = None) -> Poses:
    """Read keypoints (N, K, 3) and keypoints_scores (N, K); no joint is missing.

    Raises:
        ValueError: Other shapes, or no telling which skeleton.
    """
    output = _output(poses)
    keypoints = as_floats(pairs.as_array(output["keypoints"]), "keypoints")
    scores = as_floats(pairs.as_array(output["keypoints_scores"]), "keypoints_scores")
    if keypoints.ndim != 3 or keypoints.shape[2] != 3 or scores.shape != keypoints.shape[:2]:
        raise ValueError(
            f"Keypoint R-CNN: expected keypoints (N, K, 3) and keypoints_scores (N, K), got {keypoints.shape} and "
            f"{scores.shape}"
        )
    return Poses(keypoints[..., :2] - EDGE, scores, skeleton_name(keypoints.shape[1], skeleton))


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with other keypoints, on the same device, of the same dtype; other tensors are shared."""
    output, mask = _output(like), changed(poses, read(like, poses.skeleton))
    keypoints = output["keypoints"].detach().clone()
    keypoints[..., :2] = pairs.filled(output["keypoints"][..., :2], mask, poses.keypoints + EDGE)
    scores = pairs.filled(output["keypoints_scores"], mask, poses.scores)
    out = {**output, "keypoints": keypoints, "keypoints_scores": scores}
    return [out] if isinstance(like, list) else out
