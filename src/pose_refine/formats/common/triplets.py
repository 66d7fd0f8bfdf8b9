"""Flat lists x0, y0, s0, x1, ... as JSON formats keep keypoints; or one row a joint, as some people's own do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pose_refine._types import Doubles
from pose_refine.formats import arrays
from pose_refine.formats.common.missing import ZERO, Mark, written
from pose_refine.poses import Poses
from pose_refine.skeletons import SKELETONS, AnySkeleton

COUNTS = {len(s.joints) for s in SKELETONS.values()}
DECIMALS = 3  # as OpenPose writes; a thousandth of a pixel


def read_triplets(
    people: Sequence[Sequence[float]], skeleton: AnySkeleton | None, ids: Sequence[object] | None
) -> Poses:
    """Read one flat list a person; all of one length.

    Raises:
        ValueError: Lengths that differ or that three does not divide; not numbers.
    """
    if not people:
        return arrays.nobody(skeleton or "coco17", ids)
    read = arrays.read(triplets(people), skeleton)
    return Poses(read.keypoints, read.scores, read.skeleton, ids)


def triplets(people: Sequence[Sequence[float]]) -> Doubles:
    """(N, K, 3) of one flat list a person, at least one.

    Raises:
        ValueError: Lengths that differ or that three does not divide; not numbers.
    """
    if not all(hasattr(p, "__len__") for p in people):
        raise ValueError(f"keypoints: expected flat lists, got {sorted({type(p).__name__ for p in people})}")
    lengths = {len(p) for p in people}
    if bare := sorted({n for n in lengths if n % 2 == 0 and n // 2 in COUNTS and (n % 3 or n // 3 not in COUNTS)}):
        raise ValueError(
            f"keypoints: expected lists x, y, score, ... of one length 3 K, got lengths {[len(p) for p in people]}: "
            f"{bare[0]} numbers are {bare[0] // 2} pairs x, y without scores; add a score to each"
        )
    if len(lengths) != 1 or lengths.pop() % 3:
        raise ValueError(f"keypoints: expected lists of one length 3 K, got lengths {[len(p) for p in people]}")
    try:
        values = np.array(people, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"keypoints: expected numbers: {error}") from error
    if values.ndim != 2:
        raise ValueError(f"keypoints: expected flat lists x, y, score, ..., got shape {values.shape[1:]} for each")
    joints: Doubles = values.reshape(len(people), -1, 3)
    return joints


def new_triplets(poses: Poses) -> Doubles:
    """(N, K, 3) x, y, score of Poses of any origin: 0, 0, 0 where missing, score 1 where it is not known."""
    values = written(poses, ZERO).astype(np.float64).round(DECIMALS)
    values[..., 2] = np.where(np.isnan(values[..., 2]), 1, values[..., 2])
    new: Doubles = values
    return new


def is_nested(keypoints: Any) -> bool:
    """Whether these are one row a joint: x, y, score, or x, y alone; lists or an array."""
    rows = [len(row) if isinstance(row, (list, tuple, np.ndarray)) else 0 for row in keypoints]
    return set(rows) in ({2}, {3})


def flattened(keypoints: Any) -> Any:
    """Rows as one flat list, with NaN for scores that are not there; anything else as it is."""
    if not is_nested(keypoints):
        return keypoints
    return [v for row in keypoints for v in (*row, np.nan)[:3]]


def put_rows(rows: Any, changed: dict[int, list[float]]) -> None:
    """Write one person's changed joints into its rows, in place, without a score where rows have none."""
    whole = isinstance(rows, np.ndarray) and rows.dtype.kind in "iu"
    for index, triplet in changed.items():
        values = [round(v) if whole else v for v in triplet[: len(rows[index])]]
        rows[index] = tuple(values) if isinstance(rows[index], tuple) else values


def put_triplets(flat: list[float], changed: dict[int, list[float]]) -> None:
    """Write one person's changed joints into its flat list, in place."""
    for index, triplet in changed.items():
        flat[3 * index : 3 * index + 3] = triplet


def changed_triplets(after: Poses, before: Poses, mark: Mark = ZERO) -> list[dict[int, list[float]]]:
    """For each person the joints that changed: index to [x, y, score], rounded to DECIMALS."""
    rounded = np.round(written(after, mark).astype(np.float64), DECIMALS)
    return [
        {int(k): [float(v) for v in row[k]] for k in np.flatnonzero(changed)}
        for row, changed in zip(rounded, arrays.changed(after, before), strict=True)
    ]
