"""The command line: pose-refine demo, pose-refine run."""

import argparse
import io
import json
import logging
import sys
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np

from pose_refine import __version__, formats, viz
from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.files import check_free, encode_picture, encode_poses, read_poses, write_whole
from pose_refine.images import read_image
from pose_refine.poses import Poses, Refinement
from pose_refine.refiner import Refiner, hand_back
from pose_refine.skeletons import SKELETONS, get_skeleton

log = logging.getLogger("pose_refine")
GAP = 6  # white pixels between the rows of the demo's picture
EPILOG = """\
examples:
  pose-refine demo -o demo.png
  pose-refine run photo.jpg photo_keypoints.json -o refined.json --viz before_after.png
"""
POSES_HELP = "OpenPose JSON (BODY_25, COCO-18, MPI-15), COCO results JSON of one image, or .npy (N, K, 2 or 3)"


def build_parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="pose-refine",
        description="Corrects what 2D human pose estimators get wrong.",
        epilog=EPILOG,
        formatter_class=layout,
    )
    parser.add_argument("--version", action="version", version=f"pose-refine {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="refine two poses on a photograph that comes along; writes a picture")
    demo.add_argument("-o", "--output", type=Path, default=Path("pose_refine_demo.png"), help="default: %(default)s")
    run = commands.add_parser("run", help="refine the poses of one image", epilog=EPILOG, formatter_class=layout)
    run.add_argument("image", type=Path, metavar="IMAGE", help="a photograph; EXIF orientation is applied")
    run.add_argument("poses", type=Path, metavar="POSES", help=POSES_HELP)
    run.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="same format as POSES")
    run.add_argument("--viz", type=Path, metavar="PNG", help="also draw before and after, side by side")
    run.add_argument("--skeleton", choices=sorted(SKELETONS), help="which joints POSES has, where it does not say")
    run.add_argument("--to", choices=sorted(SKELETONS), help="convert the result: nested lists (N, K, 3) or .npy")
    run.add_argument("--no-recover", dest="recover", action="store_false", help="leave missing joints missing")
    for command in (demo, run):
        command.add_argument("--weights", metavar="SOURCE", help="folder, name or hub repository (default: embedded)")
        command.add_argument("--device", help="torch device (default: cuda, else mps, else cpu)")
        command.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """pose-refine run: reads everything and checks the outputs before it computes."""
    given = formats.load(read_poses(arguments.poses))
    check_outputs(arguments, given)
    refiner = Refiner.from_pretrained(arguments.weights, device=arguments.device)
    result = refiner.analyze(
        arguments.image, given, skeleton=arguments.skeleton, to=arguments.to, recover=arguments.recover
    )
    out = hand_back(result.poses, given, arguments.to)
    write_whole(arguments.output, as_npy(out) if arguments.output.suffix == ".npy" else encode_poses(out))
    if arguments.viz:
        bgr, _ = read_image(arguments.image, "bgr")
        picture = viz.side_by_side(bgr[:, :, ::-1], result.initial, result.poses)
        write_whole(arguments.viz, encode_picture(picture, arguments.viz.suffix))
    log.info("%s -> %s", summary(result), arguments.output)


def check_outputs(arguments: argparse.Namespace, given: Any) -> None:
    """Refuse early what could not be written late.

    Raises:
        FileExistsError: A file is there already and may not be replaced.
        ValueError: Two outputs in one file, or a kind of file that does not fit.
    """
    for path in filter(None, (arguments.output, arguments.viz)):
        check_free(path, arguments.overwrite)
    if arguments.output.suffix == ".npy" and not (arguments.to or isinstance(given, np.ndarray)):
        raise ValueError("a .npy output needs .npy poses, or --to")
    if arguments.viz:
        encode_picture(np.zeros((1, 1, 3), np.uint8), arguments.viz.suffix)
        if arguments.viz.resolve() == arguments.output.resolve():
            raise ValueError("--viz and -o name the same file")


def as_npy(poses: AnyArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, poses)
    return buffer.getvalue()


def summary(result: Refinement) -> str:
    """One line on what changed."""
    counts = {v: int((result.verdict == v).sum()) for v in ("moved", "kept", "recovered", "missing")}
    joints = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    return f"{len(result.poses)} people: {joints or 'nothing to refine'}"


def demo_inputs() -> tuple[Bytes, Poses, Poses]:
    """The photograph, MoveNet Lightning's pose on it, and the same with left and right exchanged."""
    folder = resources("pose_refine") / "demo"
    image, _ = read_image(Path(str(folder / "astronaut.jpg")), "rgb")
    results = json.loads((folder / "movenet_lightning.json").read_text())
    poses = formats.read(results)
    mirror = get_skeleton(poses.skeleton).mirror
    swapped: Floats = poses.keypoints[:, mirror]
    return image[:, :, ::-1], poses, Poses(swapped, poses.scores[:, mirror], poses.skeleton)


def demo(arguments: argparse.Namespace) -> None:
    """pose-refine demo."""
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


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 done, 1 bad input, 2 bad arguments."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        {"run": run, "demo": demo}[arguments.command](arguments)
    except (OSError, ValueError, TypeError) as error:
        log.error("pose-refine: %s", error)
        return 1
    return 0
