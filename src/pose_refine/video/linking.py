"""Who is who from frame to frame: people without identities are linked by how alike their poses and boxes are."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.bodies import likeness
from pose_refine.skeletons import SIGMAS

LEAST = 0.1  # similarity from which on two poses may be one person's
LASTING = 3  # frames for which somebody is less alike: trackers exchange people; fewer are an estimator's error
FORGET = 1.0  # seconds after which somebody who is gone comes back as somebody new


class Linker:
    """Gives identities, frame by frame: 1, 2, ... in the order in which people appear.

    Args:
        fps: Frames a second; decides when people are forgotten.
    """

    def __init__(self, fps: float) -> None:
        self._patience = max(1, round(FORGET * fps))
        self._poses: dict[Any, tuple[int, Floats]] = {}
        self._used: set[object] = set()
        self._next = 1

    def link(self, index: int, poses: Floats, ids: Sequence[Any], doubted: Collection[str] = ()) -> list[Any]:
        """Identities of the people of one frame.

        Args:
            index: Number of the frame; never falls.
            poses: (N, 19, 2) image pixels, NaN where missing.
            ids: (N,) those that are known already, and stay; None for the others. (Somebody whose identity is known
                is not linked to anybody who had none before.)
            doubted: `repr` of identities that turned out to tell nobody apart: they are given as ours from now on.

        Returns:
            (N,) identities, each given to one person only, but for those that came in several times. An identity that
            came for one person after it was given to another stays with the former from then on.
        """
        self._used.update(str(i) for i in ids if i is not None)
        self._poses = {k: v for k, v in self._poses.items() if index - v[0] <= self._patience}
        self._used.difference_update(str(k) for k in self._poses if repr(k) in doubted)
        out, free = list(ids), [n for n, i in enumerate(ids) if i is None]
        for row, key in self._match(poses[free]) if free else ():
            out[free[row]] = key
        for n in range(len(out)):
            out[n] = self._new() if out[n] is None else out[n]
            if not np.isnan(poses[n]).all():
                self._poses[out[n]] = index, poses[n]
        return out

    def forget(self) -> None:
        """At a cut: nobody is linked to anybody who was there before."""
        self._poses.clear()

    def _match(self, poses: Floats) -> list[tuple[int, Any]]:
        keys = [k for k in self._poses if str(k) not in self._used]
        if not keys:
            return []
        alike = similarity(poses, np.stack([self._poses[k][1] for k in keys]))
        return [(row, keys[column]) for row, column in assign(alike, LEAST)]

    def _new(self) -> int:
        while str(self._next) in self._used:
            self._next += 1
        self._next += 1
        return self._next - 1


def parts(poses: Floats) -> list[int]:
    """Where a track has to be torn: the number of the part that each of its frames belongs to, from 0.

    A tracker that exchanges two people calls both by the other's name from then on. What was one person's tells nothing
    of the other: where all of LASTING frames are unlike all of those before.

    Args:
        poses: (T, 19, 2) of one track in the order of its frames, image pixels, NaN where missing.
    """
    alike = similarity(poses, poses)
    torn = [False] * len(poses)
    for t in range(LASTING, len(poses) - LASTING + 1):
        torn[t] = bool(alike[t - LASTING : t, t : t + LASTING].max() < LEAST)
    return [int(n) for n in np.cumsum(torn)]


def assign(alike: AnyArray, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the greatest total similarity, each of at least `least`."""
    from scipy.optimize import linear_sum_assignment  # here: it takes a while

    allowed = np.where(alike >= least, alike, 0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c] > 0]


def similarity(a: Floats, b: Floats) -> AnyArray:
    """How alike poses (A, 19, 2) and (B, 19, 2) are, (A, B) in [0, 1]: the mean of OKS and of the boxes' IoU.

    OKS is that of the joints that both have, with half of the mean of the boxes' areas as the person's (COCO's people
    fill about half their boxes). Boxes tell of people who move so fast that no joint stays near.
    """
    boxes_a, boxes_b = box(a), box(b)
    return (oks(a, b, (_area(boxes_a)[:, None] + _area(boxes_b)) / 4) + iou(boxes_a, boxes_b)) / 2


def oks(a: Floats, b: Floats, area: AnyArray) -> AnyArray:
    """Object keypoint similarity (A, B) of poses (A, 19, 2), (B, 19, 2), areas (A, B); 0 where no joint is common."""
    unit = 2 * SIGMAS * np.sqrt(np.maximum(area, 1))[..., None]
    similar, _ = likeness(a[:, None], b, unit)
    return similar


def box(poses: Floats) -> Floats:
    """(N, 4) x0, y0, x1, y1 of poses (N, K, 2); a box without area where there are no joints."""
    there = ~np.isnan(poses)
    low = np.where(there, poses, np.inf).min(1)
    high = np.where(there, poses, -np.inf).max(1)
    boxes: Floats = np.where(np.any(there, (1, 2))[:, None], np.concatenate([low, high], -1), 0)
    return boxes


def _area(boxes: Floats) -> Floats:
    area: Floats = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return area


def iou(a: Floats, b: Floats) -> AnyArray:
    """Intersection over union (A, B) of boxes (A, 4), (B, 4)."""
    shared: AnyArray = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    shared = np.clip(shared, 0, None).prod(-1)
    value: AnyArray = shared / np.maximum(_area(a)[:, None] + _area(b) - shared, 1e-6)
    return value
