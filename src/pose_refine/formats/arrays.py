"""Plain numpy arrays: (N, K, 2), (N, K, 3) or one person's (K, 3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import DEFAULT_BY_COUNT, get_skeleton


def matches(poses: Any) -> bool:
    return isinstance(poses, np.ndarray)


def read(array: AnyArray, skeleton: str | None = None, shape: object = None) -> Poses:
    """Read an array of keypoints.

    A joint is missing where a coordinate is NaN, or where x, y and the score (if there is one) are all 0.

    Args:
        array: (N, K, 2) x, y; (N, K, 3) x, y, score; or (K, 3) for one person.
        skeleton: Name of the skeleton; by default that of `DEFAULT_BY_COUNT` for K.
        shape: Not needed.

    Raises:
        TypeError: Not an array.
        ValueError: Another shape, not numbers, Inf, or no telling which skeleton.
    """
    values = as_floats(array, "poses")
    if values.ndim == 2 and values.shape[1] == 3:
        values = values[None]
    if values.ndim != 3 or values.shape[2] not in (2, 3):
        raise ValueError(f"poses: expected shape (N, K, 2), (N, K, 3) or (K, 3), got {array.shape}")
    scores = values[..., 2] if values.shape[2] == 3 else np.full(values.shape[:2], np.nan, dtype=np.float32)
    keypoints = np.where((values == 0).all(-1, keepdims=True), np.float32(np.nan), values[..., :2])
    return Poses(keypoints, scores, skeleton_name(values.shape[1], skeleton))


def nobody(skeleton: str, ids: Sequence[object] | None = None) -> Poses:
    """Poses of no people."""
    joints = len(get_skeleton(skeleton).joints)
    return Poses(np.empty((0, joints, 2), np.float32), np.empty((0, joints), np.float32), skeleton, ids)


def skeleton_name(count: int, skeleton: str | None) -> str:
    """The skeleton asked for, or the usual one for that many joints.

    Raises:
        ValueError: It has another number of joints, or there is no usual one.
    """
    name = skeleton or DEFAULT_BY_COUNT.get(count)
    if name is None:
        known = ", ".join(f"{k} ({v})" for k, v in DEFAULT_BY_COUNT.items())
        raise ValueError(f"poses: {count} joints need skeleton=; without it only {known} are known")
    if len(get_skeleton(name).joints) != count:
        raise ValueError(f"poses: skeleton {name} has {len(get_skeleton(name).joints)} joints, got {count}")
    return name


def columns(poses: Poses) -> Floats:
    """(N, K, 3): x, y, score."""
    return np.concatenate([poses.keypoints, poses.scores[..., None]], -1)


def changed(after: Poses, before: Poses) -> NDArray[np.bool_]:
    """(N, K), True for joints that are there and are not what they were: only these are written back."""
    new, old = columns(after), columns(before)
    differs: NDArray[np.bool_] = ~((new == old) | (np.isnan(new) & np.isnan(old))).all(-1)
    return differs & after.present


def write(poses: Poses, like: AnyArray, shape: object = None) -> Floats:
    """`like` as float32 (N, K, 3), or (K, 3), with the joints of `poses`; what is missing stays as it came."""
    before = np.asarray(like, dtype=np.float32)
    wanted = (*before.shape[:-1], 3)
    before = before.reshape(*poses.keypoints.shape[:2], before.shape[-1])
    if before.shape[2] == 2:
        before = np.concatenate([before, np.zeros_like(before[..., :1])], -1)
    return np.where(poses.present[..., None], columns(poses), before).reshape(wanted)
