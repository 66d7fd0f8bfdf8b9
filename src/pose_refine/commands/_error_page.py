"""The page of `pose-refine errors`: a figure with a ring for each joint, scores, the findings in words and numbers."""

import math
from itertools import accumulate
from typing import Any

from pose_refine.commands._error_words import Findings, sentences, two
from pose_refine.metrics.errors import KINDS, JointErrors, Scores
from pose_refine.skeletons import NETWORK
from pose_refine.viz.pages import render, spoken

# Where a person who faces the reader has its joints; x from the middle of the picture, of the left side's alone.
_LEFT = {
    "eye": (26, 52), "ear": (56, 62), "shoulder": (62, 136), "elbow": (88, 204), "wrist": (98, 270), "hip": (36, 268),
    "knee": (42, 354), "ankle": (46, 436),
}  # fmt: skip
_MIDDLE = {"nose": (0, 82), "upper_neck": (0, 116), "head_top": (0, 18)}
WIDTH, HEIGHT = 300, 460
RING = 10  # radius
AROUND = 2 * math.pi * RING
MAGNIFIED = 5  # times: the bias that is drawn
SIZE = 165  # of the figure: the root of its area
CHART, LEFT, TOP, BOTTOM = 300, 34, 10, 40  # the chart's side, and room for its labels


def page(title: str, found: Findings) -> str:
    """The whole page; it needs nothing beside itself."""
    counts = [("images", f"{found.images:,}", ""), ("people", f"{found.people:,}", "")]
    return render(
        "error_page.html",
        title=title,
        tiles=counts + [(kind, f"{found.total.shares[kind]:.1f}", " %") for kind in KINDS],
        sentences=sentences(found),
        joints=[*found.joints, found.total],
        kinds=KINDS,
        two=two,
        limbs=[(*place_of(a), *place_of(b)) for a, b in NETWORK.limbs],
        rings=[ring(joint) for joint in found.joints],
        radius=RING,
        around=AROUND,
        width=WIDTH,
        height=HEIGHT,
        magnified=MAGNIFIED,
        chart=chart(found.scores),
    )


def place_of(joint: str) -> tuple[float, float]:
    """Where the figure has it."""
    if joint in _MIDDLE:
        x, y = _MIDDLE[joint]
        return WIDTH / 2 + x, y
    side, _, name = joint.partition("_")
    x, y = _LEFT[name]
    return WIDTH / 2 + (x if side == "left" else -x), y


def ring(joint: JointErrors) -> dict[str, Any]:
    """One joint: its shares around, its bias from the middle."""
    x, y = place_of(joint.name)
    lengths = [joint.shares[kind] / 100 * AROUND for kind in KINDS]
    far = [0.0 if math.isnan(share) else share / 100 * SIZE * MAGNIFIED for share in joint.of_size]
    named = ", ".join(f"{kind} {joint.shares[kind]:.1f} %" for kind in KINDS if joint.shares[kind])
    return {
        "title": f"{spoken(joint.name)}: {named}",
        "x": x,
        "y": y,
        "arcs": list(zip(KINDS, lengths, accumulate([0.0, *lengths[:-1]]), strict=True)),  # kind, length, start
        "tip": (x + far[0], y + far[1]),
    }


def chart(scores: Scores) -> dict[str, Any]:
    """Share of good joints by score: a column a bin, a line where a score that is a probability would be."""
    floor, wide = CHART - BOTTOM, (CHART - LEFT) / max(1, len(scores.bins))

    def at(share: float) -> float:
        return floor - (floor - TOP) * share / 100

    return {
        "side": CHART,
        "left": LEFT,
        "floor": floor,
        "wide": wide,
        "grid": [(share, at(share)) for share in (0, 50, 100)],
        "columns": [(b, LEFT + n * wide, at(b.good), at(100 * b.mean)) for n, b in enumerate(scores.bins)],
        "promises": not math.isnan(scores.off),
    }
