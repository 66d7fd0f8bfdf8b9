"""pose-refine demo: two poses on a photograph that comes along, before and after."""

import argparse
import json
import logging
from importlib.resources import files as resources
from pathlib import Path

import numpy as np

from pose_refine import formats, viz
from pose_refine._types import Bytes, Floats
from pose_refine.commands.common import Commands, add_overwrite, add_parser, add_refiner_options, summary
from pose_refine.files import check_free, encode_picture, write_whole
from pose_refine.images import read_image
from pose_refine.poses import Poses
from pose_refine.refiner import Refiner
from pose_refine.skeletons import get_skeleton

log = logging.getLogger("pose_refine")
GAP = 6  # white pixels between the rows of the picture


def add(commands: Commands) -> None:
    parser = add_parser(commands, "demo", "refine two poses on a photograph that comes along; writes a picture")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("pose_refine_demo.png"), metavar="PNG", help="default: %(default)s"
    )
    add_overwrite(parser)
    add_refiner_options(parser)
    parser.set_defaults(function=demo)


def demo_inputs() -> tuple[Bytes, Poses, Poses]:
    """The photograph, MoveNet Lightning's pose on it, and the same with left and right exchanged."""
    folder = resources("pose_refine") / "demo"
    image, _ = read_image(Path(str(folder / "astronaut.jpg")), "rgb")
    results = json.loads((folder / "movenet_lightning.json").read_text())
    poses = formats.read(results)
    mirror = get_skeleton(poses.skeleton).mirror
    swapped: Floats = poses.keypoints[:, mirror]
    return image[:, :, ::-1], poses, Poses(swapped, poses.scores[:, mirror], poses.skeleton)


def demo(arguments: argparse.Namespace) -> int:
    check_free(arguments.output, arguments.overwrite)
    refiner = Refiner.from_pretrained(arguments.weights, device=arguments.device)
    image, *inputs = demo_inputs()
    rows = []
    for name, poses in zip(("MoveNet Lightning", "left and right exchanged"), inputs, strict=True):
        result = refiner.analyze(image, poses)
        log.info("%s: %s", name, summary(result))
        rows.append(viz.side_by_side(image, result.initial, result.poses))
    gap = np.full((GAP, *rows[0].shape[1:]), 255, np.uint8)
    picture = np.concatenate([rows[0], gap, rows[1]])
    write_whole(arguments.output, encode_picture(picture, arguments.output.suffix))
    log.info("before (left) and after (right): %s", arguments.output)
    return 0
