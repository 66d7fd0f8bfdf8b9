"""quality_mpii.json as tables."""

from typing import Any

from writing import Figures, shown, table

METHODS = {
    "tompson2015": "Tompson et al., CVPR 2015",
    "hourglass1": "hourglass, one stack (PyTorch port)",
    "hourglass2": "hourglass, two stacks (PyTorch port)",
    "hourglass8": "hourglass, eight stacks (PyTorch port)",
    "hourglass8_newell2016": "hourglass, Newell et al., ECCV 2016",
}
WAYS = {
    "before": "before",
    "after": "after",
    "no_pose": "no pose shown",
    "tinypose": "TinyPose again",
    "tinypose_twice": "TinyPose, two looks",
}


def ordered(result: Figures) -> dict[str, Figures]:
    """The worst method first, as in the paper's text; by their names here."""
    methods = sorted(result["methods"].items(), key=lambda item: item[1]["before"]["pckh"])
    return {METHODS.get(name, name): figures for name, figures in methods}


def pair(figures: Figures) -> str:
    return f"{figures['pckh']:.1f} / {figures['auc']:.1f}"


def gained(before: Figures, after: Figures) -> str:
    return f"{after['pckh'] - before['pckh']:+.1f} / {after['auc'] - before['auc']:+.1f}"


def main_table(result: Figures) -> str:
    """PoseRefiner's single-person table, with the paper's row of the nearest start beside each method."""
    head = ["method", "before", "after", "gain", "harm", "@0.1 before", "@0.1 after"]
    rows: list[list[Any]] = []
    for name, f in ordered(result).items():
        old, new = f["before"], f["after"]
        start, end = (dict(zip(("pckh", "auc"), values, strict=True)) for values in f["paper"])
        paper = [pair(start), pair(end), gained(start, end)]
        rows.append([name, pair(old), f"**{pair(new)}**", gained(old, new), f["harm"], old["pckh_fine"],
                     new["pckh_fine"], *paper])  # fmt: skip
    return table([*head, "paper's nearest start", "paper after", "paper's gain"], rows)


def level_table(result: Figures) -> str:
    """The same with the mean shift taken out of the input."""
    rows: list[list[Any]] = []
    for name, f in ordered(result).items():
        old, new = f["level"]["before"], f["level"]["after"]
        shift = ", ".join(f"{v:+.1f}" for v in f["shift"])
        fine = [old["pckh_fine"], new["pckh_fine"]]
        rows.append([name, shift, pair(old), f"**{pair(new)}**", gained(old, new), f["level"]["harm"], *fine])
    return table(["method", "shift x, y", "before", "after", "gain", "harm", "@0.1 before", "@0.1 after"], rows)


def group_table(result: Figures, key: str) -> str:
    methods = ordered(result)
    names = list(next(iter(methods.values()))[key][0])
    rows = [[m, *(f"{f[key][0][g]:.1f} → {f[key][1][g]:.1f}" for g in names)] for m, f in methods.items()]
    return table(["method", *names], rows)


def limb_table(result: Figures) -> str:
    """What one could do instead, harm in brackets."""
    rows = []
    for name, f in ordered(result).items():
        ways = {way: f["limbs"].get(way) for way in WAYS}
        cells = [found and f"{pair(found)}" + (f" ({shown(found['harm'])})" if way != "before" else "")
                 for way, found in ways.items()]  # fmt: skip
        rows.append([name, *cells])
    return table(["method", *WAYS.values()], rows)


def title(result: Figures) -> str:
    """What the main table shows, in a sentence or two."""
    people = max(f["people"] for f in result["methods"].values())
    return (
        f"PoseRefiner's single-person table on MPII, PCKh@0.5 / AUC (14 joints; harm in percent; @0.1: PCKh@0.1), on "
        f"{people} people of MPII's validation list, with the poses that these methods published for them; beside each "
        "the paper's row with the nearest start, which is of other poses and people:"
    )


def page(result: Figures) -> str:
    """What stands between the markers of docs/mpii.md."""
    return "\n\n".join([
        title(result),
        main_table(result),
        "The same with each method's mean shift taken out of its poses first (pixels of the original photographs):",
        level_table(result),
        "By joint group, PCKh@0.5, before → after:",
        group_table(result, "groups"),
        "By joint group, PCKh@0.1, before → after:",
        group_table(result, "groups_fine"),
        "Over the twelve limb joints, PCKh@0.5 / AUC (harm), beside what one could do instead:",
        limb_table(result),
        f"Measured on {result['machine']}. Weights: `{result['sha256'][:12]}`.",
    ])  # fmt: skip
