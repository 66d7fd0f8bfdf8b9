"""pose-refine info: what weights are, where they were found, and whether they are what they should be."""

import argparse
import hashlib
import sys
from pathlib import Path

from pose_refine.commands._common import Commands, add_parser
from pose_refine.nn import weights
from pose_refine.nn.backends import is_exported, usable_device
from pose_refine.nn.onnx_model import OnnxModel
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
    what = "base, small, a folder, a hub repository or an .onnx file (default: base)"
    parser.add_argument("weights", nargs="?", metavar="WEIGHTS", help=what)
    parser.add_argument("--weights", dest="source", metavar="WEIGHTS", help="the same, as other commands have it")
    parser.set_defaults(function=info)


def info(arguments: argparse.Namespace) -> int:
    """Loads the weights, so that whatever is wrong with them is said.

    Raises:
        ValueError: WEIGHTS and --weights both.
    """
    if arguments.weights is not None and arguments.source is not None:
        raise ValueError("WEIGHTS and --weights are the same; give one of them")
    source = arguments.weights or arguments.source
    lines = exported(Path(source)) if is_exported(source) else loaded(source)
    sys.stdout.write("\n".join(lines).rstrip() + "\n")
    return 0


def exported(path: Path) -> list[str]:
    """What a file that `pose-refine export` wrote says of itself."""
    data = path.read_bytes()
    facts = {
        **OnnxModel(data, usable_device("cpu"), str(path)).facts,
        "found in": f"{path}",
        "size": f"{len(data) / 1e6:.1f} MB",
        "SHA-256": f"{hashlib.sha256(data).hexdigest()} (of this file)",
    }
    return told(facts)


def told(facts: dict[str, str]) -> list[str]:
    return [f"{what + ':':12}{fact}" for what, fact in facts.items()]


def loaded(source: str | None) -> list[str]:
    """What a folder of weights says of itself, and the beginning of its card."""
    folder = weights.find(source)
    model, config = weights.load_source(source)
    sizes = {name: (folder / name).stat().st_size for name in (weights.CONFIG, weights.TENSORS)}
    parameters = sum(tensor.numel() for tensor in model.parameters())
    facts = {
        "name": source if source in weights.NAMES else config.name,
        "found in": f"{folder}",
        "trunk": "PP-TinyPose",
        "parameters": f"{parameters / 1e6:.1f} M",
        "views": f"{model.views} of each crop",
        "joints": f"{config.joints}: {', '.join(NETWORK.joints)}",
        "size": f"{sum(sizes.values()) / 1e6:.1f} MB",
        "SHA-256": f"{config.sha256} (verified)",
    }
    return [*told(facts), "", *card(folder)]


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
