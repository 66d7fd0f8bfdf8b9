"""pose-refine folder with a folder of poses: one file a frame.

A result is known by its contents: the journal, a hidden file beside the results, gets the digest of each just before
the file itself is written. So it does not matter when a run is killed, or whether folders are copied in between: a file
whose digest is in the journal is a result, any other is somebody's. In place, the journal lies in the backup; poses are
read from the backup alone, so that no pose is ever refined twice.
"""

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pose_refine.commands._journal import Entry, Journal
from pose_refine.commands._matching import list_files, match_files, matched, shown
from pose_refine.commands._pipeline import Frame, Tally, backup_of, fingerprint, refine_frames
from pose_refine.files.names import POSE_SUFFIXES
from pose_refine.files.pose_files import check_parent, copy_whole, digest, encode_poses, remove_partials, write_whole
from pose_refine.refiner import Refiner

log = logging.getLogger("pose_refine")
JOURNAL = ".pose_refine.jsonl"


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        source: Folder to read poses from.
        target: Folder to write to.
        todo: Names of the files to refine.
        originals: Those that have to be copied from `target` to `source` first.
        clashes: What is in the way, to names.
    """

    source: Path
    target: Path
    todo: list[str] = field(default_factory=list)
    originals: list[str] = field(default_factory=list)
    clashes: dict[str, list[str]] = field(default_factory=dict)


def refine(arguments: argparse.Namespace, options: Entry, load: Callable[[], Refiner], tally: Tally) -> None:
    """Refine the files of arguments.poses into arguments.output, or in place.

    Args:
        arguments: Of the command line.
        options: What the results depend on, beside the files.
        load: Gives the refiner; called if there is anything to refine.
        tally: Is counted up.

    Raises:
        FileExistsError: Files would be replaced that must not be.
        ValueError: There are no poses, or none with an image.
    """
    home = backup_of(arguments.poses) if arguments.in_place else arguments.output
    check_parent(home)
    names = list_files(arguments.poses, POSE_SUFFIXES, leave_out=home)
    if not names:
        raise ValueError(f"{arguments.poses}: no files of poses ({', '.join(POSE_SUFFIXES)}) in this folder")
    images = matched(match_files(arguments.images, names), arguments.images)
    with Journal(home / JOURNAL, options) as journal:  # locked: another run may have changed what the plan is made of
        plan = make_plan(images, arguments, home, journal)
        if plan.clashes and not arguments.overwrite:
            raise FileExistsError("\n".join(f"{why}: {shown(names)}" for why, names in plan.clashes.items()))
        tally.frames, tally.left_out, tally.before = len(names), len(names) - len(images), len(images) - len(plan.todo)
        if plan.todo:
            work(plan, images, arguments, journal, load(), tally)


def make_plan(images: dict[str, Path], arguments: argparse.Namespace, home: Path, journal: Journal) -> Plan:
    """Look at what is there; change nothing."""
    plan = Plan(home, arguments.poses) if arguments.in_place else Plan(arguments.poses, home)
    entries = {entry["name"]: entry for entry in journal.entries}
    written = {(entry["name"], entry["out"]) for entry in journal.entries + journal.others}
    for name, image in images.items():
        path, original = plan.target / name, plan.source / name
        now = digest(path.read_bytes()) if path.is_file() else None
        if (name, now) not in written:
            clash = back_up(name, now, plan) if arguments.in_place else foreign(path)
        elif not original.is_file():  # never without --in-place
            plan.originals.append(name)
            clash = f"{home} lacks originals of refined files; put them back, or --overwrite to refine these once more"
        elif name not in entries or entries[name]["out"] != now:
            clash = other_options(journal)
        elif entries[name]["from"] == stamp(image, original):
            continue
        else:
            clash = None  # the image or the poses have changed since
        plan.todo.append(name)
        if clash:
            plan.clashes.setdefault(clash, []).append(name)
    return plan


def back_up(name: str, now: str | None, plan: Plan) -> str | None:
    """Plan the copy of an original; returns what is in the way."""
    kept = plan.source / name
    if kept.is_file() and digest(kept.read_bytes()) == now:
        return None
    plan.originals.append(name)
    if not kept.exists():
        return None
    return (
        f"{plan.source} holds other originals than {plan.target}. Refined already, or changed since? Move "
        f"{plan.source} away (or back), or --overwrite to replace the originals in it by the files as they are now"
    )


def foreign(path: Path) -> str | None:
    return "files exist that this command did not write; use another folder, or --overwrite" if path.exists() else None


def other_options(journal: Journal) -> str:
    changed = "; ".join(journal.changed_options()) or "not those of now"
    return f"these were refined with other options ({changed}); use those, another folder, or --overwrite"


def stamp(image: Path, poses: Path) -> str:
    return f"{fingerprint(image)} {fingerprint(poses)}"


def work(
    plan: Plan, images: dict[str, Path], arguments: argparse.Namespace, journal: Journal, refiner: Refiner, tally: Tally
) -> None:
    """Carry a plan out."""
    for name in plan.originals:
        copy_whole(plan.target / name, plan.source / name)
    for folder in {(plan.target / name).parent for name in plan.todo}:
        folder.mkdir(parents=True, exist_ok=True)
    for root in (plan.source, plan.target) if arguments.in_place else (plan.target,):
        remove_partials([root / name for name in plan.todo])
    frames = [Frame(n, images[n], plan.source / n, stamp(images[n], plan.source / n)) for n in plan.todo]
    for frame, out in refine_frames(refiner, frames, arguments, tally, category=arguments.category):
        data = encode_poses(out, npy=frame.name.lower().endswith(".npy"), like=frame.poses.read_bytes())
        journal.append({"name": frame.name, "from": frame.stamp, "out": digest(data)})
        write_whole(plan.target / frame.name, data)
