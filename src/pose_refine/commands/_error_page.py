"""The page of `pose-refine errors`: a figure with a ring for each joint, scores, the findings in words and numbers."""

import math
from html import escape
from string import Template

from pose_refine import __version__
from pose_refine.commands._error_words import Findings, sentences, spoken, two
from pose_refine.metrics.errors import KINDS, JointErrors, Scores
from pose_refine.skeletons import NETWORK
from pose_refine.viz.report import number, packaged, table

# Where a person who faces the reader has its joints; x from the middle of the picture, of the left side's alone.
_LEFT = {
    "eye": (26, 52), "ear": (56, 62), "shoulder": (62, 136), "elbow": (88, 204), "wrist": (98, 270), "hip": (36, 268),
    "knee": (42, 354), "ankle": (46, 436),
}  # fmt: skip
_MIDDLE = {"nose": (0, 82), "upper_neck": (0, 116), "head_top": (0, 18)}
WIDTH, HEIGHT = 300, 460
RING = 10  # radius
MAGNIFIED = 5  # times: the bias that is drawn
SIZE = 165  # of the figure: the root of its area
CHART, LEFT, BOTTOM = 300, 34, 40  # the chart's side, and room for its labels


def page(title: str, found: Findings) -> str:
    """The whole page; it needs nothing beside itself."""
    return Template(packaged("error_page.html")).substitute(
        style=packaged("page.css"),
        title=escape(title),
        version=escape(__version__),
        tiles=tiles(found),
        words="".join(f"<li>{escape(line)}</li>" for line in sentences(found)),
        body=body(found.joints),
        magnified=MAGNIFIED,
        chart=chart(found.scores),
        caption=caption(found.scores),
        legend="".join(f'<span><i class="{kind}"></i> {kind}</span>' for kind in KINDS),
        joints=joint_table(found),
    )


def tiles(found: Findings) -> str:
    """The figures on top."""
    counts = [("images", f"{found.images:,}"), ("people", f"{found.people:,}")]
    shares = [(kind, f"{found.total.shares[kind]:.1f}<small> %</small>") for kind in KINDS]
    return "".join(f"<div><dt>{what}</dt><dd>{value}</dd></div>" for what, value in counts + shares)


def place_of(joint: str) -> tuple[float, float]:
    """Where the figure has it."""
    if joint in _MIDDLE:
        x, y = _MIDDLE[joint]
        return WIDTH / 2 + x, y
    side, _, name = joint.partition("_")
    x, y = _LEFT[name]
    return WIDTH / 2 + (x if side == "left" else -x), y


def body(joints: list[JointErrors]) -> str:
    """The figure, as SVG."""
    limbs = "".join(line("limb", *place_of(a), *place_of(b)) for a, b in NETWORK.limbs)
    rings = "".join(ring(joint) for joint in joints)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Errors by joint">{limbs}{rings}</svg>'


def line(kind: str, x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def ring(joint: JointErrors) -> str:
    """One joint: its shares around, its bias from the middle."""
    x, y = place_of(joint.name)
    around = 2 * math.pi * RING
    arcs, start = "", 0.0
    for kind in KINDS:
        length = joint.shares[kind] / 100 * around
        arcs += (
            f'<circle class="arc {kind}" cx="{x}" cy="{y}" r="{RING}" transform="rotate(-90 {x} {y})" '
            f'stroke-dasharray="{length:.2f} {around:.2f}" stroke-dashoffset="{-start:.2f}"/>'
        )
        start += length
    far = [0.0 if math.isnan(share) else share / 100 * SIZE * MAGNIFIED for share in joint.of_size]
    named = ", ".join(f"{kind} {joint.shares[kind]:.1f} %" for kind in KINDS if joint.shares[kind])
    return (
        f"<g><title>{escape(spoken(joint.name))}: {named}</title>"
        f'<circle class="ground" cx="{x}" cy="{y}" r="{RING}"/>{arcs}'
        f"{line('arrow', x, y, x + far[0], y + far[1])}</g>"
    )


def chart(scores: Scores) -> str:
    """Share of good joints by score, as SVG: a column a bin, a line where a score that is a probability would be."""
    if not scores.bins:
        return ""
    wide, high = (CHART - LEFT) / len(scores.bins), CHART - BOTTOM
    parts = []
    for share in (0, 50, 100):
        y = 10 + (high - 10) * (1 - share / 100)
        parts.append(line("axis", LEFT, y, CHART, y) + f'<text x="2" y="{y + 4:.0f}">{share} %</text>')
    for n, found in enumerate(scores.bins):
        x, tall = LEFT + n * wide, (high - 10) * found.good / 100
        name = f"{found.count} joints scored {found.low:.2f} to {found.high:.2f}: {found.good:.1f} % good"
        parts.append(
            f'<rect class="column" x="{x + 1:.1f}" y="{high - tall:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}">'
            f"<title>{name}</title></rect>"
        )
        if not math.isnan(scores.off):
            y = high - (high - 10) * found.mean
            parts.append(line("promised", x + 1, y, x + wide - 1, y))
        if n % 2 == 0:
            parts.append(f'<text x="{x:.1f}" y="{high + 16}">{found.low:.2f}</text>')
    parts.append(f'<text x="{LEFT}" y="{CHART - 6}">score of the joint</text>')
    return f'<svg viewBox="0 0 {CHART} {CHART}" role="img" aria-label="Good joints by score">{"".join(parts)}</svg>'


def caption(scores: Scores) -> str:
    if not scores.bins:
        return "The joints have no scores."
    lines = "" if math.isnan(scores.off) else " Lines: their mean score, which a probability of being good would reach."
    return f"Share of good joints by score, in parts of like many joints; numbers: where a part begins.{lines}"


def joint_table(found: Findings) -> str:
    """One row a joint, and all."""
    rows = []
    for joint in (*found.joints, found.total):
        bars = "".join(f'<span class="{kind}" style="width:{joint.shares[kind]:.2f}%"></span>' for kind in KINDS)
        cells = [number(joint.shares[kind], 1) for kind in KINDS]
        bias = [two(joint.bias), two(joint.of_size)]
        name = escape(spoken(joint.name))
        rows.append([name, f'<div class="shares">{bars}</div>', f"{joint.labelled:,}", *cells, *bias])
    return table(["joint", "", "labelled", *KINDS, "bias x, y, px", "in % of size"], rows)
