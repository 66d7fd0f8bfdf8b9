"""pose-refine evaluate: the figures of the field, for predictions as they are, and refined."""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_refine.commands import _figures as figures
from pose_refine.commands._common import (
    Commands,
    add_category_option,
    add_overwrite,
    add_parser,
    add_recover_option,
    add_refiner_options,
    add_trust_option,
)
from pose_refine.commands._matching import list_files, match_names, matched
from pose_refine.commands._pipeline import Frame, Tally, refine_frames
from pose_refine.files.pose_files import STREAM, check_free, write_whole
from pose_refine.formats import mpii
from pose_refine.formats.common import documents
from pose_refine.metrics import ground_truth as people
from pose_refine.metrics.ground_truth import People
from pose_refine.metrics.matching import Pair, pair, shown
from pose_refine.refiner import Refiner
from pose_refine.skeletons import SKELETONS

log = logging.getLogger("pose_refine")
EPILOG = """\
metrics, all in percent, and what they need:
  oks        COCO's AP and AR by pycocotools. GT: COCO annotations, with areas. PRED: COCO results, with scores. A joint
             group's AP is that of its joints alone.
  pckh       PCKh@0.5 and AUC, as MPII's toolkit: one prediction for every labelled person, in the same order.
             GT: MPII's .mat, or JSON with head boxes; PoseTrack.
  mpii       multi-person AP over 14 joints, as MPII's toolkit. GT: as pckh. PRED: with scores of joints.
  posetrack  AP, MOTA, MOTP, precision, recall, as poseval. GT and PRED: PoseTrack 2017 or 2018; two files, or two
             folders with a file a video, of the same names. PRED: with scores of joints and, for tracking, track ids.

"-" in the table: not defined, for a group of joints (COCO's AR is over all of them) or for want of labels.
--as-defined switches off what the official tools do beside the definition: see docs/metrics.md.
With --refine, PRED is refined first, and every figure comes three times: before, after, difference. The person's score
stays as it was; joints get the refiner's.

--json has it all, by joint as well: {"before": {figure: {"total", "groups", "joints"}}, "after", "difference", ...};
the last two only with --refine. oks needs pycocotools: pip install "pose-refine[eval]"

examples:
  pose-refine evaluate --truth person_keypoints_val2017.json --predictions results.json --metric oks
  pose-refine evaluate --truth val.json --predictions results.json --metric oks --refine val2017/ -o table.md
  pose-refine evaluate --truth annotations/val/ --predictions mine/ --metric posetrack --json figures.json
  pose-refine evaluate --truth mpii_human_pose_v1_u12_1.mat --predictions mine.json --metric pckh
"""


@dataclass(frozen=True)
class Documents:
    """One pair of files: their names, and what is in them."""

    name: str
    truth: Any
    predictions: Any


def add(commands: Commands) -> None:
    parser = add_parser(commands, "evaluate", "measure predictions against labels, before and after refining", EPILOG)
    add_reading_options(parser)
    parser.add_argument("--metric", choices=list(figures.METRICS), required=True, help="see below")
    parser.add_argument("--refine", type=Path, metavar="IMAGES", help="refine PRED with these images, and compare")
    parser.add_argument(
        "--least-score",
        type=float,
        metavar="P",
        help="after refining, leave out joints scored less; PoseRefiner's paper takes 0.7 for tracking (default: none)",
    )
    parser.add_argument("--as-defined", action="store_true", help="without the official tools' quirks")
    parser.add_argument(
        "-o", "--output", type=Path, default=STREAM, metavar="OUT", help="Markdown (default: standard output)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    add_recover_option(parser)
    add_trust_option(parser)
    add_overwrite(parser)
    add_refiner_options(parser)
    parser.set_defaults(function=evaluate, format=None)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """--truth and --predictions, and what they are where they do not say: what `load_all` and `paired` take."""
    parser.add_argument("--truth", type=Path, required=True, metavar="GT", help="labels: a file, or a folder of videos")
    parser.add_argument("--predictions", type=Path, required=True, metavar="PRED", help="a file, or a folder of videos")
    names = sorted(SKELETONS)
    joints = f"which joints PRED has, where it does not say: {', '.join(names)}"
    parser.add_argument("--skeleton", choices=names, metavar="NAME", help=joints)
    parser.add_argument("--truth-skeleton", choices=names, metavar="NAME", help="the same for GT")
    add_category_option(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Reads and checks everything before it refines."""
    for path in filter(None, (arguments.output, arguments.json)):
        check_free(path, arguments.overwrite)
    if arguments.json and arguments.json.resolve() == arguments.output.resolve():
        raise ValueError("--json and -o name the same file")
    if arguments.least_score is not None and not arguments.refine:
        raise ValueError("--least-score needs --refine: only refined scores are probabilities")
    given = load_all(arguments.truth, arguments.predictions)
    truth = labels_of(arguments, given)
    tables = {"before": measure(arguments, given, truth)}
    if arguments.refine:
        tables["after"] = measure(arguments, refined(arguments, given), truth, arguments.least_score)
        tables["difference"] = figures.difference(tables["before"], tables["after"])
    count = sum(len(p) for images in truth for p in images)
    images = sum(map(len, truth))
    title = f"{arguments.metric}: {arguments.predictions} against {arguments.truth}, {count} people in {images} images"
    write_whole(arguments.output, f"{title}\n\n{figures.markdown(tables)}".encode(errors="backslashreplace"))
    if arguments.json:
        facts = {"metric": arguments.metric, "as_defined": arguments.as_defined, "people": count, "images": images}
        out = {**facts, **{name: figures.as_json(rows) for name, rows in tables.items()}}
        write_whole(arguments.json, (json.dumps(out, indent=1) + "\n").encode())
    return 0


def measure(
    arguments: argparse.Namespace,
    given: Sequence[Documents],
    truth: Sequence[list[People]],
    least_score: float | None = None,
) -> list[figures.Row]:
    """The figures of these documents; joints scored less than `least_score` do not count as predicted."""
    sequences = paired(arguments, given, truth)
    if least_score is not None:
        sequences = [[(labels, people.scored(p, least_score)) for labels, p in pairs] for pairs in sequences]
    return figures.METRICS[arguments.metric](sequences, arguments.as_defined)


def labels_of(arguments: argparse.Namespace, given: Sequence[Documents]) -> list[list[People]]:
    """The labelled people of each document; raises ValueError where there are none."""
    try:
        truth = [people.read(d.truth, arguments.truth_skeleton, category=arguments.category) for d in given]
    except ValueError as error:
        raise ValueError(str(error).replace("skeleton=", "--truth-skeleton")) from error
    check_truth(arguments.truth, truth)
    return truth


def paired(
    arguments: argparse.Namespace, given: Sequence[Documents], truth: Sequence[list[People]]
) -> list[list[Pair]]:
    """Labelled and predicted people by image, of each document.

    Raises:
        ValueError: Predictions that do not belong to the labels, or nobody predicted.
    """
    predicted = [
        people.read(d.predictions, arguments.skeleton, _part(d, "images"), arguments.category, _part(d, "categories"))
        for d in given
    ]
    if not any(len(p) for images in predicted for p in images):
        raise ValueError(f"{arguments.predictions}: expected predictions, got nobody")
    for document, labels, found in zip(given, truth, predicted, strict=True):
        check_listed(document, labels, found)
    return [pair(labels, found) for labels, found in zip(truth, predicted, strict=True)]


def load_all(truth: Path, predictions: Path) -> list[Documents]:
    """Two files, or the files of the same names in two folders.

    Raises:
        FileNotFoundError: No such file or folder, or no predictions for a video.
        ValueError: A file and a folder, nothing in the folder, or a file that cannot be read.
    """
    for path in (truth, predictions):
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
    if truth.is_dir() != predictions.is_dir():
        raise ValueError(f"expected two files or two folders, got {truth} and {predictions}")
    if truth.is_file():
        return [Documents(predictions.name, load(truth), load(predictions))]
    names = list_files(truth, (".json",))
    if not names:
        raise ValueError(f"{truth}: expected .json files, got none")
    if lost := [name for name in names if not (predictions / name).is_file()]:
        raise FileNotFoundError(f"{predictions}: no predictions for {len(lost)} of {len(names)} videos: {shown(lost)}")
    if more := sorted(set(list_files(predictions, (".json",))) - set(names)):
        log.warning("left out, no labels in %s: %s", truth, shown(more))
    return [Documents(n, load(truth / n), load(predictions / n)) for n in tqdm(names, desc="read", unit="video")]


def load(path: Path) -> Any:
    """MPII's .mat, or JSON.

    Raises:
        ValueError: Not JSON, or with NaN or infinite numbers, which JSON does not have.
    """
    if path.suffix == ".mat":
        return mpii.load_mat(path)
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, (dict, list)):
        raise ValueError(f"{path}: expected a JSON object or list, got {type(content).__name__}")
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has {constant} for a number; leave out what is not known, write 0, 0, 0 for a missing joint")


def _part(document: Documents, name: str) -> Any:
    """The images or categories that COCO annotations name."""
    return document.truth.get(name) if isinstance(document.truth, dict) else None


def check_truth(path: Path, truth: Sequence[list[People]]) -> None:
    """Raises ValueError where nobody is labelled, or where these are predictions: labels have no scores."""
    together = [p for images in truth for p in images]
    if not any(len(p) and not np.isnan(p.keypoints).all() for p in together):
        raise ValueError(f"{path}: expected labelled people, got none in {len(together)} images")
    scored = next((p.image for p in together for s in (p.scores, p.person_scores) if np.isfinite(s).any()), None)
    if scored is not None:
        raise ValueError(f"{path}: expected labels, got predictions: people in {scored} have scores")


def check_listed(document: Documents, truth: Sequence[People], predicted: Sequence[People]) -> None:
    """Documents that list their images must list all that are labelled; results name only those with people."""
    known = {p.image for p in predicted}
    lost = [p.image for p in truth if p.looked_at and p.image not in known]
    if lost and isinstance(document.predictions, dict):
        raise ValueError(f"{document.name}: the predictions lack {len(lost)} of {len(truth)} images: {shown(lost)}")
    if lost:
        log.warning("no predictions for %d of %d images: %s", len(lost), len(truth), shown(lost))


def refined(arguments: argparse.Namespace, given: Sequence[Documents]) -> list[Documents]:
    """The same documents with refined predictions.

    Raises:
        NotADirectoryError: IMAGES is no folder.
        ValueError: Predictions without an image, or that could not be refined.
    """
    if not arguments.refine.is_dir():
        raise NotADirectoryError(f"--refine: expected a folder of images, got {arguments.refine}")
    wanted = [documents.category_in(d.predictions, d.truth, arguments.category) for d in given]
    found = [
        documents.frames(d.predictions, _part(d, "images"), category) for d, category in zip(given, wanted, strict=True)
    ]
    names = [name for frames in found for name, _ in frames]
    files = matched(match_names(arguments.refine, names), arguments.refine)
    if len(files) < len(names):
        raise ValueError(f"--refine: {len(names) - len(files)} of {len(names)} images with predictions are not there")
    frames = [Frame(name, files[name], poses, "") for part in found for name, poses in part]
    refiner = Refiner.from_pretrained(arguments.weights, device=arguments.device, flip=arguments.flip)
    tally = Tally(frames=len(frames))
    results = iter([out for _, out in refine_frames(refiner, frames, arguments, tally)])
    if tally.failed:
        raise ValueError(f"--refine: {tally.failed} of {len(frames)} images could not be refined")
    log.info("%s", tally)
    done = [[(name, next(results)) for name, _ in part] for part in found]
    return [
        Documents(d.name, d.truth, documents.assemble(d.predictions, part, category))
        for d, part, category in zip(given, done, wanted, strict=True)
    ]
