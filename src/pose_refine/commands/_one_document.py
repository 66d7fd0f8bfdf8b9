"""pose-refine folder with one file that holds the people of many images.

Refined frames go to a journal, a hidden file beside the result, until the result is written whole.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pose_refine.commands._journal import Entry, Journal
from pose_refine.commands._matching import images_in_order, match_names, matched
from pose_refine.commands._pipeline import Frame, Tally, backup_of, fingerprint, refine_frames
from pose_refine.files.pose_files import (
    check_free,
    check_parent,
    copy_whole,
    digest,
    encode_poses,
    parse_poses,
    read_poses,
    remove_partials,
    write_whole,
)
from pose_refine.formats.common import documents
from pose_refine.refiner import Refiner
from pose_refine.video.frames import not_many

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
    annotations = read_annotations(arguments.annotations)
    with Journal(target.with_name(f".{target.name}.pose_refine.jsonl"), options) as journal:
        data = arguments.poses.read_bytes()  # once it is locked: another run may just have written it
        journal.options = {
            **options,
            "poses": digest(data),
            "annotations": digest(encode_poses(annotations and annotations["images"])),
        }
        if is_result(target, journal):  # killed between the last two steps
            log.info("was finished by an earlier run")
            journal.remove()
            return
        check_target(arguments, target, data)
        work(data, annotations, target, arguments, journal, load, tally)


def work(
    data: bytes,
    annotations: Any,
    target: Path,
    arguments: argparse.Namespace,
    journal: Journal,
    load: Callable[[], Refiner],
    tally: Tally,
) -> None:
    """Refine a document's frames, and write it."""
    document = parse_document(data, arguments.poses)
    category = documents.category_in(document, annotations, arguments.category)
    found = documents.frames(document, annotations and annotations["images"], category)
    frames = find_frames(document, found, arguments.images, tally)
    remove_partials([target, backup_of(target)])
    if arguments.in_place:
        copy_whole(arguments.poses, backup_of(arguments.poses))
    refined = refine_rest(frames, arguments, journal, load, tally)
    out = encode_poses(
        documents.assemble(document, [(f.name, refined[f.name]) for f in frames if f.name in refined], category),
        like=data,
    )
    journal.append({"out": digest(out)})
    write_whole(target, out)
    journal.remove()


def parse_document(data: bytes, poses: Path) -> Any:
    """Raises ValueError where it is not one."""
    document = parse_poses(data, str(poses))
    if documents.is_document(document):
        return document
    raise ValueError(f"{not_many(poses, document)}; for one image use: pose-refine run IMAGE POSES -o OUT")


def read_annotations(path: Path | None) -> Any:
    """COCO annotations, whose "images" and "categories" tell what results have ids of; None without a path.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Something else.
    """
    if path is None:
        return None
    content = read_poses(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(i, dict) and "id" in i for i in images):
        raise ValueError(f"{path}: expected COCO annotations: an 'images' list of dicts with 'id', 'file_name'")
    return content


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


def find_frames(document: Any, found: list[tuple[str, Any]], images: Path, tally: Tally) -> list[Frame]:
    """The frames whose images are there; the others are told."""
    files = images_of(document, [name for name, _ in found], images)
    frames = [Frame(n, files[n], poses, fingerprint(files[n])) for n, poses in found if n in files]
    tally.frames, tally.left_out = len(found), len(found) - len(frames)
    return frames


def images_of(document: Any, names: Sequence[str], images: Path) -> dict[str, Path]:
    """The images of a document's frames; those of a video in the order of their names.

    Raises:
        ValueError: No frame has an image; a video's frames, and another number of images.
    """
    if not documents.is_numbered(document):
        return matched(match_names(images, names), images)
    files = images_in_order(images)
    if len(files) != len(names):
        raise ValueError(
            f"a document of {len(names)} frames, but {len(files)} images in {images}: it does not name them, so that "
            "there must be as many; `pose-refine video` takes fewer"
        )
    return {name: images / file for name, file in zip(names, files, strict=True)}


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
