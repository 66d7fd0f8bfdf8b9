"""What estimators give, to `Poses` and back. One module a format; recognised by shape and attributes alone.

Every module has EXPECTED, what it takes, in words; and three functions:
  matches(poses) -> bool           is it this format? Never imports the library that it comes from.
  read(poses, skeleton, shape)     -> Poses. `skeleton` is a name or None; `shape` (height, width) of the image or None.
  write(poses, like, shape)        -> a copy of `like`, which `poses` were read from, with their joints. Those that were
                                      there and are not in `poses` get the format's mark: `missing.MARKS`.
"""

import os
from pathlib import Path
from typing import Any, Protocol

from pose_refine._types import Shape as Shape
from pose_refine.files.pose_files import parse_poses, read_bytes
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
from pose_refine.formats.common.missing import untold
from pose_refine.formats.common.stumbles import told
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, known_as


class Format(Protocol):
    """What every module here offers; see above."""

    EXPECTED: str

    def matches(self, poses: Any, /) -> bool: ...

    def read(self, poses: Any, skeleton: AnySkeleton | None = None, shape: Shape | None = None, /) -> Poses: ...

    def write(self, poses: Poses, like: Any, shape: Shape | None = None, /) -> Any: ...


# In this order: the first that matches.
FORMATS: dict[str, Format] = {
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
# Those in which an empty list is nobody; it is recognised as COCO results.
LISTS = ("coco", "detectron1", "mmpose", "vitpose", "mpii")
# Those that JSON or .npy files hold.
IN_FILES = (
    "openpose", "coco", "coco_annotations", "posetrack", "mpii", "alphapose", "mmpose", "array", "movenet",
)  # fmt: skip


def load(poses: Any) -> Any:
    """Read a JSON or .npy file where a path was given; anything else as it is.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Neither JSON nor .npy.
    """
    if not isinstance(poses, (str, os.PathLike)):
        return poses
    path = Path(poses)
    return parse_poses(read_bytes(path), str(path))


def recognised(poses: Any) -> str:
    """What `poses` look like, for a message."""
    if isinstance(poses, Poses):
        return "got Poses, the people of one image"
    name = next((name for name, module in FORMATS.items() if module.matches(poses)), None)
    if name is None:
        return f"got {_held(poses)}, which no format is"
    return f"got {_held(poses)}, recognised as format {name}, the people of one image"


def _held(poses: Any) -> str:
    keys = f" with keys {sorted(map(str, poses))[:8]}" if isinstance(poses, dict) else ""
    return f"a {type(poses).__name__}{keys}"


def detect(poses: Any) -> str:
    """Name of the format of `poses`, a key of FORMATS.

    Raises:
        TypeError: No format that is known.
    """
    for name, module in FORMATS.items():
        if module.matches(poses):
            return name
    raise TypeError(f"poses: got {_told(poses)}; format= names one of {', '.join(FORMATS)}")


def _told(poses: Any) -> str:
    """What came instead, and what to do."""
    name = type(poses).__name__
    first = poses[0] if isinstance(poses, (list, tuple)) and poses else None
    if advice := _of_arrays(poses):
        return f"a {name} of {len(poses)} of format array; {advice}"
    known = [format for format, module in FORMATS.items() if module.matches(first)]
    if known:
        return f"a {name} of {len(poses)} of format {known[0]}; expected one image's: pass them one at a time"
    held = poses if first is None else first  # a dict's keys, or a list's first dict's, tell most of what it is
    keys = f" with keys {sorted(map(str, held))[:8]}" if isinstance(held, dict) else ""
    of = f" of {type(first).__name__}" if first is not None and not keys else ""
    if isinstance(first, (list, tuple)):
        return f"{name}{of}; keypoints must be a numpy array: pass np.array(poses, dtype=float)"
    return f"{name}{of}{keys}, which is no format that is recognised; a numpy array (N, K, 3) of x, y, score always is"


def _of_arrays(poses: Any) -> str | None:
    """What to do with arrays that are nearly a pair of keypoints and scores, or one a person."""
    if not isinstance(poses, (list, tuple)) or not poses or not all(map(arrays.matches, poses)):
        return None
    shapes = [tuple(p.shape) for p in poses]
    if len(shapes) == 2 and shapes[0][-1:] == (2,) and shapes[1] in (shapes[0][:-1], (*shapes[0][:-1], 1)):
        return "a pair of keypoints and scores must be a tuple of numpy float arrays (N, K, 2) and (N, K)"
    one_each = set(shapes) == {shapes[0]} and len(shapes[0]) == 2 and shapes[0][1] in (2, 3)
    return "of one image's people pass np.stack(poses), of several images one at a time" if one_each else None


def read(
    poses: Any, skeleton: AnySkeleton | None = None, *, format: str | None = None, shape: Shape | None = None
) -> Poses:
    """Read poses of any format.

    Args:
        poses: What an estimator gave, or Poses.
        skeleton: Name of the skeleton, where the format does not say.
        format: A key of FORMATS; by default what `poses` look like.
        shape: Height and width of the image, for formats with coordinates in [0, 1].

    Raises:
        TypeError: No format that is known.
        ValueError: A known format that is not as it should be, or not the one or the skeleton that was named.
    """
    skeleton = None if skeleton is None else known_as(skeleton)
    if isinstance(poses, Poses):
        found = poses
    else:
        name = _name(poses, format)
        with told(name, FORMATS[name].EXPECTED):
            found = FORMATS[name].read(poses, skeleton, shape)
    if skeleton not in (None, found.skeleton):
        raise ValueError(f"skeleton={str(skeleton)!r}, but the poses are {str(found.skeleton)!r}")
    return found


def write(poses: Poses, like: Any, *, format: str | None = None, shape: Shape | None = None) -> Any:
    """`poses` as the same kind of object as `like`, which must be what they were read from."""
    if isinstance(like, Poses):
        return poses
    name = _name(like, format)
    with untold(), told(name, FORMATS[name].EXPECTED):
        return FORMATS[name].write(poses, like, shape)


def _name(poses: Any, format: str | None) -> str:
    """A key of FORMATS: the one that is named, if the poses can be it, or the one that they look like."""
    if format is not None and not (isinstance(format, str) and format in FORMATS):
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if format is None:
        return detect(poses)
    nobody = format in LISTS and isinstance(poses, list) and not poses
    if not nobody and not FORMATS[format].matches(poses):
        raise ValueError(f"format={format!r}: expected {FORMATS[format].EXPECTED}, got {_held(poses)}")
    return format
