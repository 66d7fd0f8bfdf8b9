"""Writes docs/skeletons.md from the package's own tables: python docs/make_skeletons.py"""

import re
from pathlib import Path

import numpy as np

from pose_refine.skeletons import MIDDLES, NETWORK, SKELETONS, Skeleton, convert

PAGE = Path(__file__).with_name("skeletons.md")
INTRO = """\
# Skeletons

This page is written by `python docs/make_skeletons.py`; a test compares it with the tables it comes from.

`refine(image, poses, to="mpii16")` and `pose-refine convert` go by the joint's name. There are three cases:

- **exact**: both skeletons have the joint.
- **computed**: the joint lies in the middle of others, and these are there. Where a skeleton has such a joint of its
  own, that is taken; data sets do not agree to the pixel on where their neck, thorax and pelvis are.
{middles}
- **unknown**: missing (NaN), and so is a computed joint when one of its parts is missing.

Left and right are the person's. After refining more is known: whatever came in, each of the {network} joints of
`network19` has been estimated from the image, and what is computed from them with it. Of the target's joints only those
are unknown then that neither `network19` nor the source has. (With `recover=False` what was missing stays missing.)
"""
JOINTS = """
## Which skeleton knows which joint

A number is the joint's index in that skeleton; `mid`: computed as the middle; empty: unknown. To convert from A to B,
look for B's joints in A's column. The last column says what refining does with the joint: estimates it, moves it along
with the joints it lies between, or leaves it as it came.
"""
COUNTS = """
## From any to any

How many of the target's joints are exact + computed, and how many unknown after the bar. Rows: from; columns: to.
"""


def rows() -> dict[str, list[str]]:
    """Labels of the joints table to the joints they stand for: face and hands have a row each, not one a landmark."""
    out: dict[str, list[str]] = {}
    for joint in dict.fromkeys(j for s in [NETWORK, *SKELETONS.values()] for j in s.joints):
        landmark = re.fullmatch(r"(face|left_hand|right_hand)_\d+", joint)
        out.setdefault(landmark[1] if landmark else joint, []).append(joint)
    return {joints[0] if len(joints) == 1 else f"{k}_0 ... {k}_{len(joints) - 1}": joints for k, joints in out.items()}


def known(source: Skeleton, joint: str) -> str:
    """Index of the joint, "mid", or ""; found by converting a pose."""
    if joint in source.joints:
        return str(source.joints.index(joint))
    pose = np.zeros((1, len(source.joints), 2), dtype=np.float32)
    return "" if np.isnan(convert(pose, source, Skeleton("one", (joint,), ()))).any() else "mid"


def fate(joint: str) -> str:
    return "estimated" if joint in NETWORK.joints else "moved along" if joint in MIDDLES else "left"


def cell(source: Skeleton, joints: list[str]) -> str:
    first, last = known(source, joints[0]), known(source, joints[-1])
    return first if first == last else f"{first}-{last}"


def counts(source: Skeleton, target: Skeleton) -> str:
    found = [known(source, j) for j in target.joints]
    computed, unknown = found.count("mid"), found.count("")
    exact = len(found) - computed - unknown
    return f"{exact}" + (f"+{computed}" if computed else "") + (f" \\| {unknown}" if unknown else "")


def table(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page() -> str:
    """The whole page."""
    skeletons = list(SKELETONS.values())
    names = [s.name for s in skeletons]
    middles = "\n".join(f"  - `{k}`: `{'`, `'.join(parts)}`" for k, parts in MIDDLES.items())
    joints = [[k, *(cell(s, js) for s in skeletons), fate(js[0])] for k, js in rows().items()]
    pairs = [[f"**{a.name}**", *("" if a is b else counts(a, b) for b in skeletons)] for a in skeletons]
    return (
        INTRO.format(middles=middles, network=len(NETWORK.joints))
        + JOINTS + "\n" + table(["joint", *names, "refining"], joints)
        + COUNTS + "\n" + table(["from \\ to", *names], pairs)
    )  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
