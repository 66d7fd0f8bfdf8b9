"""PoseTrack's figures: mAP, and MOTA, MOTP, precision and recall of every joint's tracks.

Definition: M. Andriluka et al., PoseTrack: A Benchmark for Human Pose Estimation and Tracking, CVPR 2018, with the
CLEAR MOT metrics of K. Bernardin and R. Stiefelhagen, 2008. Details, and the quirks that are options here, as in
poseval, https://github.com/leonid-pishchulin/poseval, and the py-motmetrics that it calls.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles
from pose_refine.metrics.multi_person import (
    AveragePrecision,
    Frame,
    average_precision,
    check_joints,
    head_distances,
    inside,
)
from pose_refine.metrics.pckh import HIT, there

OBJECTS, MISSES, FALSE_POSITIVES, SWITCHES, DETECTIONS, DISTANCE = range(6)  # rows of counts


@dataclass(frozen=True)
class Tracking:
    """(K,) each, one a joint; totals are means of the joints that are not NaN: `groups.mean_of_defined`.

    Attributes:
        mota: Percent, 1 - (misses + false positives + switches) / objects; may be negative. NaN without objects.
        motp: Percent, 1 - mean distance of the detections in head sizes; 0 or NaN without detections.
        precision: Percent, detections of all predicted joints; NaN where none is predicted.
        recall: Percent, detections of all objects; NaN without objects.
        objects: Labelled joints.
        misses: Of them, without a prediction.
        false_positives: Predicted joints that belong to no label.
        switches: Detections by another identity than the person's last one.
        detections: Labelled joints with a prediction.
    """

    mota: Doubles
    motp: Doubles
    precision: Doubles
    recall: Doubles
    objects: NDArray[np.intp]
    misses: NDArray[np.intp]
    false_positives: NDArray[np.intp]
    switches: NDArray[np.intp]
    detections: NDArray[np.intp]


def pose_ap(frames: Sequence[Frame], *, threshold: float = HIT) -> AveragePrecision:
    """PoseTrack's average precision as poseval computes it: `average_precision` with poseval's options.

    poseval's total is the mean of the joints that are not NaN (`groups.mean_of_defined`), so that a joint that is
    neither labelled nor predicted lowers it, and one that is predicted but not labelled does not. Equal scores are in
    reversed order there up to 16 joints, beyond that in an order that nobody defined; here in reversed order always.
    """
    return average_precision(frames, threshold=threshold, reverse_ties=True, zero_if_unpredicted=True)


def tracking(
    sequences: Sequence[Sequence[Frame]],
    *,
    threshold: float = HIT,
    drop_last_frame: bool = True,
    one_object_rule: bool = True,
    zero_if_undetected: bool = True,
) -> Tracking:
    """MOTA, MOTP, precision and recall of each joint, over all sequences together.

    The defaults are poseval; all three options off is the definition. MOTP is over matched pairs, as it was meant to be
    and as poseval gives with py-motmetrics before 1.1.3; with later ones it adds up other events' distances too.

    Each joint is tracked by itself, whoever its person is assigned to. In every frame labelled people keep their last
    identity where it is still near enough; the others are assigned so that most get one, then with the least distance.

    Args:
        sequences: Frames of each video, in order; their people need ids.
        threshold: Head sizes up to which a prediction may belong to a label.
        drop_last_frame: The last frame of each sequence is not evaluated (poseval).
        one_object_rule: A frame without labelled or without predicted people counts as one object, one miss and one
            false positive of every joint (poseval), instead of what is there.
        zero_if_undetected: MOTP of a joint without detections is 0 (poseval), not NaN.

    Raises:
        ValueError: No sequences, frames of different joints, people without ids, or nothing left of a sequence when its
            last frame is dropped (poseval stops there).
    """
    joints = check_joints([frame for sequence in sequences for frame in sequence])
    counts = np.zeros((6, joints))
    for i, sequence in enumerate(sequences):
        check_ids(sequence)
        if len(sequence) <= drop_last_frame:
            raise ValueError(
                f"sequence {i}: got {len(sequence)} frames, of which drop_last_frame leaves none; poseval fails here"
            )
        counts += count(sequence[: len(sequence) - drop_last_frame], threshold, one_object_rule)
    objects, misses, false_positives, switches, detections, distance = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        mota = np.where(objects > 0, 100 * (1 - (misses + false_positives + switches) / objects), np.nan)
        motp = np.where(detections > 0, 100 * (1 - distance / detections), 0.0 if zero_if_undetected else np.nan)
        precision = 100 * detections / (detections + false_positives)
        recall = 100 * detections / np.where(objects > 0, objects, np.nan)
    whole = (c.astype(np.intp) for c in counts[:DISTANCE])
    return Tracking(mota, motp, precision, recall, *whole)


def check_ids(frames: Sequence[Frame]) -> None:
    """Raises ValueError where people have no ids."""
    for i, frame in enumerate(frames):
        for name, ids, people in (("labelled", frame.truth_ids, frame.truth), ("predicted", frame.ids, frame.poses)):
            if len(people) and (ids is None or any(id is None for id in ids)):
                raise ValueError(f"tracking: expected ids of all people, got none of {name} people in frame {i}")


def count(frames: Sequence[Frame], threshold: float, one_object_rule: bool) -> Doubles:
    """Counts (6, K) of one sequence."""
    joints = check_joints(frames)
    counts = np.zeros((6, joints))
    last: list[dict[Hashable, Hashable]] = [{} for _ in range(joints)]
    for frame in frames:
        if one_object_rule and not (len(frame.truth) and len(frame.poses)):
            counts[[OBJECTS, MISSES, FALSE_POSITIVES]] += 1
            continue
        distances, labelled, predicted = head_distances(frame), frame.labelled, frame.predicted
        for j in range(joints):
            rows, columns = np.flatnonzero(labelled[:, j]), np.flatnonzero(predicted[:, j])
            distance = distances[..., j][np.ix_(columns, rows)].T
            counts[:, j] += match(distance, _of(frame.truth_ids, rows), _of(frame.ids, columns), threshold, last[j])
    return counts


def _of(ids: Sequence[Hashable] | None, rows: AnyArray) -> list[Hashable]:
    return [ids[int(row)] for row in rows] if ids is not None else []


def match(
    distance: Doubles,
    truth_ids: Sequence[Hashable],
    ids: Sequence[Hashable],
    threshold: float,
    last: dict[Hashable, Hashable],
) -> tuple[int, int, int, int, int, float]:
    """Counts of one joint in one frame.

    Args:
        distance: (G, N) head sizes, between labelled and predicted joints.
        truth_ids: Of the G labelled ones.
        ids: Of the N predicted ones.
        threshold: Head sizes.
        last: The identity that each labelled person had last; is brought up to date.
    """
    pairs = carried_over(distance, truth_ids, ids, threshold, last)
    free = distance.copy()
    for g, n in pairs:
        free[g], free[:, n] = np.inf, np.inf
    pairs += nearest_pairs(free, threshold)
    switches = sum(truth_ids[g] in last and last[truth_ids[g]] != ids[n] for g, n in pairs)
    last.update({truth_ids[g]: ids[n] for g, n in pairs})
    total = float(sum(distance[g, n] for g, n in pairs))
    return len(truth_ids), len(truth_ids) - len(pairs), len(ids) - len(pairs), switches, len(pairs), total


def carried_over(
    distance: Doubles,
    truth_ids: Sequence[Hashable],
    ids: Sequence[Hashable],
    threshold: float,
    last: dict[Hashable, Hashable],
) -> list[tuple[int, int]]:
    """Pairs whose identity is the last one known, and still near enough."""
    columns = {id: n for n, id in reversed(list(enumerate(ids)))}  # of equal ids the first
    pairs, used = [], set()
    for g, person in enumerate(truth_ids):
        n = columns.get(last[person]) if person in last else None
        if n is not None and n not in used and distance[g, n] <= threshold:
            pairs.append((g, n))
            used.add(n)
    return pairs


def nearest_pairs(distance: Doubles, threshold: float) -> list[tuple[int, int]]:
    """As many pairs as possible of those near enough, with the least total distance."""
    from scipy.optimize import linear_sum_assignment  # here: it takes a while

    near = distance <= threshold
    if near.sum() == 1 or not near.any():
        return [(int(g), int(n)) for g, n in np.argwhere(near)]
    far = 1 + 2 * threshold * min(distance.shape)  # dearer than all other pairs together
    rows, columns = linear_sum_assignment(np.where(near, distance, far))
    return [(int(g), int(n)) for g, n in zip(rows, columns, strict=True) if near[g, n]]


def ignore(people: AnyArray, polygons: Sequence[AnyArray]) -> tuple[Doubles, NDArray[np.bool_]]:
    """Take away the joints that lie in ignore regions, as poseval does before all else, from labels and predictions.

    Args:
        people: (N, K, 2).
        polygons: Corners (M, 2) of each region, pixels.

    Returns:
        (N, K, 2) with NaN for joints strictly inside a region, and (N,) whether the person counts: with ignore regions
        only people with a joint left do, without any all do.
    """
    kept = np.array(people, dtype=np.float64)
    for polygon in polygons:
        kept[inside(kept, polygon)] = np.nan
    counts: NDArray[np.bool_] = there(kept).any(-1) | np.array(not polygons)
    return kept, counts
