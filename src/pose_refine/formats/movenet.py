"""MoveNet's own output: single pose (1, 1, 17, 3) or multi pose (1, 6, 56), as an array, a tensor or anything with
`__array__` (TensorFlow's). Each joint is y, x, score; coordinates are shares of the image that MoveNet was given,
from its edges: where it was padded to a square, hand in that square image. A joint that is all 0 is missing.

Multi pose always gives six rows: 17 joints, box, score of the person. Rows below LEAST are empty and stay as they are.
Source: https://www.tensorflow.org/hub/tutorials/movenet; LEAST is the detection_threshold of
https://github.com/tensorflow/examples/blob/master/lite/examples/pose_estimation/raspberry_pi/ml/movenet_multipose.py
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pose_refine._types import AnyArray
from pose_refine.formats.arrays import changed
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS, absent, without, written
from pose_refine.formats.common.normalized import from_shares, to_shares
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton

JOINTS, ROW = 17, 56
FAR = 2.0  # a share of the image as far out as no crop's joint is: pixels, then
LEAST = 0.11
EXPECTED = "an array or tensor (1, 1, 17, 3) or (1, M, 56), as MoveNet gives it"


def matches(poses: Any) -> bool:
    shape = getattr(poses, "shape", None)
    if not isinstance(shape, tuple) and not hasattr(poses, "__array__"):
        return False
    size = tuple(shape) if shape is not None else ()
    return size == (1, 1, JOINTS, 3) or (len(size) == 3 and size[0] == 1 and size[2] == ROW)


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: tuple[int, int] | None = None) -> Poses:
    """Read y, x, score.

    Args:
        poses: (1, 1, 17, 3) or (1, M, 56).
        skeleton: Not needed.
        shape: Height and width of the image, pixels.

    Raises:
        ValueError: No `shape`, another shape of the output, or no shares.
    """
    values = _joints(_array(poses))[_found(_array(poses))]
    if (np.abs(values[..., :2]) > FAR).any():
        raise ValueError(
            f"MoveNet: expected y, x as shares of the image, from 0 to 1, got {np.nanmax(np.abs(values[..., :2])):g}; "
            "for pixels x, y, score pass an array (N, K, 3)"
        )
    keypoints = without(from_shares(values[..., 1::-1], shape), absent(values))
    return Poses(keypoints, values[..., 2].astype(np.float32), "coco17")


def _array(poses: Any) -> AnyArray:
    if not matches(poses):
        raise ValueError(f"MoveNet: expected (1, 1, 17, 3) or (1, M, 56), got {getattr(poses, 'shape', type(poses))}")
    return np.asarray(pairs.as_array(poses))


def _joints(values: AnyArray) -> AnyArray:
    """(M, 17, 3) y, x, score; a view."""
    return values[0, :, : 3 * JOINTS].reshape(-1, JOINTS, 3) if values.ndim == 3 else values[0]


def _found(values: AnyArray) -> NDArray[np.bool_]:
    """(M,) rows with a person."""
    return values[0, :, -1] >= LEAST if values.ndim == 3 else np.ones(1, dtype=bool)


def write(poses: Poses, like: Any, shape: tuple[int, int] | None = None) -> Any:
    """A copy of `like` with the joints of `poses`; a tensor of torch, or else an array."""
    given = _array(like)
    values, found = _joints(given).copy(), _found(given)
    triplets = written(poses, MARKS["movenet"])
    triplets[poses.present, :2] = to_shares(poses.keypoints, shape)[poses.present, ::-1]
    mask = np.zeros(values.shape[:2], dtype=bool)
    mask[found] = changed(poses, read(like, shape=shape))
    values[mask] = triplets[mask[found]]
    out = given.copy()
    if given.ndim == 3:
        out[0, :, : 3 * JOINTS] = values.reshape(-1, 3 * JOINTS)
    else:
        out[0] = values
    return torch.from_numpy(out).to(like) if isinstance(like, torch.Tensor) else out
