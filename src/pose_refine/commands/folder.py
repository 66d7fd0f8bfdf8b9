"""pose-refine folder: the poses of many images."""

import argparse
import logging
from pathlib import Path

from pose_refine import __version__
from pose_refine.commands import _many_files as many_files
from pose_refine.commands import _one_document as one_document
from pose_refine.commands._common import (
    Commands,
    add_parser,
    add_refining_options,
)
from pose_refine.commands._pipeline import Tally
from pose_refine.nn.backends import locate
from pose_refine.refiner import Refiner

log = logging.getLogger("pose_refine")
EPILOG = """\
POSES is one of
  a folder   one file a frame: JSON as OpenPose writes it, or any other format that `run` takes; subfolders, too
  a file     the people of many images: COCO results or annotations, PoseTrack, AlphaPose, MPII; or of a video's
             frames, in order: a list of OpenPose's documents, MMPose's {"frame_id", "instances"}

which image a file of poses belongs to:
  photo.json, photo_keypoints.json, photo.jpg.json and photo.npy belong to photo.jpg (.png ...) in the same subfolder of
  IMAGES. Poses without an image, or with several, are told and left out; so is a file that cannot be read.
  OpenPose counts a video's frames from 0 with 12 digits. To get images of the same names:
    ffmpeg -i dance.mp4 -start_number 0 frames/dance_%012d.png

where the result goes:
  -o OUT       a new folder (or file); POSES is only read
  --in-place   POSES itself. The originals are kept in POSES.backup; to go back, move them back.
               What has been refined is never refined again: run anew, only files that are new are.

interrupted? Give the same command again: it goes on where it was, and the result is the same.
Files that would be replaced and are not what this command wrote there with these options need --overwrite.

exit code: 0 all refined; 1 some were not, or bad input; 2 bad arguments; 130 interrupted

examples:
  pose-refine folder photos/ openpose_json/ -o refined_json/
  pose-refine folder frames/ openpose_json/ --in-place
  pose-refine folder val2017/ results.json -o refined.json --annotations person_keypoints_val2017.json
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "folder", "refine the poses of many images: a folder of files, or one file", EPILOG)
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of images, maybe with subfolders")
    parser.add_argument("poses", type=Path, metavar="POSES", help="folder of JSON or .npy files, or one JSON file")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder, or file, to write")
    place.add_argument("--in-place", action="store_true", help="write over POSES, keep the originals in POSES.backup")
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="JSON",
        help="COCO annotations that name the images of COCO results (default: 000000000139.jpg for id 139)",
    )
    add_refining_options(parser)
    parser.set_defaults(function=folder)


def folder(arguments: argparse.Namespace) -> int:
    """Refine what is not refined yet; tell in one line what became of everything."""
    check_inputs(arguments)
    source, sha256 = locate(arguments.weights)
    options = {
        "version": __version__,
        "weights": sha256,
        "flip": arguments.flip,
        "skeleton": arguments.skeleton,
        "format": arguments.format,
        "recover": arguments.recover,
        "trust": arguments.trust,
        "category": arguments.category,
    }
    work = many_files if arguments.poses.is_dir() else one_document
    tally = Tally()
    try:
        work.refine(
            arguments,
            options,
            lambda: Refiner.from_pretrained(source, device=arguments.device, flip=arguments.flip),
            tally,
        )
    except KeyboardInterrupt:
        log.error("interrupted: %s\nThe same command goes on from here.", tally)
        return 130
    log.info("%s -> %s", tally, arguments.output or arguments.poses)
    return int(tally.failed + tally.left_out > 0)


def check_inputs(arguments: argparse.Namespace) -> None:
    """What can be told from the arguments alone.

    Raises:
        FileNotFoundError: IMAGES or POSES is not there.
        ValueError: They are not of the kind that is needed, or OUT is POSES.
    """
    images, poses, output = arguments.images, arguments.poses, arguments.output
    if not images.is_dir():
        what = (
            "is a file; for one image use: pose-refine run IMAGE POSES -o OUT" if images.is_file() else "is not there"
        )
        raise FileNotFoundError(f"IMAGES must be a folder of images, {images} {what}")
    if not poses.exists():
        raise FileNotFoundError(f"POSES: no such folder or file: {poses}")
    if arguments.annotations and poses.is_dir():
        raise ValueError("--annotations is for POSES that is one file of COCO results; this is a folder")
    if output and output.resolve() == poses.resolve():
        raise ValueError("OUT is POSES; use --in-place instead of -o, which keeps the originals")
    if output and output.exists() and output.is_dir() != poses.is_dir():
        kinds = ("file", "folder") if output.is_dir() else ("folder", "file")
        raise ValueError(f"POSES is a {kinds[0]}, so OUT must be one; {output} is a {kinds[1]}")
