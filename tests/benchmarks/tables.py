"""The figures as tables, in README.md, the model cards and docs/: python tests/benchmarks/tables.py"""

import json
import math
from pathlib import Path
from typing import Any

import tables_mpii
import tables_robustness
from writing import NAMES, Figures, between_markers, table, with_harm

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEFAULT = "base"
QUALITY = {"base": HERE / "quality.json"}
MPII = {"base": HERE / "quality_mpii.json"}
ROBUSTNESS = HERE / "robustness.json"  # of the default weights
TRUST = HERE / "trust.json"
CARD = {name: ROOT / "weights" / name / "README.md" for name in QUALITY}
README, FIGURES, PICTURE = ROOT / "README.md", ROOT / "docs/figures.md", ROOT / "docs/calibration.png"
# What a user could do instead, and its column.
ALTERNATIVES = {
    "no_pose": "no pose shown",
    "tinypose": "TinyPose again",
    "tinypose_twice": "TinyPose, two looks",
}
SETS = {"coco": "COCO", "lsp": "LSP"}
INTRODUCTION = """\
OKS recall (mean over thresholds .50:.05:.95, percent) on {people}, on photographs that were not trained on. What
they had a say in, tests/benchmarks/experiments.md names at its top. The poses were predicted on the ground-truth box by
estimators that ran on the training images too; the refiner gets the poses alone. Area = 0.53 x box area."""
PEOPLE = {
    "coco": "{} people of COCO val2017",
    "lsp": "{} of Leeds Sports Pose extended (twelve limb joints, crowd-sourced labels)",
}


def ordered(estimators: dict[str, Figures]) -> dict[str, Figures]:
    """The best estimator first."""
    return dict(sorted(estimators.items(), key=lambda item: -item[1]["all"]["before"]))


def calibration_error(curve: list[list[float]]) -> float:
    """Expected calibration error, percent (Guo et al., ICML 2017)."""
    return float(100 * sum(weight * abs(score - right) for weight, score, right in curve))


def error_by_chance(curve: list[list[float]], joints: int) -> float:
    """The expected calibration error, percent, that `joints` joints would show if every score were right: the mean
    deviation of a share of n, by the normal distribution, sqrt(2 p (1 - p) / (pi n)) in each bin."""
    return sum(
        100 * weight * math.sqrt(2 * score * (1 - score) / (math.pi * weight * joints)) for weight, score, _ in curve
    )


def main_table(result: Figures) -> str:
    """What comes out, beside what its user could do instead, with the harm that does in brackets."""
    rows = []
    for name, estimators in result["sets"].items():
        for e, f in ordered(estimators).items():
            a, instead = f["all"], [with_harm(f.get(other)) for other in ALTERNATIVES]
            rows.append([SETS[name], NAMES.get(e, e), a["before"], f"**{a['after']:.1f}**", a["harm"], a["loosen"],
                         f"{f['looks']:.2f}", *instead])  # fmt: skip
    return table(["set", "estimator", "before", "after", "harm", "loosen", "looks", *ALTERNATIVES.values()], rows)


def more_table(result: Figures) -> str:
    """What else is told of the same poses."""
    head = ["set", "estimator", "help", "ECE", "recovered: were right", "recovered: right"]
    rows = []
    for name, estimators in result["sets"].items():
        for e, f in ordered(estimators).items():
            recovered = [f.get("recovery", {}).get(x) for x in ("were_right", "right")]
            calibration = calibration_error(f["reliability"][1])
            rows.append([SETS[name], NAMES.get(e, e), f["all"]["help"], calibration, *recovered])
    return "What helps, recovered joints, and scores:\n\n" + table(head, rows)


def pooled(estimators: dict[str, Figures], part: str) -> list[list[Any]]:
    """Means over the estimators of the figures by joint or by kind of person."""
    columns = ("before", "after") if part == "people" else ("right_before", "right_after")
    rows = []
    for kind in next(iter(estimators.values()))[part]:
        found = [f[part][kind] for f in estimators.values() if kind in f[part]]
        mean = {c: sum(f[c] for f in found) / len(found) for c in (*columns, "harm", "loosen", "help")}
        count = [max(f["people"] for f in found)]
        rows.append([kind, *count, *mean.values()])
    return rows


def breakdown_tables(result: Figures) -> list[str]:
    coco, change = result["sets"]["coco"], ["before", "after", "harm", "loosen", "help"]
    count = f"mean of the {len(coco)} estimators"
    return [
        f"By kind of person, recall, {count}:\n\n" + table(["people", "n", *change], pooled(coco, "people")),
        f"By joint, share of joints within their OKS-.85 radius, {count}:\n\n"
        + table(["joints", "n people", *change], pooled(coco, "joints")),
    ]


def error_table(result: Figures) -> str:
    coco = ordered(result["sets"]["coco"])
    kinds = list(next(iter(coco.values()))["errors"][0])
    rows = [
        [NAMES.get(e, e), *(f"{f['errors'][0][k]:.1f} → {f['errors'][1][k]:.1f}" for k in kinds)]
        for e, f in coco.items()
    ]
    return "Share of joints by kind of error, before → after:\n\n" + table(["estimator", *kinds], rows)


def score_table(result: Figures) -> str:
    rows = []
    for e, f in ordered(result["sets"]["coco"]).items():
        errors: list[Any] = [calibration_error(c) for c in f["reliability"]]
        if recovered := f.get("recovery"):
            curve = recovered["reliability"]
            errors += [calibration_error(curve), recovered["joints"], error_by_chance(curve, recovered["joints"])]
        else:
            errors += [None, None, None]
        rows.append([NAMES.get(e, e), *(float(v) for v in f["ap"].values()), *errors])
    head = ["estimator", "AP before", "AP after, scores as given", "AP after, our scores", "ECE of its scores"]
    return "OKS AP (pycocotools) and calibration:\n\n" + table(
        [*head, "ECE of ours", "ECE of ours, recovered joints", "n of these", "by chance alone"], rows
    )


def perfect_table(result: Figures) -> list[str]:
    """Nothing where it was not measured."""
    if "perfect" not in result:
        return []
    rows = [
        [str(i), p["after"], p["harm"], p["loosen"], f"{p['median_shift']:.2f}"]
        for i, p in enumerate(result["perfect"], 1)
    ]
    head = ["times refined", "recall", "harm", "loosen", "median shift"]
    return ["Ground truth as input:\n\n" + table(head, rows)]


def paper_tables(result: Figures) -> list[str]:
    """Rows of the papers' tables that the surest people of an estimator start from; none of a result without them."""
    rows: dict[str, list[list[Any]]] = {}
    for name, estimators in result["sets"].items():
        reached = [(r, NAMES.get(e, e)) for e, f in ordered(estimators).items() for r in f.get("paper", ())]
        reached.sort(key=lambda item: item[0]["paper"][0])
        rows[name] = [[*map(both, r["paper"]), e, r["people"], *map(both, r["ours"])] for r, e in reached]
    head = ["paper before", "paper after", "estimator", "n people", "ours before", "ours after"]
    fix = "PoseFix's table, OKS AP, from the people of COCO of whom each estimator is surest:"
    refiner = "PoseRefiner's table, PCKh@0.5 / AUC, from the people of LSP of whom each estimator is surest:"
    tables = (("coco", fix, [*head, "ours after, scores as given"]), ("lsp", refiner, head))
    return [f"{title}\n\n{table(columns, rows[name])}" for name, title, columns in tables if rows.get(name)]


def both(value: float | list[float]) -> str:
    return " / ".join(f"{v:.1f}" for v in value) if isinstance(value, list) else f"{value:.1f}"


def all_tables(result: Figures) -> list[str]:
    return [main_table(result), *paper_tables(result), *detail_tables(result)]


def detail_tables(result: Figures) -> list[str]:
    coco = [*breakdown_tables(result), error_table(result), score_table(result)] if "coco" in result["sets"] else []
    return [more_table(result), *coco, *perfect_table(result)]


def short(result: Figures) -> str:
    """What stands between the markers of README.md; the weights that it was measured with are named by their hash."""
    rows = []
    for name, estimators in result["sets"].items():
        for e, f in ordered(estimators).items():
            a, whose = f["all"], NAMES.get(e, e) + ", Leeds" * (name == "lsp")
            rows.append([whose, a["before"], f"**{a['after']:.1f}**", a["harm"], with_harm(f.get("tinypose_twice"))])
    head = ["estimator", "before", "after", "harm", "TinyPose again"]
    people = (
        "OKS recall, percent, on photographs that were not trained on\n"
        "(661 people of COCO val2017, 471 of Leeds Sports):"
    )
    return "\n\n".join([people, table(head, rows), source(result)])


def block(result: Figures, mpii: Figures | None) -> str:
    """What stands between the markers of docs/figures.md."""
    return "\n\n".join([
        introduction(result),
        main_table(result),
        *mpii_table(mpii),
        *paper_tables(result),
        *detail_tables(result),
        f"![Reliability of the scores]({PICTURE.name})",
        source(result),
    ])  # fmt: skip


def card(result: Figures, mpii: Figures | None) -> str:
    """What stands between the markers of the model card."""
    details = more_table(result), score_table(result), *perfect_table(result)
    return "\n\n".join([introduction(result), main_table(result), *mpii_table(mpii), *details, source(result)])


def mpii_table(mpii: Figures | None) -> list[str]:
    """PoseRefiner's table; nothing where it was not measured."""
    return [] if mpii is None else [tables_mpii.title(mpii), tables_mpii.main_table(mpii)]


def trust_page(result: Figures) -> str:
    """What stands between the markers of docs/trust.md."""
    found = result["estimators"]
    trusts = list(next(iter(found.values())))
    best_first = sorted(found.items(), key=lambda item: -item[1][trusts[0]]["before"])
    rows = [[NAMES.get(e, e), f[trusts[0]]["before"], *(with_harm(f[t]) for t in trusts)] for e, f in best_first]
    people = max(f[trusts[0]]["people"] for f in found.values())
    title = f"OKS recall, harm in brackets, percent; {people} people of the first {result['limit']} images of COCO dev:"
    return "\n\n".join([title, table(["estimator", "before", *(f"trust {t}" for t in trusts)], rows), source(result)])


def introduction(result: Figures) -> str:
    n = {name: max(f["all"]["people"] for f in estimators.values()) for name, estimators in result["sets"].items()}
    return INTRODUCTION.format(people=" and ".join(PEOPLE[name].format(count) for name, count in n.items()))


def source(result: Figures) -> str:
    return f"Measured on {result['machine']}. Weights: `{result['sha256'][:12]}`."


def picture(result: Figures, path: Path) -> None:
    """Reliability of the scores as they came and as they leave, all estimators on COCO."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, which, title in zip(
        axes, (0, 1), ("scores as the estimators give them", "scores of pose_refine"), strict=True
    ):
        axis.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
        for e, f in ordered(result["sets"]["coco"]).items():
            _, scores, right = zip(*f["reliability"][which], strict=True)
            axis.plot(scores, right, marker="o", markersize=3, label=NAMES.get(e, e))
        axis.set(title=title, xlabel="score", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share of joints within the OKS-.85 radius")
    axes[1].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def pages() -> list[tuple[Path, str]]:
    """Where tables stand between markers, and what belongs there: README.md has those of the default weights. What was
    not measured with these weights has no page."""
    results = {name: json.loads(path.read_text()) for name, path in QUALITY.items()}
    mpii = {name: measured(path) for name, path in MPII.items()}
    out = [(README, short(results[DEFAULT])), (FIGURES, block(results[DEFAULT], mpii[DEFAULT]))]
    out += [(CARD[name], card(result, mpii[name])) for name, result in results.items()]
    for page, result, content in (
        ("mpii.md", mpii[DEFAULT], tables_mpii.page),
        ("robustness.md", measured(ROBUSTNESS), tables_robustness.page),
        ("trust.md", measured(TRUST), trust_page),
    ):
        out += [(ROOT / "docs" / page, content(result))] if result is not None else []
    return out


def measured(path: Path) -> Figures | None:
    return json.loads(path.read_text()) if path.exists() else None


def write() -> None:
    """README.md's block, the model cards', the pages' in docs/, and the calibration picture."""
    for page, content in pages():
        page.write_text(between_markers(page.read_text(encoding="utf-8"), content), encoding="utf-8")
    picture(json.loads(QUALITY[DEFAULT].read_text()), PICTURE)


if __name__ == "__main__":
    write()
