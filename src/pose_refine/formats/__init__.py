"""What estimators give, to `Poses` and back. One module a format; recognised by shape and attributes alone."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pose_refine.formats import arrays, coco, detectron2, openpose
from pose_refine.poses import Poses
from pose_refine.skeletons import get_skeleton


def load(poses: Any) -> Any:
    """Read a JSON file where a path was given; anything else as it is.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not JSON.
    """
    if not isinstance(poses, (str, os.PathLike)):
        return poses
    path = Path(poses)
    if not path.is_file():
        raise FileNotFoundError(f"no such pose file: {path}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, (dict, list)):
        raise ValueError(f"{path}: expected a JSON object or list, got {type(content).__name__}")
    return content


def read(poses: Any, skeleton: str | None = None) -> Poses:
    """Read poses of any kind that is known.

    Args:
        poses: An array, a Poses, an OpenPose dict, a COCO results list, Detectron2 Instances or its output dict.
        skeleton: Name of the skeleton, where the kind does not say.

    Raises:
        TypeError: No kind that is known.
        ValueError: A known kind that is not as it should be.
    """
    if skeleton is not None:
        get_skeleton(skeleton)
    if isinstance(poses, Poses):
        if skeleton not in (None, poses.skeleton):
            raise ValueError(f"skeleton={skeleton!r}, but the Poses are {poses.skeleton!r}")
        return poses
    if isinstance(poses, np.ndarray):
        return arrays.read(poses, skeleton)
    if _is_detectron2(poses):
        return detectron2.read(poses, skeleton)
    if isinstance(poses, dict):
        read = openpose.read(poses, skeleton)
        if skeleton not in (None, read.skeleton):
            raise ValueError(f"skeleton={skeleton!r}, but the OpenPose JSON has {read.skeleton!r}")
        return read
    if isinstance(poses, list):
        return coco.read(poses, skeleton)
    raise TypeError(
        "poses: expected a numpy array, Poses, OpenPose JSON (dict or path), a COCO results list or Detectron2 "
        f"Instances, got {type(poses).__name__}; a torch tensor needs .cpu().numpy()"
    )


def write(poses: Poses, like: Any) -> Any:
    """`poses` as the same kind of object as `like`, which must be what they were read from."""
    if isinstance(like, Poses):
        return poses
    if isinstance(like, np.ndarray):
        return arrays.write(poses, like)
    if _is_detectron2(like):
        return detectron2.write(poses, like)
    return openpose.write(poses, like) if isinstance(like, dict) else coco.write(poses, like)


def _is_detectron2(poses: Any) -> bool:
    return "instances" in poses if isinstance(poses, dict) else hasattr(poses, "get_fields")
