"""What `pose-refine evaluate` shows: figures of pairs of people, as rows of a table."""

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_refine._types import AnyArray
from pose_refine.metrics import matching as pairs
from pose_refine.metrics import oks, pckh, posetrack
from pose_refine.metrics.groups import GROUPS, columns_of, group_means, mean_of_defined
from pose_refine.metrics.matching import Pair
from pose_refine.metrics.multi_person import AveragePrecision, average_precision
from pose_refine.skeletons import get_skeleton

log = logging.getLogger("pose_refine")
Sequences = Sequence[Sequence[Pair]]  # of videos; all else is one
HEAD_BOXES = (
    "x1, y1, x2, y2 in PoseTrack 2017, 'bbox_head' in PoseTrack 2018; MPII's are in its .mat file, its JSON needs "
    "'head_box': [x0, y0, x1, y1]"
)


@dataclass(frozen=True)
class Row:
    """One figure, percent: over all, and by joint group and joint where it is defined for them; NaN is undefined."""

    name: str
    total: float
    groups: dict[str, float] = field(default_factory=dict)
    joints: dict[str, float] = field(default_factory=dict)


def _row(name: str, values: AnyArray, skeleton: str, total: float | None = None) -> Row:
    joints = get_skeleton(skeleton).joints
    total = mean_of_defined(values) if total is None else total
    return Row(name, total, group_means(values, joints), dict(zip(joints, map(float, values), strict=True)))


def oks_rows(sequences: Sequences, as_defined: bool) -> list[Row]:
    """OKS AP over all joints, and with the joints of one group alone, in labels and predictions."""
    together = [p for sequence in sequences for p in sequence]
    if not all(np.isfinite(predicted.person_scores).all() for _, predicted in together):
        raise ValueError("predictions: expected a finite 'score' of every person, which OKS AP ranks them by")
    if any(np.isnan(truth.areas).any() for truth, _ in together):
        raise ValueError("labels: expected the 'area' of every person, which OKS needs")
    skeleton = together[0][0].skeleton
    _tell_missing(together, skeleton)
    joints, sigmas = get_skeleton(skeleton).joints, oks.sigmas_of(skeleton)
    arrays = pairs.oks_arrays(together, skeleton)
    parts = {"total": list(range(len(joints))), **{group: columns_of(group, joints) for group in GROUPS}}
    found = {
        name: oks.oks_ap(**_columns(arrays, columns), sigmas=sigmas[columns])
        for name, columns in tqdm(parts.items(), desc="OKS AP", unit="group")
        if columns
    }
    total = found.pop("total")
    groups = {name: measures["AP"] for name, measures in found.items()}
    return [Row(name, total[name], groups if name == "AP" else {}) for name in oks.MEASURES]


def _columns(arrays: dict[str, Any], columns: list[int]) -> dict[str, Any]:
    some, truth = arrays["counts"], arrays["truth"]
    if len(columns) < truth.shape[1]:  # what a group has of them nobody says
        some = np.where(some == 0, 0, np.nan)
    return {**arrays, "poses": arrays["poses"][:, columns], "truth": truth[:, columns], "counts": some}


def pckh_rows(sequences: Sequences, as_defined: bool) -> list[Row]:
    """PCKh@0.5 and AUC of people with one prediction each."""
    together = [p for sequence in sequences for p in sequence]
    _check_heads(together)
    skeleton = "mpii16" if together[0][0].skeleton == "mpii16" else "lsp14"
    _tell_missing(together, skeleton)
    found = pckh.pckh(*pairs.one_to_one(together, skeleton), skeleton=skeleton)
    return [_row("PCKh@0.5", found.joints, skeleton, found.total), Row("AUC", found.auc)]


def mpii_rows(sequences: Sequences, as_defined: bool) -> list[Row]:
    """MPII's multi-person AP, of 14 joints; an image is what the toolkit calls a group of people."""
    together = [p for sequence in sequences for p in sequence]
    _check_joint_scores(together)
    _check_heads(together)
    _tell_missing(together, "lsp14")
    found = average_precision(pairs.frames(together, "lsp14"), skip_unpredicted=not as_defined)
    return [_row("AP", found.ap, "lsp14")]


def posetrack_rows(sequences: Sequences, as_defined: bool) -> list[Row]:
    """PoseTrack's AP, and tracking where the predictions have track ids."""
    together = [p for sequence in sequences for p in sequence]
    _check_joint_scores(together)
    _check_heads(together)
    _tell_missing(together, "posetrack15")
    videos = [frames for video in _videos(sequences) if (frames := pairs.frames(video, "posetrack15"))]
    everything = [frame for frames in videos for frame in frames]
    ap: AveragePrecision = (average_precision if as_defined else posetrack.pose_ap)(everything)
    rows = [_row("AP", ap.ap, "posetrack15")]
    if all(id is None for _, predicted in together for id in predicted.ids):
        log.warning("the predictions have no track ids: AP only")
        return rows
    quirks = not as_defined
    mot = posetrack.tracking(videos, drop_last_frame=quirks, one_object_rule=quirks, zero_if_undetected=quirks)
    named = {"MOTA": mot.mota, "MOTP": mot.motp, "precision": mot.precision, "recall": mot.recall}
    return rows + [_row(name, values, "posetrack15") for name, values in named.items()]


METRICS: dict[str, Callable[[Sequences, bool], list[Row]]] = {
    "oks": oks_rows,
    "pckh": pckh_rows,
    "mpii": mpii_rows,
    "posetrack": posetrack_rows,
}


def _videos(sequences: Sequences) -> list[list[Pair]]:
    """Documents taken apart by what they say of videos."""
    found: dict[Hashable, list[Pair]] = {}
    for i, sequence in enumerate(sequences):
        for p in sequence:
            found.setdefault((i, p[0].video), []).append(p)
    return list(found.values())


def _tell_missing(together: Sequence[Pair], skeleton: str) -> None:
    """Warn of labelled joints that no prediction can have."""
    if lost := pairs.never_predicted(together, skeleton):
        known = {predicted.skeleton for _, predicted in together if len(predicted)}
        log.warning("%s: not in the predictions (%s), counted as missed", ", ".join(lost), ", ".join(sorted(known)))


def _check_heads(together: Sequence[Pair]) -> None:
    if any(np.isnan(truth.head_boxes[pckh.there(truth.keypoints).any(1)]).any() for truth, _ in together):
        raise ValueError(f"labels: expected the head box of every labelled person: {HEAD_BOXES}")


def _check_joint_scores(together: Sequence[Pair]) -> None:
    if all(np.isnan(predicted.scores).all() for _, predicted in together):
        raise ValueError("predictions: expected scores of joints, which AP ranks them by; got none")


def difference(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """After less before, row by row."""
    return [
        Row(
            old.name,
            new.total - old.total,
            {k: new.groups[k] - v for k, v in old.groups.items()},
            {k: new.joints[k] - v for k, v in old.joints.items()},
        )
        for old, new in zip(before, after, strict=True)
    ]


def markdown(tables: dict[str, list[Row]]) -> str:
    """One table of all rows; the names of several `tables` (before, after, difference) go into the first column."""
    groups = [g for g in GROUPS if any(g in row.groups for rows in tables.values() for row in rows)]
    lines = ["| |" + "".join(f" {g} |" for g in groups) + " total |", "|---|" + "---:|" * (len(groups) + 1)]
    for rows in zip(*tables.values(), strict=True):
        for name, row in zip(tables, rows, strict=True):
            sign = "+" if name == "difference" else ""
            cells = [_cell(row.groups[g], sign) if g in row.groups else "-" for g in groups]
            label = row.name if len(tables) == 1 else f"{row.name}, {name}"
            lines.append("| " + " | ".join([label, *cells, _cell(row.total, sign)]) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float, sign: str) -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.1f}"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Row name to its numbers, null where undefined."""
    return {
        row.name: {
            "total": _number(row.total),
            "groups": {k: _number(v) for k, v in row.groups.items()},
            "joints": {k: _number(v) for k, v in row.joints.items()},
        }
        for row in rows
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
