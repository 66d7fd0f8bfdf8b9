"""A run's log as a picture: loss, and what the network alone gains on held-out people of each estimator.

    python tests/benchmarks/curves.py weights/small/training.jsonl -o docs/training_small.png

LOG is a run's log.jsonl, as `python -m pose_refine.training train` writes it.
"""

import argparse
import json
from pathlib import Path

from writing import NAMES


def draw(entries: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    steps = [e["step"] for e in entries]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, gain = figure.subplots(1, 2)
    loss.plot(steps, [e["entropy"] for e in entries], marker="o", markersize=3)
    loss.set(title="cross-entropy, mean since the point before", xlabel="step")
    for name in entries[-1]["held_out"]:
        found = [e["held_out"][name] for e in entries]
        gain.plot(steps, [f["after"] - f["before"] for f in found], marker="o", markersize=3, label=NAMES[name])
    gain.axhline(0, color="0.7", linewidth=1)
    gain.set(title="gain in OKS recall, held-out people", xlabel="step")
    gain.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, metavar="LOG")
    parser.add_argument("-o", "--out", type=Path, required=True, help="picture to write")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.log.read_text().splitlines()]
    draw([entry for entry in lines if "step" in entry], arguments.out)


if __name__ == "__main__":
    main()
