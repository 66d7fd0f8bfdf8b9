"""The command line: the parser, what is logged where, and exit codes. The commands are in `pose_refine.commands`."""

import argparse
import logging
import sys
import warnings

import cv2
import torch

from pose_refine import __version__
from pose_refine.commands import _needs as needs
from pose_refine.commands import (
    convert,
    demo,
    errors,
    evaluate,
    export,
    fit,
    folder,
    info,
    publish,
    report,
    run,
    video,
)
from pose_refine.commands._common import worded
from pose_refine.files.opencv import told
from pose_refine.nn.backends import keep_memory

log = logging.getLogger("pose_refine")
COMMANDS = (demo, run, folder, video, report, evaluate, errors, fit, convert, export, publish, info)
EPILOG = """\
`pose-refine COMMAND --help` tells more, with examples. Results of info, evaluate, errors and fit, and of -o -, go to
standard output; all else is said on standard error. Nothing is overwritten without --overwrite.

exit code: 0 all good; 1 bad input, or something failed; 2 bad arguments; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pose-refine",
        description="Corrects what 2D human pose estimators get wrong.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pose-refine {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


def use_threads(count: int | None) -> None:
    """So many at most, where a number is given, in torch, ONNX Runtime (which takes torch's number) and OpenCV."""
    if count is not None:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)


def say(message: Warning | str, *_where: object, **_more: object) -> None:
    """A warning in our own words: who types a command has no use for the line of Python that it comes from."""
    log.warning("pose-refine: warning: %s", message)


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    keep_memory()
    use_threads(getattr(arguments, "threads", None))
    with warnings.catch_warnings():
        warnings.showwarning = say
        return perform(arguments)


def perform(arguments: argparse.Namespace) -> int:
    """Do what was asked for, and say what went wrong; returns the exit code."""
    try:
        needs.check(arguments)
        with told(arguments.command):  # what no other place told better
            code: int = arguments.function(arguments)
    except (OSError, ValueError, TypeError, ImportError) as error:  # an extra that is not installed
        log.error("pose-refine: %s", worded(error))
        return 1
    except KeyboardInterrupt:
        log.error("pose-refine: interrupted")
        return 130
    return code
