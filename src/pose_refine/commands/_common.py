"""What several commands share: their options, and words on what was refined."""

import argparse
import re
from typing import TypeAlias

from pose_refine.arguments import believed
from pose_refine.formats import IN_FILES
from pose_refine.poses import Refinement
from pose_refine.skeletons import SKELETONS

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
ARGUMENT = re.compile(r"(?<![\w-])(skeleton|format)=(?!\w|['\"])")  # one that is asked for, not one that was given
VERDICTS = ("moved", "kept", "recovered", "missing")


def add_parser(commands: Commands, name: str, help: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """A command's parser; the epilog keeps its line breaks."""
    return commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_refining_options(parser: argparse.ArgumentParser) -> None:
    """All that commands share which refine POSES and write OUT."""
    add_poses_options(parser)
    add_category_option(parser)
    add_recover_option(parser)
    add_trust_option(parser)
    add_overwrite(parser)
    add_refiner_options(parser)


def add_refiner_options(parser: argparse.ArgumentParser) -> None:
    """--weights, --device, --threads and --no-flip."""
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="small, base, a folder, a hub repository or an .onnx file (default: base)",
    )
    parser.add_argument("--device", help="torch device (default: cuda, else mps, else cpu)")
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="of the processor to use at most (default: all that torch takes)"
    )
    add_flip_option(parser)


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """None unless it is given: as the weights say."""
    parser.add_argument(
        "--trust",
        type=trust,
        metavar="0..1",
        help="how far POSES is believed: 0 counts what is found alone, 1 moves hardly anything "
        "(default: as the weights say, 0.5 unless `fit` found another)",
    )


def trust(text: str) -> float:
    """A --trust, checked."""
    try:
        return believed(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}") from error


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)


def add_flip_option(parser: argparse.ArgumentParser) -> None:
    """None unless it is given: what the weights are made for."""
    parser.add_argument(
        "--no-flip",
        dest="flip",
        action="store_const",
        const=False,
        help="do not look at mirror images too, as base does: 0.6 of the time, less accurate",
    )


def add_poses_options(parser: argparse.ArgumentParser, format: str = "--format") -> None:
    """--format, by this name, and --skeleton: what POSES is, where it does not say."""
    names = ", ".join(IN_FILES)
    parser.add_argument(
        format,
        dest="format",
        choices=IN_FILES,
        metavar="FORMAT",
        help=f"what POSES is: {names} (default: recognised)",
    )
    parser.add_argument(
        "--skeleton",
        choices=sorted(SKELETONS),
        metavar="NAME",
        help=f"which joints POSES has, where it does not say: {', '.join(sorted(SKELETONS))}",
    )


def add_category_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--category",
        metavar="NAME",
        help="name or id of the category of COCO's files whose entries count (default: person)",
    )


def add_recover_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-recover", dest="recover", action="store_false", help="leave missing joints missing")


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def worded(error: Exception) -> str:
    """An error's message with arguments of functions as the command line spells them: skeleton= is --skeleton."""
    return ARGUMENT.sub(r"--\1", str(error))


def counted(result: Refinement) -> dict[str, int]:
    """How many joints got each verdict."""
    return {verdict: int((result.verdict == verdict).sum()) for verdict in VERDICTS}


def summary(result: Refinement) -> str:
    """One line on what changed."""
    joints = ", ".join(f"{n} {verdict}" for verdict, n in counted(result).items() if n)
    return f"{people(len(result.poses))}: {joints or 'nothing to refine'}"


def people(count: int) -> str:
    """The number in words."""
    return "1 person" if count == 1 else f"{count} people"
