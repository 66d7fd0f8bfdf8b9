"""What `pose-refine errors` says: the findings in words, as Markdown and as JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pose_refine.metrics.errors import (
    KINDS,
    NOT_LABELLED,
    JointErrors,
    Judged,
    Scores,
    exchanged,
    joint_errors,
    scores_of,
)
from pose_refine.skeletons import NETWORK
from pose_refine.viz.pages import spoken

WORST = 3  # joints that a sentence names
NOTABLE = 1.0  # percent of the person's size: smaller biases are left out of the words
BEYOND_DOUBT = 2.0  # standard errors
SAYS = {
    "jitter": "off by a little",
    "inversion": "on the other side: left for right",
    "swap": "on somebody else",
    "miss": "nowhere near the joint",
    "missing": "not predicted",
}


@dataclass(frozen=True)
class Findings:
    """All that is said of an estimator.

    Attributes:
        people: Labelled people.
        images: In which they are.
        found: Those of them for whom somebody was predicted.
        extra: Predicted people who are like nobody labelled.
        exchanged: People with most joints on the wrong side.
        total: Of all joints.
        joints: One by one, the network's order; those that are labelled and that the estimator knows.
        scores: What its scores are worth.
    """

    people: int
    images: int
    found: int
    extra: int
    exchanged: int
    total: JointErrors
    joints: list[JointErrors]
    scores: Scores


def findings(judged: Judged, images: int, columns: list[int]) -> Findings:
    """What is to be said of the joints in these columns of the network's."""
    return Findings(
        people=len(judged.kinds),
        images=images,
        found=int((~np.isnan(judged.poses[..., 0])).any(1).sum()),
        extra=judged.extra,
        exchanged=exchanged(judged, NETWORK.name),
        total=joint_errors(judged, "all", columns),
        joints=[joint_errors(judged, NETWORK.joints[c], [c]) for c in columns],
        scores=scores_of(judged),
    )


def known_columns(judged: Judged, lost: list[str]) -> list[int]:
    """Columns of the joints that are labelled, those `lost` left out."""
    labelled = (judged.kinds != NOT_LABELLED).any(0)
    return [c for c, name in enumerate(NETWORK.joints) if labelled[c] and name not in lost]


def count_of(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def sentences(found: Findings) -> list[str]:
    """The findings, one a line, the most important first."""
    said = [_how_many(found), *_kinds(found), *_biases(found), *_scores(found.scores)]
    return [line for line in said if line]


def _how_many(found: Findings) -> str:
    total = found.total
    text = f"Of {count_of(total.labelled, 'labelled joint', 'labelled joints')}, {total.shares['good']:.1f} % are good."
    if lost := found.people - found.found:
        text += f" {count_of(lost, 'person was', 'people were')} not found at all."
    if found.extra:
        text += f" {count_of(found.extra, 'predicted person is', 'predicted people are')} like nobody labelled."
    return text


def _kinds(found: Findings) -> list[str]:
    """One sentence for each kind of error that occurs, the most frequent first."""
    said = []
    for kind in sorted(SAYS, key=lambda k: -found.total.shares[k]):
        share = found.total.shares[kind]
        if share < 0.05:
            continue
        worst = sorted(found.joints, key=lambda j: -j.shares[kind])[:WORST]
        named = ", ".join(f"{spoken(j.name)} {j.shares[kind]:.1f} %" for j in worst if j.shares[kind] >= share)
        text = f"{kind.capitalize()}: {share:.1f} % are {SAYS[kind]}" + (f"; most often {named}." if named else ".")
        if kind == "inversion" and found.exchanged:
            people = count_of(found.exchanged, "person has", "people have")
            text += f" {people} most joints on the wrong side."
        said.append(text)
    return said


def _biases(found: Findings) -> list[str]:
    """Where joints that are found lie to one side on the whole, the furthest first."""
    said = []
    for joint in found.joints:
        parts = []
        ways = (("too far left", "too far right"), ("too high", "too low"))
        for axis, way in enumerate(ways):
            share = joint.of_size[axis]
            if abs(share) >= NOTABLE and abs(share) > BEYOND_DOUBT * joint.doubt[axis]:
                parts.append(f"{abs(joint.bias[axis]):.1f} px ({abs(share):.1f} %) {way[share > 0]}")
        if parts:
            said.append((-float(np.hypot(*joint.of_size)), f"{spoken(joint.name)} {' and '.join(parts)}"))
    if not said:
        return ["No joint that is found lies notably to one side."]
    return ["In the image, joints that are found lie on average: " + "; ".join(s for _, s in sorted(said)) + "."]


def _scores(scores: Scores) -> list[str]:
    if not scores.bins:
        return ["Its joints have no scores."]
    if math.isnan(scores.ranked):
        return []
    text = f"A good joint has a higher score than another one in {scores.ranked:.0f} % of pairs; 50 would be chance."
    if not math.isnan(scores.off):
        total = sum(b.count for b in scores.bins)
        more = sum(b.count * (100 * b.mean - b.good) for b in scores.bins) / total
        way = "promise more than they keep" if more > 0 else "are too modest"
        text += f" Taken for the probability of being good, its scores are off by {scores.off:.0f} points"
        text += f", and on the whole {way}." if scores.off >= 1 else "."
    return [text]


def markdown(found: Findings) -> str:
    """The findings in words, then a table by joint and one by score."""
    head = ["joint", "labelled", *KINDS, "bias x, y in px", "in % of size"]
    lines = [f"- {line}" for line in sentences(found)] + ["", "| " + " | ".join(head) + " |"]
    lines.append("|---|" + "---:|" * (len(head) - 1))
    for joint in (*found.joints, found.total):
        cells = [spoken(joint.name), str(joint.labelled), *(f"{joint.shares[kind]:.1f}" for kind in KINDS)]
        lines.append("| " + " | ".join([*cells, two(joint.bias), two(joint.of_size)]) + " |")
    if found.scores.bins:
        lines += ["", "| score | joints | mean score | good, % |", "|---|---:|---:|---:|"]
        lines += [
            f"| {b.low:.2f} to {b.high:.2f} | {b.count} | {b.mean:.2f} | {b.good:.1f} |" for b in found.scores.bins
        ]
    return "\n".join(lines) + "\n"


def two(values: tuple[float, float]) -> str:
    """Two signed numbers; a dash where there is nothing to say."""
    return "-" if math.isnan(values[0]) else f"{values[0]:+.1f}, {values[1]:+.1f}"


def as_json(found: Findings) -> dict[str, Any]:
    """All of it, with null for what is not defined, and the words."""
    facts = _plain(asdict(found))
    return {**facts, "words": sentences(found)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None
