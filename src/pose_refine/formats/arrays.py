"""Plain arrays of numpy or torch: (N, K, 2), (N, K, 3) or one person's (K, 2), (K, 3); without numbers nobody."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.formats.common.missing import lost, mark_of, without, written
from pose_refine.poses import Poses, as_floats
from pose_refine.skeletons import DEFAULT_BY_COUNT, AnySkeleton, get_skeleton, in_another_order, like_a_body
from pose_refine.warned import warn

EXPECTED = "a numpy array or torch tensor (N, K, 2), (N, K, 3), (K, 2) or (K, 3)"


def matches(poses: Any) -> bool:
    return isinstance(poses, (np.ndarray, Tensor))


def _numpy(array: AnyArray | Tensor) -> AnyArray:
    """A tensor's numbers, from whatever device; bfloat16, which numpy does not have, as float32."""
    if not isinstance(array, Tensor):
        return array
    here = array.detach().cpu()
    numbers: AnyArray = (here.float() if here.is_floating_point() else here).numpy()
    return numbers


def read(array: AnyArray | Tensor, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read an array of keypoints; `missing.py` says which joints are missing.

    Args:
        array: (N, K, 2) x, y; (N, K, 3) x, y, score; or (K, 2), (K, 3) for one person.
        skeleton: Name of the skeleton; by default that of `DEFAULT_BY_COUNT` for K.
        shape: Not needed.

    Raises:
        TypeError: Not an array.
        ValueError: Another shape, not numbers, Inf, or no telling which skeleton.
    """
    values = as_floats(_numpy(array), "poses")
    if not values.size:
        return nobody(skeleton or nobodys_skeleton(values.shape))
    if values.ndim == 2 and values.shape[1] in (2, 3):
        values = values[None]
    if values.ndim != 3 or values.shape[2] not in (2, 3):
        raise ValueError(f"poses: expected shape (N, K, 2), (N, K, 3), (K, 2) or (K, 3), got {tuple(array.shape)}")
    scores = values[..., 2] if values.shape[2] == 3 else np.full(values.shape[:2], np.nan, dtype=np.float32)
    return read_joints(values[..., :2], scores, skeleton)


def read_joints(
    keypoints: AnyArray,
    scores: AnyArray,
    skeleton: AnySkeleton | None,
    ids: Sequence[object] | None = None,
    *,
    own: bool = False,
    decoded: bool = False,
) -> Poses:
    """Keypoints (N, K, 2) and scores (N, K) of any format of pixels; `own` and `decoded` as `missing.lost` has them.

    Raises:
        ValueError: No telling which skeleton, or another number of joints than it has.
    """
    joints = without(keypoints, lost(keypoints, scores, own=own, decoded=decoded))
    return Poses(joints, scores, skeleton_name(joints.shape[1], skeleton, joints), ids)


def nobody(skeleton: AnySkeleton, ids: Sequence[object] | None = None) -> Poses:
    """Poses of no people."""
    joints = len(get_skeleton(skeleton).joints)
    return Poses(np.empty((0, joints, 2), np.float32), np.empty((0, joints), np.float32), skeleton, ids)


def nobodys_skeleton(shape: Sequence[int]) -> str:
    """What the shape of an array without numbers tells: (0, K, 3), or (1, 0, 3 K) as Ultralytics has it."""
    counts = [n for size in shape for n in (size, size // 3) if n in DEFAULT_BY_COUNT]
    return DEFAULT_BY_COUNT[counts[0]] if counts else "coco17"


def skeleton_name(count: int, skeleton: AnySkeleton | None, keypoints: Floats | None = None) -> AnySkeleton:
    """The skeleton asked for, or the usual one for that many joints.

    Args:
        count: Number of joints.
        skeleton: What was asked for.
        keypoints: (N, K, 2): where two skeletons are usual, the one in which these look like bodies.

    Raises:
        ValueError: It has another number of joints, or there is no usual one.
    """
    name = skeleton or DEFAULT_BY_COUNT.get(count)
    if name is None:
        known = ", ".join(f"{k} ({v})" for k, v in DEFAULT_BY_COUNT.items())
        raise ValueError(f"poses: {count} joints need skeleton=; without it only {known} are known")
    if len(get_skeleton(name).joints) != count:
        raise ValueError(f"poses: skeleton {name} has {len(get_skeleton(name).joints)} joints, got {count}")
    if skeleton or keypoints is None:
        return name
    if other := in_another_order(keypoints, str(name)):
        warn(f"{count} joints are taken for {name}'s, and lie as {other}'s do: pass skeleton={other!r}, or {name!r}")
    return like_a_body(keypoints, str(name))


def changed(after: Poses, before: Poses) -> NDArray[np.bool_]:
    """(N, K), True for joints that are not what they were, or are there no longer: only these are written back."""
    new, old = after.to_array(), before.to_array()
    differs: NDArray[np.bool_] = ~((new == old) | (np.isnan(new) & np.isnan(old))).all(-1)
    return differs & (after.present | before.present)


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """`like` as float32 (N, K, 3), or (K, 3), with the joints of `poses`; what was missing stays as it came.

    Nobody comes back as it is; a tensor as a tensor, on its device.
    """
    if isinstance(like, Tensor):
        return like.clone() if not len(poses) else torch.from_numpy(write(poses, _numpy(like))).to(like.device)
    if not len(poses):
        return like.copy()
    before = as_floats(like, "poses")
    wanted = (*before.shape[:-1], 3)
    before = before.reshape(*poses.keypoints.shape[:2], before.shape[-1])
    if before.shape[2] == 2:
        before = np.concatenate([before, np.zeros_like(before[..., :1])], -1)
    new = poses.present | read(like, poses.skeleton).present
    return np.where(new[..., None], written(poses, mark_of(before)), before).reshape(wanted)
