"""Which image poses belong to, by the names of files."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pose_refine.files.names import IMAGE_SUFFIXES, OPENPOSE_ENDING, by_number, image_id, plain, stem_of, without_suffix

log = logging.getLogger("pose_refine")
SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Matches:
    """Names of poses and the images that they belong to.

    Attributes:
        images: Name of the poses to image file.
        missing: Names without an image.
        ambiguous: Names that may mean several images, or one that another name means, too: with these in words.
    """

    images: dict[str, Path]
    missing: list[str]
    ambiguous: dict[str, str]


def list_files(folder: Path, suffixes: Sequence[str], leave_out: Path | None = None) -> list[str]:
    """Files of these kinds in a folder and its subfolders, hidden ones and those in `leave_out` excepted.

    Links to folders are followed, but not into a folder that they lie in: that would go round for ever.

    Returns:
        Paths relative to the folder, with forward slashes, sorted.
    """
    found, hidden = [], leave_out and leave_out.resolve()
    above = {os.fspath(folder): {folder.resolve()}}  # a folder, to those that it lies in, and itself
    for parent, folders, files in os.walk(folder, followlinks=True):
        inside = {f: Path(parent, f).resolve() for f in folders if not f.startswith(".")}
        folders[:] = [f for f, place in inside.items() if place != hidden and place not in above[parent]]
        above.update((str(Path(parent, f)), above[parent] | {inside[f]}) for f in folders)
        names = [f for f in files if f.lower().endswith(tuple(suffixes)) and not f.startswith(".")]
        found += [Path(parent, f).relative_to(folder).as_posix() for f in names]
    return sorted(found)


def images_in_order(folder: Path) -> list[str]:
    """Images of a folder and its subfolders; numbers in their names count as numbers."""
    return sorted(list_files(folder, IMAGE_SUFFIXES), key=by_number)


def match_files(images: Path, names: Sequence[str]) -> Matches:
    """Images of files of poses, which lie in the same subfolder and have the same stem.

    Args:
        images: Folder of images.
        names: Files of poses, relative to their folder: photo.json, photo_keypoints.json, photo.jpg.json ...
    """
    by_stem = _by_stem(list_files(images, IMAGE_SUFFIXES))
    return _matches(images, {name: _of_file(name, by_stem) for name in names}, {})


def match_names(images: Path, names: Sequence[str]) -> Matches:
    """Images by the names that a document calls them.

    A name may have folders before it that `images` does not, another suffix, or be an id: 139 is 000000000139.jpg.
    Where two names come to mean the same image, neither is believed; nor one that occurs twice.

    Args:
        images: Folder of images.
        names: File names as in the document, e.g. "images/val/000342/000000.jpg".
    """
    files = list_files(images, IMAGE_SUFFIXES)
    by_stem, known = _by_stem(files), {plain(file): file for file in files}
    by_id: dict[object, list[str]] = {}
    for file in files:
        by_id.setdefault(image_id(stem_of(file)), []).append(file)
    candidates = {n: _of_name(plain(n), known, by_stem) or _of_id(stem_of(n), by_id) for n in names}
    users: dict[str, list[str]] = {}
    for name in names:
        for file in candidates[name][:1]:
            users.setdefault(file, []).append(name)
    shared = {n: f"{file}, but so do others ({shown(u)})" for file, u in users.items() if len(u) > 1 for n in u}
    return _matches(images, candidates, shared)


def shown(names: Sequence[str]) -> str:
    """The first few, and how many."""
    return ", ".join(names[:SHOWN]) + (f" ... ({len(names)} in all)" if len(names) > SHOWN else "")


def matched(matches: Matches, images: Path) -> dict[str, Path]:
    """The images of the names that have one; the other names are told.

    Raises:
        ValueError: No name has one, although there are names.
    """
    if matches.missing:
        log.warning("left out, no such image in %s: %s", images, shown(matches.missing))
    for name, files in matches.ambiguous.items():
        log.warning("left out, not clear which image: %s may mean %s", name, files)
    if not matches.images and (matches.missing or matches.ambiguous):
        holds = shown(list_files(images, IMAGE_SUFFIXES)) or "no images"
        raise ValueError(
            f"no poses have an image; {images} holds {holds}. `pose-refine folder --help` tells how names match"
        )
    return matches.images


def _by_stem(files: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in files:
        found.setdefault(without_suffix(plain(file)), []).append(file)
    return found


def _of_file(name: str, by_stem: dict[str, list[str]]) -> list[str]:
    stem = str(PurePosixPath(plain(name)).with_suffix(""))
    stems = (stem, stem.removesuffix(OPENPOSE_ENDING), without_suffix(stem))
    found = next((by_stem[s] for s in stems if s in by_stem), [])
    return [f for f in found if plain(f) == stem] or found  # photo.jpg.json


def _of_name(name: str, known: dict[str, str], by_stem: dict[str, list[str]]) -> list[str]:
    """The longest end of the path that is there; else the longest that is there with another suffix."""
    parts = PurePosixPath(name).parts
    ends = [str(PurePosixPath(*parts[i:])) for i in range(len(parts))]
    exact = [known[end] for end in ends if end in known]
    stems = [by_stem[s] for s in map(without_suffix, ends) if s in by_stem]
    return exact[:1] or (stems[0] if stems else [])


def _of_id(stem: str, by_id: dict[object, list[str]]) -> list[str]:
    """Files of that number, but for a name of COCO's twelve digits, which says all of it."""
    return [] if re.fullmatch(r"\d{12}", stem) else by_id.get(image_id(stem), [])


def _matches(images: Path, candidates: dict[str, list[str]], shared: dict[str, str]) -> Matches:
    several = {name: ", ".join(found) for name, found in candidates.items() if len(found) > 1}
    return Matches(
        {n: images / found[0] for n, found in candidates.items() if len(found) == 1 and n not in shared},
        [name for name, found in candidates.items() if not found],
        {**several, **shared},
    )
