"""pose-refine run: the poses of one image."""

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np

from pose_refine import viz
from pose_refine.commands._common import (
    Commands,
    add_parser,
    add_refining_options,
    summary,
)
from pose_refine.commands._pipeline import refine_frame
from pose_refine.files.images import read_image
from pose_refine.files.pose_files import STREAM, check_free, encode_picture, encode_poses, read_input, write_whole
from pose_refine.refiner import Refiner
from pose_refine.skeletons import SKELETONS

log = logging.getLogger("pose_refine")
EPILOG = """\
examples:
  pose-refine run photo.jpg photo_keypoints.json -o refined.json --viz before_after.png
  my_estimator photo.jpg | pose-refine run photo.jpg - -o - | my_program
"""
POSES_HELP = "JSON as OpenPose, COCO and others write it, or .npy (N, K, 2 or 3); - is standard input"


def add(commands: Commands) -> None:
    parser = add_parser(commands, "run", "refine the poses of one image", EPILOG)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a photograph; EXIF orientation is applied")
    parser.add_argument("poses", type=Path, metavar="POSES", help=POSES_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="same format as POSES; - is standard output"
    )
    parser.add_argument("--viz", type=Path, metavar="PNG", help="also draw before and after, side by side")
    parser.add_argument(
        "--to", choices=sorted(SKELETONS), metavar="NAME", help="convert the result: nested lists (N, K, 3), or .npy"
    )
    add_refining_options(parser)
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Reads everything and checks the outputs before it computes."""
    data, given = read_input(arguments.poses)
    check_outputs(arguments, given)
    image, _ = read_image(arguments.image, "bgr")
    refiner = Refiner.from_pretrained(arguments.weights, device=arguments.device, flip=arguments.flip)
    out, result = refine_frame(refiner, image, given, arguments, to=arguments.to, category=arguments.category)
    write_whole(arguments.output, encode_poses(out, npy=wants_npy(arguments, given), like=data))
    if arguments.viz:
        picture = viz.side_by_side(image[:, :, ::-1], result.initial, result.poses)
        write_whole(arguments.viz, encode_picture(picture, arguments.viz.suffix))
    log.info("%s -> %s", summary(result), "standard output" if arguments.output == STREAM else arguments.output)
    return 0


def wants_npy(arguments: argparse.Namespace, given: Any) -> bool:
    """By the name of the output; to standard output, what came in."""
    if arguments.output == STREAM:
        return isinstance(given, np.ndarray)
    return bool(arguments.output.suffix == ".npy")


def check_outputs(arguments: argparse.Namespace, given: Any) -> None:
    """Refuse early what could not be written late.

    Raises:
        FileExistsError: A file is there already and may not be replaced.
        ValueError: Two outputs in one file, or a kind of file that does not fit.
    """
    for path in filter(None, (arguments.output, arguments.viz)):
        check_free(path, arguments.overwrite)
    if wants_npy(arguments, given) and not (arguments.to or isinstance(given, np.ndarray)):
        raise ValueError("a .npy output needs .npy poses, or --to")
    if arguments.viz:
        encode_picture(np.zeros((1, 1, 3), np.uint8), arguments.viz.suffix)
        if arguments.viz.resolve() == arguments.output.resolve():
            raise ValueError("--viz and -o name the same file")
