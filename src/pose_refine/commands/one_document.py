"""pose-refine folder with one file that holds the people of many images.

Refined frames go to a journal, a hidden file beside the result, until the result is written whole.
"""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pose_refine.commands.journal import Entry, Journal
from pose_refine.commands.matching import match_names, matched
from pose_refine.commands.pipeline import Frame, Tally, backup_of, check_parent, fingerprint, refine_frames
from pose_refine.files import (
    check_free,
    copy_whole,
    digest,
    encode_poses,
    parse_poses,
    read_poses,
    remove_partials,
    write_whole,
)
from pose_refine.formats import documents
from pose_refine.refiner import Refiner

log = logging.getLogger("pose_refine")


def refine(arguments: argparse.Namespace, options: Entry, load: Callable[[], Refiner], tally: Tally) -> None:
    """Refine the document arguments.poses into arguments.output, or in place.

    Args:
        arguments: Of the command line.
        options: What the results depend on, beside the files.
        load: Gives the refiner; called if there is anything to refine.
        tally: Is counted up.

    Raises:
        FileExistsError: The result, or the backup, exists.
        ValueError: Not such a document, or none of its images is there.
    """
    target = arguments.output or arguments.poses.resolve()
    check_parent(target)
    names = image_list(arguments.annotations)
    with Journal(target.with_name(f".{target.name}.pose_refine.jsonl"), options) as journal:
        data = arguments.poses.read_bytes()  # once it is locked: another run may just have written it
        journal.options = {**options, "poses": digest(data), "annotations": digest(encode_poses(names))}
        if is_result(target, journal):  # killed between the last two steps
            log.info("was finished by an earlier run")
            journal.remove()
            return
        check_target(arguments, target, data)
        work(data, names, target, arguments, journal, load, tally)


def work(
    data: bytes,
    names: list[Any] | None,
    target: Path,
    arguments: argparse.Namespace,
    journal: Journal,
    load: Callable[[], Refiner],
    tally: Tally,
) -> None:
    """Refine a document's frames, and write it."""
    document = parse_document(data, arguments.poses)
    frames = find_frames(document, names, arguments.images, tally)
    remove_partials([target, backup_of(target)])
    if arguments.in_place:
        copy_whole(arguments.poses, backup_of(arguments.poses))
    refined = refine_rest(frames, arguments, journal, load, tally)
    out = encode_poses(
        documents.assemble(document, [(f.name, refined[f.name]) for f in frames if f.name in refined]), like=data
    )
    journal.append({"out": digest(out)})
    write_whole(target, out)
    journal.remove()


def parse_document(data: bytes, poses: Path) -> Any:
    """Raises ValueError where it is not one."""
    document = parse_poses(data, str(poses))
    if documents.is_document(document):
        return document
    raise ValueError(
        f"{poses}: expected a folder, or JSON with the people of many images (COCO results or annotations, PoseTrack, "
        "AlphaPose, MPII); for one image use: pose-refine run IMAGE POSES -o OUT"
    )


def image_list(annotations: Path | None) -> list[Any] | None:
    """The "images" of a COCO annotation file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It has none.
    """
    if annotations is None:
        return None
    content = read_poses(annotations)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(i, dict) and {"id", "file_name"} <= i.keys() for i in images):
        raise ValueError(f"{annotations}: expected COCO annotations: an 'images' list of dicts with 'id', 'file_name'")
    return images


def is_result(target: Path, journal: Journal) -> bool:
    """Whether `target` is what this journal's run wrote at its end."""
    results = {entry.get("out") for entry in journal.entries + journal.others}
    return target.is_file() and digest(target.read_bytes()) in results


def check_target(arguments: argparse.Namespace, target: Path, data: bytes) -> None:
    """Raises FileExistsError where a result, or a backup of something else, is in the way."""
    if not arguments.in_place:
        check_free(target, arguments.overwrite)
        return
    kept = backup_of(target)
    if kept.exists() and kept.read_bytes() != data and not arguments.overwrite:
        raise FileExistsError(
            f"{kept} holds another original than {target}. Refined already, or changed since? Move {kept} away (or "
            "back), or --overwrite to replace it by the file as it is now"
        )


def find_frames(document: Any, names: list[Any] | None, images: Path, tally: Tally) -> list[Frame]:
    """The frames whose images are there; the others are told."""
    found = documents.frames(document, names)
    files = matched(match_names(images, [name for name, _ in found]), images)
    frames = [Frame(n, files[n], poses, fingerprint(files[n])) for n, poses in found if n in files]
    tally.frames, tally.left_out = len(found), len(found) - len(frames)
    return frames


def refine_rest(
    frames: list[Frame], arguments: argparse.Namespace, journal: Journal, load: Callable[[], Refiner], tally: Tally
) -> dict[str, Any]:
    """Frames that the journal does not have, added to those that it has: name to refined poses."""
    stamps = {frame.name: frame.stamp for frame in frames}
    done = {e["name"]: e["poses"] for e in journal.entries if "name" in e and e["from"] == stamps.get(e["name"])}
    tally.before = len(done)
    todo = [frame for frame in frames if frame.name not in done]
    for frame, out in refine_frames(load(), todo, arguments, tally) if todo else ():
        journal.append({"name": frame.name, "from": frame.stamp, "poses": out})
        done[frame.name] = out
    return done
