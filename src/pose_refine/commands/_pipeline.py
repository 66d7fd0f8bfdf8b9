"""Many frames through one refiner: images are read ahead while the network runs; a bad frame is told and skipped."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pose_refine._types import Bytes
from pose_refine.commands._common import VERDICTS, counted, people, worded
from pose_refine.files.ahead import read_ahead
from pose_refine.files.images import read_image
from pose_refine.files.pose_files import read_poses
from pose_refine.formats.common import documents
from pose_refine.poses import Refinement
from pose_refine.prepared import hand_back
from pose_refine.refiner import Refiner

log = logging.getLogger("pose_refine")
REDRAW = 0.1, 30.0  # seconds between updates of the progress bar, on a terminal and in a log file


@dataclass(frozen=True)
class Frame:
    """One image and its poses.

    Attributes:
        name: What messages and the journal call it.
        image: The image file.
        poses: A file, or what would be in it.
        stamp: Changes when the files change.
    """

    name: str
    image: Path
    poses: Any
    stamp: str


@dataclass
class Tally:
    """What became of the frames so far.

    Attributes:
        frames: How many there are, with those without an image.
        before: Were done by an earlier run.
        failed: Could not be read or refined.
        left_out: Have no image, or nobody knows which.
        refined: Were refined by this run; its people and joints are counted below.
    """

    frames: int = 0
    before: int = 0
    failed: int = 0
    left_out: int = 0
    refined: int = 0
    people: int = 0
    joints: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        joints = ", ".join(f"{self.joints[v]} {v}" for v in VERDICTS if self.joints[v]) or "no joints"
        words = ("were done before", self.before), ("failed", self.failed), ("left out", self.left_out)
        who = f" ({people(self.people)}: {joints})" if self.refined else ""
        return ", ".join([f"{self.refined} of {self.frames} frames refined{who}"] + [f"{n} {w}" for w, n in words if n])


def backup_of(poses: Path) -> Path:
    """Where originals go: poses.backup beside poses."""
    path = poses.resolve()
    return path.with_name(f"{path.name}.backup")


def fingerprint(path: Path) -> str:
    """Size and time of a file; of one that is not there (a link to nowhere), words: reading it tells what is wrong."""
    try:
        status = path.stat()
    except OSError:
        return "not there"
    return f"{status.st_size} {status.st_mtime_ns}"


def refine_frame(
    refiner: Refiner,
    image: Bytes,
    given: Any,
    arguments: argparse.Namespace,
    *,
    to: str | None = None,
    category: str | None = None,
) -> tuple[Any, Refinement]:
    """One frame, as --skeleton, --format, --recover and --trust say.

    Args:
        refiner: The refiner.
        image: uint8 (H, W, 3) BGR.
        given: Poses of any format.
        arguments: Of the command line.
        to: Skeleton to convert the result to.
        category: Of the entries of a document that are wanted; None where there are no others in it.

    Returns:
        The same kind of object as `given`, and what changed.
    """
    whole, many = given, documents.is_document(given) and not documents.is_by_frame(given)
    if category is not None and many:
        given = documents.only(whole, category)
    result = refiner.analyze(
        image,
        given,
        skeleton=arguments.skeleton,
        format=arguments.format,
        to=to,
        color="bgr",
        recover=arguments.recover,
        trust=arguments.trust,
    )
    out = hand_back(result.poses, given, to, format=arguments.format, shape=image.shape[:2])
    if category is not None and many and to is None:
        out = documents.assemble(whole, [("", out)], category)
    return out, result


def refine_frames(
    refiner: Refiner,
    frames: Sequence[Frame],
    arguments: argparse.Namespace,
    tally: Tally,
    *,
    category: str | None = None,
) -> Iterator[tuple[Frame, Any]]:
    """Refine frames in order, counting them in `tally`, with a progress bar on stderr; `category` as of `refine_frame`.

    Yields:
        Each frame that succeeds, and its refined poses.
    """
    redraw = REDRAW[not sys.stderr.isatty()]
    total = tally.before + len(frames)
    bar = tqdm(total=total, initial=tally.before, unit="frame", file=sys.stderr, mininterval=redraw, dynamic_ncols=True)
    with logging_redirect_tqdm(), bar:
        for frame, reading in read_ahead(_read, frames):
            try:
                image, given = reading.result()
                out, result = refine_frame(refiner, image, given, arguments, category=category)
            except Exception as error:  # whatever is wrong with one file must not end a long run
                log.error("%s: %s", frame.name, describe(error))
                tally.failed += 1
            else:
                yield frame, out
                tally.refined += 1
                tally.people += len(result.poses)
                tally.joints.update(counted(result))
            bar.update()


def describe(error: Exception) -> str:
    """Its message; with its type where the message was not written for the user."""
    return worded(error) if isinstance(error, (OSError, ValueError, TypeError)) else f"{type(error).__name__}: {error}"


def _read(frame: Frame) -> tuple[Bytes, Any]:
    given = read_poses(frame.poses) if isinstance(frame.poses, Path) else frame.poses
    return read_image(frame.image, "bgr")[0], given
