"""What estimators give, to `Poses` and back. One module a format; recognised by shape and attributes alone.

Every module has three functions:
  matches(poses) -> bool           is it this format? Never imports the library that it comes from.
  read(poses, skeleton, shape)     -> Poses. `skeleton` is a name or None; `shape` (height, width) of the image or None.
  write(poses, like, shape)        -> a copy of `like`, which `poses` were read from, with their joints.
"""

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from pose_refine.formats import (
    alphapose,
    annotations,
    arrays,
    coco,
    deeplabcut,
    detectron1,
    detectron2,
    mediapipe,
    mmpose,
    movenet,
    mpii,
    openpose,
    openpose_api,
    posetrack,
    rtmlib,
    supervision,
    torchvision,
    ultralytics,
    vitpose,
)
from pose_refine.poses import Poses
from pose_refine.skeletons import get_skeleton

# In this order: the first that matches.
FORMATS: dict[str, ModuleType] = {
    "movenet": movenet,
    "array": arrays,
    "ultralytics": ultralytics,
    "mediapipe": mediapipe,
    "supervision": supervision,
    "torchvision": torchvision,
    "detectron2": detectron2,
    "detectron1": detectron1,
    "mmpose": mmpose,
    "vitpose": vitpose,
    "rtmlib": rtmlib,
    "alphapose": alphapose,
    "openpose_api": openpose_api,
    "coco_annotations": annotations,
    "posetrack": posetrack,
    "mpii": mpii,
    "deeplabcut": deeplabcut,
    "openpose": openpose,
    "coco": coco,
}
Shape = tuple[int, int]


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


def detect(poses: Any) -> str:
    """Name of the format of `poses`, a key of FORMATS.

    Raises:
        TypeError: No format that is known.
    """
    for name, module in FORMATS.items():
        if module.matches(poses):
            return name
    raise TypeError(
        f"poses: got {type(poses).__name__}{_keys(poses)}, which is no format that is recognised; pass a numpy array "
        f"(N, K, 3) of x, y, score, Poses, or format= (one of {', '.join(FORMATS)}); a torch tensor needs "
        ".cpu().numpy()"
    )


def _keys(poses: Any) -> str:
    """What a dict, or a list's first dict, holds: that tells most of what it is."""
    first = poses[0] if isinstance(poses, list) and poses else poses
    return f" with keys {sorted(map(str, first))[:8]}" if isinstance(first, dict) else ""


def read(poses: Any, skeleton: str | None = None, *, format: str | None = None, shape: Shape | None = None) -> Poses:
    """Read poses of any format.

    Args:
        poses: What an estimator gave, or Poses.
        skeleton: Name of the skeleton, where the format does not say.
        format: A key of FORMATS; by default what `poses` look like.
        shape: Height and width of the image, for formats with coordinates in [0, 1].

    Raises:
        TypeError: No format that is known.
        ValueError: A known format that is not as it should be, or not the skeleton that was named.
    """
    if skeleton is not None:
        get_skeleton(skeleton)
    found = poses if isinstance(poses, Poses) else _module(poses, format).read(poses, skeleton, shape)
    if skeleton not in (None, found.skeleton):
        raise ValueError(f"skeleton={skeleton!r}, but the poses are {found.skeleton!r}")
    known: Poses = found
    return known


def write(poses: Poses, like: Any, *, format: str | None = None, shape: Shape | None = None) -> Any:
    """`poses` as the same kind of object as `like`, which must be what they were read from."""
    return poses if isinstance(like, Poses) else _module(like, format).write(poses, like, shape)


def _module(poses: Any, format: str | None) -> ModuleType:
    if format is not None and format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    return FORMATS[format or detect(poses)]
