"""pose-refine info: what weights are, where they were found, and whether they are what they should be."""

import argparse
import sys
from pathlib import Path

from pose_refine.commands._common import Commands, add_parser
from pose_refine.nn import weights
from pose_refine.skeletons import NETWORK

CARD = "README.md"
CARD_LINES = 12
EPILOG = """\
examples:
  pose-refine info                 the weights that come with this package
  pose-refine info base            by name; also a folder, org/name, hf://org/name@revision
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "info", "show what weights are, and check them", EPILOG)
    parser.add_argument(
        "weights", nargs="?", metavar="WEIGHTS", help="base, small, a folder or a hub repository (default: base)"
    )
    parser.set_defaults(function=info)


def info(arguments: argparse.Namespace) -> int:
    """Loads the weights, so that whatever is wrong with them is said."""
    folder = weights.find(arguments.weights)
    model, config = weights.load_source(arguments.weights)
    sizes = {name: (folder / name).stat().st_size for name in (weights.CONFIG, weights.TENSORS)}
    parameters = sum(tensor.numel() for tensor in model.parameters())
    facts = {
        "name": config.name,
        "found in": f"{folder}",
        "trunk": "PP-TinyPose",
        "parameters": f"{parameters / 1e6:.1f} M",
        "views": f"{model.views} of each crop",
        "joints": f"{config.joints}: {', '.join(NETWORK.joints)}",
        "size": f"{sum(sizes.values()) / 1e6:.1f} MB",
        "SHA-256": f"{config.sha256} (verified)",
    }
    lines = [f"{what + ':':12}{fact}" for what, fact in facts.items()] + ["", *card(folder)]
    sys.stdout.write("\n".join(lines).rstrip() + "\n")
    return 0


def card(folder: Path) -> list[str]:
    """The first lines of the model card, without its YAML header."""
    path = folder / CARD
    if not path.is_file():
        return [f"(no model card: {CARD} is not there)"]
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines[:1] == ["---"] and "---" in lines[1:]:
        lines = lines[lines.index("---", 1) + 1 :]
    more = [f"... the rest is in {path}"] if len(lines) > CARD_LINES else []
    return lines[:CARD_LINES] + more
