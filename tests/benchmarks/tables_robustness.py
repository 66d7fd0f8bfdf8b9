"""robustness.json as tables."""

from collections.abc import Callable
from typing import Any

from writing import NAMES, Figures, table, with_harm

KINDS = {
    "corner": "at (1, 1)",
    "anywhere": "at a drawn place of the image",
    "another": "on the same joint of another person",
}


def wrong_table(estimators: dict[str, Figures]) -> str:
    """Others' recall and harm with some joints missing, and with them wrong."""
    kinds = {f"{k} {n}": f"{n} {title}" for k, title in KINDS.items() for n in (1, 2, 3)}
    kinds |= {"exchanged": "half on the nearest person's"}
    rows: list[list[Any]] = []
    for key, title in kinds.items():
        for name, f in estimators.items():
            missing, wrong = f["wrong"][key]["missing"], f["wrong"][key]["wrong"]
            difference = f"{wrong['after'] - missing['after']:+.1f}"
            rows.append(
                [title, name, wrong["people"], wrong["before"], with_harm(missing), with_harm(wrong), difference]
            )
    return table(["joints", "estimator", "n", "others before", "if missing", "if wrong", "difference"], rows)


def turned_table(estimators: dict[str, Figures]) -> str:
    angles = list(next(iter(estimators.values()))["turned"])
    rows = []
    for name, f in estimators.items():
        upright = f["came"]["after"] - f["came"]["before"]
        cells = []
        for angle in angles:
            part = (f["turned"][angle]["after"] - f["came"]["before"]) / upright if upright else float("nan")
            cells.append(f"{with_harm(f['turned'][angle])}, {100 * part:.0f} %")
        rows.append([name, f["came"]["people"], f["came"]["before"], with_harm(f["came"]), *cells])
    return table(["estimator", "n", "before", "upright", *(f"{angle}°" for angle in angles)], rows)


def shrunk_table(estimators: dict[str, Figures]) -> str:
    sizes = list(next(iter(estimators.values()))["shrunk"])
    rows = []
    for name, f in estimators.items():
        found = [f["shrunk"][size] for size in sizes]
        cells = [f"{s['oks_after']:.3f} ({s['oks_after'] - s['oks_before']:+.3f}), {s['harm']:.1f}" for s in found]
        rows.append([name, found[0]["people"], f"{found[0]['oks_before']:.3f}", *cells])
    return table(["estimator", "n", "before", *(f"{size} px" for size in sizes)], rows)


def limb_table(estimators: dict[str, Figures]) -> str:
    rows: list[list[Any]] = []
    for name, f in estimators.items():
        cells = [c for k in ("apart", "one") for c in (f["limbs"][k][x] for x in ("pairs", "before", "after"))]
        missing, score = f["limbs"]["missing"]["after"], f["limbs"]["missing"]["score"]
        rows.append([name, *cells, missing, None if score is None else f"{score:.2f}"])
    head = ["estimator", "pairs that are apart", "before", "after", "pairs of which one is labelled", "before", "after"]
    return table([*head, "after, the other missing", "its score then"], rows)


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Figures]], str]]] = {
    "wrong": (
        "Some of each person's joints wrong: recall (harm) of the other joints, with those joints missing, and with "
        "them wrong:",
        wrong_table,
    ),
    "turned": (
        "Images and poses turned: recall (harm) after, and what part of the upright gain is left:",
        turned_table,
    ),
    "shrunk": ("People shrunk: mean OKS after (change), harm:", shrunk_table),
    "limbs": ("Percent of left/right pairs of arms and legs that come out in one place:", limb_table),
}


def page(result: Figures) -> str:
    """What stands between the markers of docs/robustness.md: the sections that were measured."""
    found = sorted(result["estimators"].items(), key=lambda item: -item[1].get("came", {"before": 0})["before"])
    estimators = {NAMES.get(name, name): figures for name, figures in found}
    parts = []
    for key, (title, section) in SECTIONS.items():
        if all(key in f and ("came" in f or key != "turned") for f in estimators.values()):
            parts += [title, section(estimators)]
    images = f"The first {result['limit']} images. " if result["limit"] else ""
    return "\n\n".join([
        *parts,
        f"{images}Flip test: {result['flip']}. Measured on {result['machine']}. Weights: `{result['sha256'][:12]}`.",
    ])  # fmt: skip
