"""pose-refine convert: poses to another skeleton or format; nothing is refined, no image is needed."""

import argparse
import logging
import re
from pathlib import Path
from typing import Any

from pose_refine import formats
from pose_refine.commands._common import Commands, add_overwrite, add_parser, add_poses_options, people
from pose_refine.files.names import OPENPOSE_ENDING
from pose_refine.files.pose_files import STREAM, check_free, encode_poses, read_poses, write_whole
from pose_refine.formats import openpose
from pose_refine.skeletons import SKELETONS

log = logging.getLogger("pose_refine")
EPILOG = """\
what may be written (--as):
  array      .npy if OUT ends so, else JSON: nested lists (N, K, 3) of x, y, score, null where missing (default)
  coco       JSON, COCO results: [{"image_id", "category_id": 1, "keypoints", "score"}, ...]
  openpose   JSON as OpenPose writes it: body25, coco18 or mpi15 (default --to: body25)

Joints are matched by name. What the new skeleton has and the old one lacks is missing (0, 0, 0; in arrays null or NaN),
but for joints in the middle of others: neck, hips' middle, thorax. A joint whose score is not known gets 1 in JSON
formats; a person's score is the mean of the joints'.

examples:
  pose-refine convert photo_keypoints.json -o coco17.json --to coco17 --as coco
  pose-refine convert results.json -o photo_keypoints.json --as openpose
  pose-refine convert poses.npy -o mpii.npy --to mpii16
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "convert", "write poses in another skeleton or format, without refining", EPILOG)
    parser.add_argument(
        "poses", type=Path, metavar="POSES", help="one image's people, as for `run`; - is standard input"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="- is standard output")
    parser.add_argument("--to", choices=sorted(SKELETONS), metavar="NAME", help="skeleton wanted (default: as it is)")
    parser.add_argument("--as", dest="kind", choices=("array", "coco", "openpose"), default="array", help="see below")
    add_poses_options(parser, "--from")
    parser.add_argument(
        "--size", type=size, metavar="WxH", help="of the image, e.g. 640x480, for formats with coordinates in [0, 1]"
    )
    parser.add_argument("--image-id", help="for coco (default: the one in POSES, else its file's name)")
    add_overwrite(parser)
    parser.set_defaults(function=convert)


def size(text: str) -> formats.Shape:
    """(height, width) of "640x480"."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT in pixels, like 640x480, got {text!r}")
    return int(match[2]), int(match[1])


def convert(arguments: argparse.Namespace) -> int:
    npy = arguments.output.suffix == ".npy"
    if npy and arguments.kind != "array":
        raise ValueError(f"--as {arguments.kind} is JSON, but OUT is {arguments.output.name}")
    check_free(arguments.output, arguments.overwrite)
    given = read_poses(arguments.poses)
    poses = formats.read(given, arguments.skeleton, format=arguments.format, shape=arguments.size)
    target = target_skeleton(arguments, str(poses.skeleton))
    converted = poses.to(target)
    if arguments.kind == "coco":
        out: Any = converted.as_coco(image_id=image_id(arguments, given))
    else:
        out = converted.as_openpose() if arguments.kind == "openpose" else converted.to_array()
    write_whole(arguments.output, encode_poses(out, npy=npy))
    log.info("%s, %s to %s (%s) -> %s", people(len(poses)), poses.skeleton, target, arguments.kind, arguments.output)
    return 0


def target_skeleton(arguments: argparse.Namespace, source: str) -> str:
    """What was asked for; else what came, if the format can hold it."""
    known = tuple(openpose.SKELETON_BY_COUNT.values())
    if arguments.kind != "openpose":
        return arguments.to or source
    if arguments.to not in (None, *known):
        raise ValueError(f"OpenPose's JSON holds {', '.join(known)}, not --to {arguments.to}")
    return arguments.to or (source if source in known else known[0])


def image_id(arguments: argparse.Namespace, given: Any) -> int | str | None:
    """A number where it looks like one, as COCO's are."""
    entries = given if isinstance(given, list) else []
    found = {e["image_id"] for e in entries if isinstance(e, dict) and "image_id" in e}
    if arguments.image_id is None and len(found) == 1:
        return whole(found.pop())
    name = arguments.image_id
    if name is None:
        name = None if arguments.poses == STREAM else arguments.poses.stem.removesuffix(OPENPOSE_ENDING)
    return whole(name)


def whole(name: Any) -> int | str | None:
    """An id as a whole number where it is one in other clothes: 7.0, "7", "000000000007.jpg"; else as it is, told."""
    text = Path(name).stem if isinstance(name, str) else name
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    if isinstance(text, int):
        return text
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    if name is not None:
        log.warning("image_id is %r; COCO's own tools want a whole number: give one with --image-id", name)
    return name  # type: ignore[no-any-return]
