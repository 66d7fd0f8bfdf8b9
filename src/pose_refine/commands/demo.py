"""pose-refine demo: two poses on photographs that come along, before and after. The README shows its picture."""

import argparse
import json
import logging
from importlib.resources import files as resources
from pathlib import Path

import numpy as np

from pose_refine import formats, viz
from pose_refine._types import Bytes
from pose_refine.commands._common import Commands, add_overwrite, add_parser, add_refiner_options, summary
from pose_refine.files.images import read_image
from pose_refine.files.pose_files import check_free, encode_picture, write_whole
from pose_refine.poses import Poses
from pose_refine.refiner import Refiner
from pose_refine.skeletons import get_skeleton

log = logging.getLogger("pose_refine")
PICTURE = Path("pose_refine_demo.png")
GAP = 6  # white pixels between the rows of the picture


def add(commands: Commands) -> None:
    parser = add_parser(commands, "demo", "refine two poses on photographs that come along; writes a picture")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PNG", help=f"default: {PICTURE}, which is replaced if it is there"
    )
    add_overwrite(parser)
    add_refiner_options(parser)
    parser.set_defaults(function=demo)


def demo_input(photograph: str, estimator: str) -> tuple[Bytes, Poses]:
    """A photograph that comes along, RGB, and what that estimator found on it, in COCO's joints."""
    folder = resources("pose_refine") / "demo"
    image, _ = read_image(Path(str(folder / f"{photograph}.jpg")), "rgb")
    return image[:, :, ::-1], formats.read(json.loads((folder / f"{estimator}.json").read_text()))


def exchanged(poses: Poses) -> Poses:
    """The same with left and right exchanged, as estimators do now and then."""
    mirror = get_skeleton(poses.skeleton).mirror
    return Poses(poses.keypoints[:, mirror], poses.scores[:, mirror], poses.skeleton)


def demo(arguments: argparse.Namespace) -> int:
    output = arguments.output or PICTURE
    check_free(output, arguments.overwrite or arguments.output is None)  # its own picture may be made again
    refiner = Refiner.from_pretrained(arguments.weights, device=arguments.device, flip=arguments.flip)
    cameraman, found = demo_input("cameraman", "mediapipe")
    astronaut, right = demo_input("astronaut", "movenet_lightning")
    rows: list[Bytes] = []
    for name, image, poses in (
        ("MediaPipe Pose", cameraman, found),
        ("MoveNet Lightning, left and right exchanged on purpose", astronaut, exchanged(right)),
    ):
        result = refiner.analyze(image, poses, recover=False)  # what was claimed is judged; nothing is made up
        log.info("%s: %s", name, summary(result))
        rows.append(viz.side_by_side(image, result.initial, result.poses, signs=bool(rows)))
    gap = np.full((GAP, *rows[0].shape[1:]), 255, np.uint8)
    picture = np.concatenate([rows[0], gap, rows[1]])
    write_whole(output, encode_picture(picture, output.suffix))
    log.info("before (left) and after (right): %s", output)
    return 0
