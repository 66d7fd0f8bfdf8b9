"""pose-refine report: a page of pictures and tables on what refining changed."""

import argparse
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pose_refine import formats
from pose_refine._types import Bytes
from pose_refine.commands._common import (
    Commands,
    add_category_option,
    add_overwrite,
    add_parser,
    add_poses_options,
    people,
)
from pose_refine.commands._matching import list_files, match_files, matched, shown
from pose_refine.commands._one_document import images_of, read_annotations
from pose_refine.commands._pipeline import describe
from pose_refine.files.images import read_image
from pose_refine.files.names import POSE_SUFFIXES
from pose_refine.files.opencv import can_read
from pose_refine.files.pose_files import check_free, read_poses
from pose_refine.formats.common import documents
from pose_refine.poses import Refinement
from pose_refine.prepared import compare
from pose_refine.video.frames import frame_count, named_poses, not_many, read_frames
from pose_refine.viz.report import write_report

log = logging.getLogger("pose_refine")
Pair = tuple[str, Path, Any, Any]  # name, image, poses before and after: files, or what would be in them
EPILOG = """\
BEFORE and AFTER are two folders of files, or two files; with one image, the files of its people. How names match:
see `pose-refine folder --help`, and for a video `pose-refine video --help`. The page needs nothing beside itself, and
no network. Where there is nobody to show, none is written.

examples:
  pose-refine report photos/ openpose_json/ refined_json/ -o page.html
  pose-refine report frames/ openpose_json.backup/ openpose_json/ -o page.html      (after folder --in-place)
  pose-refine report photo.jpg photo_keypoints.json refined.json -o page.html
  pose-refine report dance.mp4 openpose_json/ refined_video/ -o page.html
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "report", "show what refining changed: one HTML page, before and after", EPILOG)
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of images, one image, or a video")
    parser.add_argument("before", type=Path, metavar="BEFORE", help="folder or file of poses, before refining")
    parser.add_argument("after", type=Path, metavar="AFTER", help="the same people, after")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="HTML", help="the page to write")
    parser.add_argument("--title", default="Poses before and after", help="default: %(default)s")
    parser.add_argument(
        "--limit",
        type=int,
        default=100,
        metavar="N",
        help="pictures of at most N people, those that changed most (default: %(default)s)",
    )
    parser.add_argument("--annotations", type=Path, metavar="JSON", help="COCO annotations that name the images")
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        metavar="N",
        help="number of a video's first frame in names (default: %(default)s)",
    )
    add_poses_options(parser)
    add_category_option(parser)
    add_overwrite(parser)
    parser.set_defaults(function=report)


def report(arguments: argparse.Namespace) -> int:
    """Tells what it had to leave out, and then returns 1."""
    check_free(arguments.output, arguments.overwrite)
    for path in (arguments.images, arguments.before, arguments.after):
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
    failed: list[str] = []
    if arguments.images.is_file() and not can_read(arguments.images):
        shown_people, left_out = video_entries(arguments, failed)
    else:
        found, left_out = pairs(arguments)
        shown_people = entries(found, arguments, failed)
    totals = write_report(shown_people, arguments.output, title=arguments.title, limit=arguments.limit)
    images = "1 image" if totals.images == 1 else f"{totals.images} images"
    log.info("%s in %s -> %s", people(totals.people), images, arguments.output)
    return int(left_out + len(failed) > 0)


def pairs(arguments: argparse.Namespace) -> tuple[list[Pair], int]:
    """What belongs together, and how many frames had to be left out.

    Raises:
        ValueError: A folder and a file, or nothing that belongs together.
    """
    images, before, after = arguments.images, arguments.before, arguments.after
    if images.is_file():
        return [(images.name, images, before, after)], 0
    if before.is_dir() != after.is_dir():
        raise ValueError("BEFORE and AFTER: expected two folders or two files")
    old, new = (by_name(path, arguments.annotations, arguments.category) for path in (before, after))
    common = [name for name in old if name in new]
    if lonely := sorted(old.keys() ^ new.keys()):
        log.warning("left out, only in one of BEFORE and AFTER: %s", shown(lonely))
    if not common:
        raise ValueError(f"{before} and {after} have no name in common")
    if before.is_dir():
        files = matched(match_files(images, common), images)
    else:
        files = images_of(read_poses(before), common, images)
    return [(n, files[n], old[n], new[n]) for n in common if n in files], len(lonely) + len(common) - len(files)


def by_name(poses: Path, annotations: Path | None, category: str | None = None) -> dict[str, Any]:
    """Files of a folder, or frames of a document.

    Raises:
        ValueError: A file of another kind.
    """
    if poses.is_dir():
        return {name: poses / name for name in list_files(poses, POSE_SUFFIXES)}
    document = read_poses(poses)
    if not documents.is_document(document):
        what = f"{not_many(poses, document)}; with one image, IMAGES must be that image"
        raise ValueError(what)
    content = read_annotations(annotations)
    wanted = documents.category_in(document, content, category)
    return dict(documents.frames(document, content and content["images"], wanted))


def entries(
    found: list[Pair], arguments: argparse.Namespace, failed: list[str]
) -> Iterator[tuple[str, Bytes, Refinement]]:
    """What the page is made of, one image at a time; names of those that cannot be read go to `failed`."""
    with logging_redirect_tqdm():
        for name, image, before, after in tqdm(found, desc="report", unit="image"):
            try:
                bgr, _ = read_image(image, "bgr")
                result = refinement(before, after, arguments, bgr.shape[:2])
            except (OSError, ValueError, TypeError) as error:
                log.error("%s: %s", name, describe(error))
                failed.append(name)
            else:
                yield name, bgr[:, :, ::-1], result


def video_entries(
    arguments: argparse.Namespace, failed: list[str]
) -> tuple[Iterator[tuple[str, Bytes, Refinement]], int]:
    """The same of a video's frames, and how many had to be left out.

    Raises:
        ValueError: Not a video, or poses of no common frame.
    """
    count = frame_count(arguments.images)
    old, new = (named_poses(p, None, arguments.first, arguments.category) for p in (arguments.before, arguments.after))
    common = old.keys() & new.keys()
    if lonely := sorted(old[i][0] if i in old else new[i][0] for i in old.keys() ^ new.keys()):
        log.warning("left out, only in one of BEFORE and AFTER: %s", shown(lonely))
    if not common:
        raise ValueError(f"{arguments.before} and {arguments.after} have no frame in common")

    def all_of_them() -> Iterator[tuple[str, Bytes, Refinement]]:
        with logging_redirect_tqdm(), closing(read_frames(arguments.images)) as frames:
            for index, (image, order) in enumerate(tqdm(frames, desc="report", unit="frame", total=count)):
                if index not in common or image is None:
                    continue
                name = f"{arguments.images.name}, frame {index + arguments.first}"
                try:
                    result = refinement(old[index][1], new[index][1], arguments, image.shape[:2])
                except (OSError, ValueError, TypeError) as error:
                    log.error("%s: %s", name, describe(error))
                    failed.append(name)
                else:
                    yield name, image if order == "rgb" else image[:, :, ::-1], result

    return all_of_them(), len(lonely)


def refinement(before: Any, after: Any, arguments: argparse.Namespace, shape: formats.Shape) -> Refinement:
    """What changed between two poses or files of the same people.

    Raises:
        ValueError: They are not the same people in the same skeleton.
    """
    initial, refined = (
        formats.read(
            read_poses(poses) if isinstance(poses, Path) else poses,
            arguments.skeleton,
            format=arguments.format,
            shape=shape,
        )
        for poses in (before, after)
    )
    if initial.keypoints.shape != refined.keypoints.shape or initial.skeleton != refined.skeleton:
        raise ValueError(
            f"expected the same people before and after, got {len(initial)} {initial.skeleton} and {len(refined)} "
            f"{refined.skeleton}"
        )
    return compare(initial, refined)
