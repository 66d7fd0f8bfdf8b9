"""quality.json as tables, and the tables in README.md and the model cards: python tests/benchmarks/tables.py"""

import json
import math
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = "base"
QUALITY = {"base": Path(__file__).with_name("quality.json"), "small": Path(__file__).with_name("quality_small.json")}
CARD = {name: ROOT / "weights" / name / "README.md" for name in QUALITY}
README, PICTURE = ROOT / "README.md", ROOT / "docs/calibration.png"
BEGIN, END = "<!-- figures: written by tests/benchmarks/tables.py -->", "<!-- end of figures -->"
NAMES = {
    "movenet_thunder": "MoveNet Thunder",
    "movenet_lightning": "MoveNet Lightning",
    "openpose_light_omz0001": "OpenPose light (OMZ 0001, int8)",
    "blazepose_full": "BlazePose full",
    "posenet": "PoseNet MobileNetV1",
    "mobile_hourglass": "small stacked hourglass",
}
ALTERNATIVES = ("no_pose", "no_pose_twice", "again")  # what a user could do instead
SETS = {"coco": "COCO", "lsp": "LSP"}
Figures = dict[str, Any]
INTRODUCTION = """\
OKS recall (mean over thresholds .50:.05:.95, percent) on {coco} people of COCO val2017 and {lsp} of Leeds Sports Pose
extended (twelve limb joints, crowd-sourced labels), on photographs that were neither trained on nor used to choose
(two choices apart: tests/benchmarks/experiments.md). The poses were predicted on the ground-truth box by estimators
that ran on the training images too; the refiner gets the poses alone. Area = 0.53 x box area."""


def rounded(value: Any) -> Any:
    """Floats to four digits after the point, however deep."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Markdown; floats with one digit."""
    cells = [[f"{c:.1f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
    """What comes out, beside what its user could do instead."""
    head = ["set", "estimator", "before", "after", "harm", "loosen", "looks", "no pose shown", "no pose, two looks"]
    rows = []
    for name, estimators in result["sets"].items():
        for e, f in ordered(estimators).items():
            a, instead = f["all"], [f[other]["after"] for other in ALTERNATIVES]
            rows.append([SETS[name], NAMES.get(e, e), a["before"], f"**{a['after']:.1f}**", a["harm"], a["loosen"],
                         f"{f['looks']:.2f}", *instead])  # fmt: skip
    return table([*head, "Thunder run again"], rows)


def more_table(result: Figures) -> str:
    """What else is told of the same poses."""
    head = ["set", "estimator", "help", "ECE", "recovered: were right", "recovered: right", "harm: no pose shown"]
    rows = []
    for name, estimators in result["sets"].items():
        for e, f in ordered(estimators).items():
            recovered = [f["recovery"][x] for x in ("were_right", "right")]
            harm = [f[other]["harm"] for other in ALTERNATIVES]
            calibration = calibration_error(f["reliability"][1])
            rows.append([SETS[name], NAMES.get(e, e), f["all"]["help"], calibration, *recovered, *harm])
    more = table([*head, "harm: no pose, two looks", "harm: Thunder run again"], rows)
    return "What helps, recovered joints, scores, and what the others harm:\n\n" + more


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
    return [
        "By kind of person, recall, mean of the six estimators:\n\n"
        + table(["people", "n", *change], pooled(coco, "people")),
        "By joint, share of joints within their OKS-.85 radius, mean of the six estimators:\n\n"
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
        recovered = f["recovery"]
        errors = [calibration_error(c) for c in (*f["reliability"], recovered["reliability"])]
        chance = error_by_chance(recovered["reliability"], recovered["joints"])
        rows.append([NAMES.get(e, e), *(float(v) for v in f["ap"].values()), *errors, recovered["joints"], chance])
    head = ["estimator", "AP before", "AP after, scores as given", "AP after, our scores", "ECE of its scores"]
    return "OKS AP (pycocotools) and calibration:\n\n" + table(
        [*head, "ECE of ours", "ECE of ours, recovered joints", "n of these", "by chance alone"], rows
    )


def perfect_table(result: Figures) -> str:
    rows = [
        [str(i), p["after"], p["harm"], p["loosen"], f"{p['median_shift']:.2f}"]
        for i, p in enumerate(result["perfect"], 1)
    ]
    return "Ground truth as input:\n\n" + table(["times refined", "recall", "harm", "loosen", "median shift"], rows)


def paper_tables(result: Figures) -> list[str]:
    def both(pair: list[float]) -> str:
        return f"{pair[0]:.1f} / {pair[1]:.1f}"

    refiner = [
        [both(r["paper"][0]), both(r["paper"][1]), *map(both, r["ours"]), f"{r['factor']:.2f}"]
        for r in result["poserefiner"]
    ]
    fix = [[*map(float, r["paper"]), *map(float, r["ours"]), f"{r['factor']:.2f}"] for r in result["posefix"]]
    ours = ["paper before", "paper after", "ours before", "ours after"]
    worse = sum(after[0] < before[0] for before, after in (r["ours"] for r in result["poserefiner"]))
    return [
        "PoseRefiner's single-person table, PCKh@0.5 / AUC, on LSP's rough labels, errors scaled down (last column).\n"
        f"**Measured so, ours gets worse in {worse} of {len(refiner)} rows** (why: below):\n\n"
        + table([*ours, "errors x"], refiner),
        "PoseFix's table, OKS AP:\n\n" + table([*ours, "ours after, scores as given", "errors x"], fix),
    ]


def all_tables(result: Figures) -> list[str]:
    return [main_table(result), more_table(result), *breakdown_tables(result), error_table(result), score_table(result),
            perfect_table(result), *paper_tables(result)]  # fmt: skip


def block(result: Figures) -> str:
    """What stands between the markers of README.md; the weights that it was measured with are named by their hash."""
    first, *details, refiner, fix = all_tables(result)
    return "\n\n".join([
        introduction(result),
        first,
        refiner,
        fix,
        "<details><summary>More: help, recovered joints, scores, by person, joint and error, perfect input</summary>",
        *details,
        f"![Reliability of the scores](docs/{PICTURE.name})",
        "</details>",
        source(result),
    ])  # fmt: skip


def card(result: Figures) -> str:
    """What stands between the markers of the model card."""
    tables = main_table(result), more_table(result), score_table(result), perfect_table(result)
    return "\n\n".join([introduction(result), *tables, source(result)])


def introduction(result: Figures) -> str:
    n = {name: max(f["all"]["people"] for f in estimators.values()) for name, estimators in result["sets"].items()}
    return INTRODUCTION.format(**n)


def source(result: Figures) -> str:
    return f"Measured on {result['machine']}. Weights: `{result['sha256'][:12]}`."


def between_markers(text: str, content: str, begin: str = BEGIN, end: str = END) -> str:
    """`text` with `content` between the markers.

    Raises:
        ValueError: They are not there, once each.
    """
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"expected one {begin!r} and one {end!r}")
    return text.split(begin)[0] + f"{begin}\n\n{content}\n\n{end}" + text.split(end)[1]


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
    """Where tables stand between markers, and what belongs there: README.md has those of the default weights."""
    results = {name: json.loads(path.read_text()) for name, path in QUALITY.items()}
    return [(README, block(results[DEFAULT])), *((CARD[name], card(result)) for name, result in results.items())]


def write() -> None:
    """README.md's block, the model cards', and the calibration picture."""
    for page, content in pages():
        page.write_text(between_markers(page.read_text(encoding="utf-8"), content), encoding="utf-8")
    picture(json.loads(QUALITY[DEFAULT].read_text()), PICTURE)


if __name__ == "__main__":
    write()
