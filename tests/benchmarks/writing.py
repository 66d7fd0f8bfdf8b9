"""Figures as JSON and Markdown, and pages that carry tables between two markers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: written by tests/benchmarks/tables.py -->", "<!-- end of figures -->"
NAMES = {
    "tinypose_v1": "PP-TinyPose, 2021",
    "tinypose_v2": "PP-TinyPose, 2022",
    "movenet_thunder": "MoveNet Thunder",
    "movenet_lightning": "MoveNet Lightning",
    "openpose_light_omz0001": "OpenPose light (OMZ 0001, int8)",
    "blazepose_full": "BlazePose full",
    "posenet": "PoseNet MobileNetV1",
    "mobile_hourglass": "small stacked hourglass",
}
PARTIAL = ".partial.json"  # in place of an output's ending: figures of a run on its way
Figures = dict[str, Any]


class Progress:
    """Figures of a long run, written as they come, so that an interrupted run goes on.

    Args:
        out: Where the whole result will be written; figures on their way lie beside it, in NAME.partial.json.
        about: What they depend on; figures that were measured otherwise are not taken over.
    """

    def __init__(self, out: Path, about: Figures) -> None:
        self.path, self.about = out.with_suffix(PARTIAL), about
        kept = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.figures: Figures = kept["figures"] if kept.get("about") == about else {}

    def measured(self, key: str, measure: Callable[[], Any]) -> Any:
        """The figures of that name: those of the run before, or else what `measure` gives."""
        if key not in self.figures:
            self.figures[key] = rounded(measure())
            written = self.path.with_suffix(".new")
            written.write_text(json.dumps({"about": self.about, "figures": self.figures}, indent=1) + "\n")
            written.replace(self.path)  # at once: what an interruption leaves can be read
        return self.figures[key]


def rounded(value: Any) -> Any:
    """Floats to four digits after the point, however deep."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Markdown; floats with one digit, what was not measured (None) as a dash, and no column where nothing was."""
    columns = [n for n in range(len(head)) if not rows or any(row[n] is not None for row in rows)]
    cells = [[shown(row[n]) for n in columns] for row in rows]
    lines = [[head[n] for n in columns], ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: Any) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def chosen(names: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Those of the names that are wanted; None for all."""
    return [name for name in names if wanted is None or name in wanted]


def with_harm(figures: Figures | None) -> str | None:
    """Recall afterwards, and harm in brackets."""
    return None if figures is None else f"{figures['after']:.1f} ({figures['harm']:.1f})"


def between_markers(text: str, content: str, begin: str = BEGIN, end: str = END) -> str:
    """`text` with `content` between the markers.

    Raises:
        ValueError: They are not there, once each.
    """
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"expected one {begin!r} and one {end!r}")
    return text.split(begin)[0] + f"{begin}\n\n{content}\n\n{end}" + text.split(end)[1]
