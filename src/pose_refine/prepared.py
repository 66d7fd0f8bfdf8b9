"""Poses made ready for the network, and what its answer changes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pose_refine import formats
from pose_refine._types import AnyArray, Doubles, Floats, Shape
from pose_refine.crops.geometry import where_to_cut
from pose_refine.poses import Poses, Refinement
from pose_refine.skeletons import (
    MPII_CONVENTION,
    AnySkeleton,
    Skeleton,
    convert,
    get_skeleton,
    known_joints,
    put_back,
)
from pose_refine.warned import warn

MOVED = 0.01  # of the person's box height; less is "kept"
UNIT = 2.0  # pixels: joints none of which is further out are in shares of the image, not in pixels
FAR = 0.5  # of the image's sides: a joint further outside than that can only be wrong, and is taken for missing


@dataclass(frozen=True)
class PreparedPoses:
    """Poses of one image, on their way to the network.

    Attributes:
        given: The poses as they came.
        target: Skeleton of the result.
        before: (N, K', 3) x, y, score in that skeleton.
        rows: (R,) the people who have a joint.
        reachable: (R, K, 3) those, in their own skeleton, without joints that are too far out.
    """

    given: Poses
    target: Skeleton
    before: Floats
    rows: AnyArray
    reachable: Floats

    @property
    def mpii(self) -> bool:
        """Whether the result's hips, shoulders, neck and head top are meant as MPII's."""
        return self.target.name in MPII_CONVENTION

    def where_to_cut(self, shape: Shape) -> tuple[Floats, Floats, Floats]:
        """Where to look for them in an image of that shape, and what to show of them; see `geometry.where_to_cut`."""
        return where_to_cut(self.reachable, get_skeleton(self.given.skeleton), shape)


def prepare_poses(given: Poses, to: AnySkeleton | None, shape: tuple[int, int]) -> PreparedPoses:
    """What is to be refined of the poses of an image of that height and width."""
    source, target = get_skeleton(given.skeleton), get_skeleton(to or given.skeleton)
    rows = np.flatnonzero(given.present.any(1))  # the others have nothing to go by
    if given.present.sum() > 2 and np.nanmax(np.abs(given.keypoints)) < UNIT < min(shape):
        warn("all joints lie within two pixels of the image's corner; are they in [0, 1]?")
    warn_of_strangers(given, shape)
    values = given.to_array()
    before = values if target is source else convert(values, source, target)
    return PreparedPoses(given, target, before, rows, within_reach(values[rows], shape))


def warn_of_strangers(given: Poses, shape: tuple[int, int]) -> None:
    """Tell of people none of whose joints lies in the image: the poses are another image's, or its of another size."""
    beyond = (given.keypoints < -0.5) | (given.keypoints > np.array(shape[::-1]) - 0.5)
    strangers = np.flatnonzero(given.present.any(1) & (beyond.any(-1) | ~given.present).all(1))
    if len(strangers):
        who = f"person {strangers[0]} lies" if len(strangers) == 1 else f"{len(strangers)} of {len(given)} people lie"
        warn(f"{who} wholly outside the image of {shape[1]} x {shape[0]} pixels; are the poses of one of another size?")


def finish(prepared: PreparedPoses, found: Floats | None, recover: bool) -> Refinement:
    """What changes, given the network's joints (R, 19, 3) of `prepared.rows`; nothing where there is no answer."""
    source, target, before = get_skeleton(prepared.given.skeleton), prepared.target, prepared.before
    after, rows, reachable = before.copy(), prepared.rows, prepared.reachable
    if found is not None:
        refined = put_back(reachable if target is source else convert(reachable, source, target), found, target)
        keep = np.isnan(refined[..., :1]) | (np.isnan(before[rows][..., :1]) & (not recover))
        keep |= ~known_joints(target)[:, None]  # of a person beyond the border, what is put back was moved there
        after[rows] = np.where(keep, before[rows], refined)
    initial, result = (Poses(v[..., :2], v[..., 2], target, prepared.given.ids) for v in (before, after))
    return compare(initial, result)


def within_reach(values: Floats, shape: Sequence[int]) -> Floats:
    """`values` (N, K, 3), x and y NaN where they lie more than FAR of the image's side outside the image.

    A person all of whose joints are that far out is moved to that border instead, so that there is something to cut.
    """
    size = np.array([shape[1], shape[0]], dtype=np.float32)
    nearest = np.clip(values[..., :2], -FAR * size - 1, (1 + FAR) * size)
    near = np.where(nearest == values[..., :2], nearest, np.float32(np.nan))
    near[np.isnan(near).any(-1)] = np.nan
    lost = np.isnan(near).all((1, 2), keepdims=True)
    return np.concatenate([np.where(lost, nearest, near), values[..., 2:]], -1)


def compare(initial: Poses, refined: Poses) -> Refinement:
    """What changed between two sets of poses of the same people."""
    after, before = (poses.keypoints.astype(np.float64) for poses in (refined, initial))  # where nothing overflows
    shift = np.minimum(np.hypot(*np.moveaxis(after - before, -1, 0)), np.finfo(np.float32).max)
    moved = np.nan_to_num(shift) > MOVED * heights_of(refined)[:, None]
    both = np.where(moved, "moved", "kept")
    verdict = np.where(refined.present, np.where(initial.present, both, "recovered"), "missing")
    return Refinement(refined, initial, shift.astype(np.float32), verdict)


def heights_of(poses: Poses) -> Doubles:
    """(N,) height of the box of each person's joints, at least a pixel."""
    y = poses.keypoints[..., 1].astype(np.float64)
    extent = np.where(poses.present, y, -np.inf).max(1) - np.where(poses.present, y, np.inf).min(1)
    heights: Doubles = np.maximum(extent, 1.0)
    return heights


def hand_back(
    refined: Poses, given: Any, to: AnySkeleton | None, *, format: str | None = None, shape: formats.Shape | None = None
) -> Any:
    """`refined` as the kind of object that was given; as an array where it was converted."""
    if to is None or isinstance(given, Poses):
        return formats.write(refined, given, format=format, shape=shape)
    array = refined.to_array()
    return array[0] if isinstance(given, (np.ndarray, Tensor)) and given.ndim == 2 else array
