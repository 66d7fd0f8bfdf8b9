"""pose-refine fit: decision, scores and trust for one estimator, from labelled people and what it said of them."""

import argparse
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pose_refine import __version__
from pose_refine._types import AnyArray, Doubles
from pose_refine.commands import evaluate
from pose_refine.commands._common import Commands, add_overwrite, add_parser
from pose_refine.commands._evidence import Evidence
from pose_refine.commands._matching import match_names, matched
from pose_refine.commands.errors import areas_of
from pose_refine.files.pose_files import STREAM, check_parent, write_whole
from pose_refine.metrics.errors import assign
from pose_refine.metrics.ground_truth import People as ImagePeople
from pose_refine.metrics.matching import Pair, joints_in
from pose_refine.metrics.pckh import there
from pose_refine.nn import backends, weights
from pose_refine.nn.model import Model
from pose_refine.skeletons import MPII_CONVENTION, NETWORK
from pose_refine.training.data import People, load_images, select
from pose_refine.training.decision import collect
from pose_refine.training.fitting import ALLOWED, FOLDS, Figures, Fitted, fit_to, look, own_inputs

log = logging.getLogger("pose_refine")
FEWEST, MOST = 50, 1000  # people
LABELLED = 5  # joints at least of a person who is fitted on
KNOWN = 8  # of the network's joints at least that the estimator knows
SAME = 0.002  # of the root of the area: nearer to the labels on average is the labels
MEMORY = 768 << 20  # bytes of all images together, as far as these sides allow
SMALLEST, LARGEST = 640, 1280  # pixels: sides to which larger images are shrunk
PARTIAL = ".partial"  # the ending of the folder of evidence
EPILOG = f"""\
Reads whatever `pose-refine evaluate` reads, and brings people together as `pose-refine errors` does. Images are found
by the names in GT. The network stays as it is: what is fitted is whom it believes, its scores, and how far the poses
are trusted. 300 people are enough, and take some minutes; {FEWEST} are needed, of more than {MOST} so many are drawn.

The table is of people whose images were not fitted on: the images are in {FOLDS} parts, and each part is measured with
what was fitted on the others. OUT is fitted on all of them.
  before   the estimator's poses as they are
  general  refined with the weights that fitting begins with
  fitted   refined with fitted ones
  recall   of people, mean over OKS .50:.05:.95   harm  of right joints, those that are wrong afterwards
  OKS      mean over people                       help  of wrong joints, those that are right afterwards

OUT is written only if recall is better and harm at most {ALLOWED} points more than the general one's. Keep images for a
test apart. A command that was interrupted goes on where it was: OUT{PARTIAL} keeps what was looked at, until OUT is
written.

examples:
  pose-refine fit --truth labels.json --predictions results.json images/ -o my_weights
  pose-refine run photo.jpg poses.json -o refined.json --weights my_weights
"""


@dataclass(frozen=True)
class Labelled:
    """Who is in the images.

    Attributes:
        people: Everybody who was predicted; keypoints NaN where it is nobody labelled.
        known: (K,) which of the network's joints are predicted and labelled.
    """

    people: People
    known: AnyArray

    @property
    def rows(self) -> AnyArray:
        """(R,) who is labelled."""
        return np.flatnonzero(there(self.people.keypoints).any(1))


class Collecting(NamedTuple):
    """Where evidence is kept, where it is computed, and by which weights."""

    kept: Path
    device: torch.device
    sha256: str


def add(commands: Commands) -> None:
    parser = add_parser(commands, "fit", "fit the refiner to one estimator, on labelled people", EPILOG)
    evaluate.add_reading_options(parser)
    parser.add_argument("images", type=Path, metavar="IMAGES", help="the folder of the images that GT names")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder of weights to write")
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="to begin with: small, base, a folder or a hub repository (default: base)",
    )
    parser.add_argument("--device", help="torch device (default: cuda, else mps, else cpu)")
    parser.add_argument("--force", action="store_true", help="write OUT even if it is not better")
    add_overwrite(parser)
    parser.set_defaults(function=fit)


def fit(arguments: argparse.Namespace) -> int:
    """Reads and checks everything before it works."""
    output: Path = arguments.output
    check_output(output, arguments.overwrite)
    if backends.is_exported(arguments.weights):
        raise ValueError(f"--weights: {arguments.weights} is exported and cannot be fitted; give the folder it is of")
    given = evaluate.load_all(arguments.truth, arguments.predictions)
    sequences = evaluate.paired(arguments, given, evaluate.labels_of(arguments, given))
    labelled = labelled_people([p for pairs in sequences for p in pairs if p[0].looked_at], arguments.images)
    check_not_the_labels(labelled)
    device = backends.usable_device(arguments.device)
    model, config = weights.load_source(arguments.weights)
    kept = output.absolute().with_name(output.absolute().name + PARTIAL)
    fitted = fitted_to(at_most(labelled, MOST), model, Collecting(kept, device, config.sha256))
    write_whole(STREAM, table(fitted).encode())
    if not (fitted.better or arguments.force):
        log.error("pose-refine: not written: %s; --force writes it, %s keeps the evidence", worse(fitted), kept)
        return 1
    model.decision, model.trust = fitted.decision, fitted.trust
    weights.save(model, output.absolute().name, output)
    shutil.rmtree(kept, ignore_errors=True)
    log.info("weights %s, trust %.2f -> %s", output.absolute().name, fitted.trust, output)
    return 0


def check_output(output: Path, overwrite: bool) -> None:
    """Raises an OSError where no folder of weights can be written."""
    if output.exists() and not (overwrite and (output / weights.CONFIG).is_file()):
        hint = "is no folder of weights" if overwrite else "exists; --overwrite replaces a folder of weights"
        raise FileExistsError(f"{output} {hint}")
    check_parent(output)


def told_joints(pairs: Sequence[Pair]) -> AnyArray:
    """(K,) which of the network's joints are labelled and predicted.

    Raises:
        ValueError: Too few.
    """
    labelled, predicted = (
        np.any([there(joints_in(p[k], NETWORK.name)[..., :2]).any(0) for p in pairs], axis=0) for k in (0, 1)
    )
    known: AnyArray = labelled & predicted
    if known.sum() < KNOWN:
        names = ", ".join(np.array(NETWORK.joints)[known]) or "none"
        raise ValueError(
            f"expected {KNOWN} or more of the {len(NETWORK.joints)} joints that the network knows both labelled "
            f"and predicted, got {names}; --skeleton and --truth-skeleton say what joints they are"
        )
    return known


def labelled_people(pairs: Sequence[Pair], images: Path) -> Labelled:
    """Everybody who is predicted in images with somebody who is both labelled and predicted.

    Raises:
        NotADirectoryError: IMAGES is no folder.
        ValueError: Too few joints, too few people, or no image of that name there.
    """
    if not images.is_dir():
        raise NotADirectoryError(f"IMAGES: expected a folder of images, got {images}")
    known = told_joints(pairs)
    found = [(str(truth.image), of_image(truth, p), p.skeleton in MPII_CONVENTION) for truth, p in pairs]
    found = [part for part in found if there(part[1][0]).any()]
    files = matched(match_names(images, [name for name, _, _ in found]), images) if found else {}
    found = [part for part in found if part[0] in files]
    count = sum(int(there(keypoints).any(1).sum()) for _, (keypoints, _, _), _ in found)
    if count < FEWEST or len(found) < FOLDS:
        raise ValueError(
            f"expected {FEWEST} people or more with {LABELLED} labelled joints and a pose, in {FOLDS} images or more, "
            f"got {count} in {len(found)} (GT has {sum(len(truth) for truth, _ in pairs)} people, "
            f"PRED {sum(len(p) for _, p in pairs)})"
        )
    return Labelled(people_of(found, files), known)


def of_image(truth: ImagePeople, predicted: ImagePeople) -> tuple[Doubles, Doubles, Doubles]:
    """Everybody who is predicted in an image: labels (N, 19, 2), NaN for nobody labelled; poses (N, 19, 3); areas."""
    labels, poses = joints_in(truth, NETWORK.name)[..., :2], joints_in(predicted, NETWORK.name)
    poses = poses[there(poses[..., :2]).any(1)]
    some = there(labels).any(1) & ~truth.crowd
    labels, keypoints, areas = labels[some], np.full_like(poses[..., :2], np.nan), np.ones(len(poses))
    if some.any():
        size = areas_of(labels, truth.areas[some])
        rows = assign(poses, labels, size, NETWORK.name)
        chosen = (rows >= 0) & (there(labels).sum(1) >= LABELLED)
        keypoints[rows[chosen]], areas[rows[chosen]] = labels[chosen], size[chosen]
    return keypoints, poses, areas


def people_of(found: Sequence[tuple[str, tuple[Doubles, Doubles, Doubles], bool]], files: dict[str, Path]) -> People:
    """These images' people, as training has them: of one estimator."""
    keypoints, poses, areas = (np.concatenate([part[1][k] for part in found]).astype(np.float32) for k in range(3))
    counts = [len(part[1][2]) for part in found]
    return People(
        keypoints=keypoints,
        area=areas,
        image=np.repeat(np.arange(len(found)), counts),
        files=[files[name] for name, _, _ in found],
        predicted=poses[:, None],
        estimators=["own"],
        weight=np.ones(len(areas), np.float32),
        mpii=np.repeat([mpii for _, _, mpii in found], counts),
    )


def check_not_the_labels(labelled: Labelled) -> None:
    """Raises ValueError where the predictions are the labels."""
    people, rows = labelled.people, labelled.rows
    apart = np.linalg.norm(people.predicted[rows, 0, :, :2] - people.keypoints[rows], axis=-1)
    mean = float(np.nanmean(apart / np.sqrt(people.area[rows])[:, None]))
    if mean < SAME:
        raise ValueError(f"PRED is GT: joints are {100 * mean:.2f} % of a person's size apart, nothing to learn")


def at_most(labelled: Labelled, most: int) -> Labelled:
    """All of them, or of more so many, drawn by image."""
    image = labelled.people.image
    if len(labelled.rows) <= most:
        return labelled
    order = np.random.default_rng(0).permutation(len(labelled.people.files))
    count = np.bincount(image[labelled.rows], minlength=len(order))[order]
    chosen = order[np.cumsum(count) <= most]
    log.info("%d people are drawn of %d", count[np.cumsum(count) <= most].sum(), len(labelled.rows))
    return Labelled(select(labelled.people, np.flatnonzero(np.isin(image, chosen))), labelled.known)


def fitted_to(labelled: Labelled, model: Model, collecting: Collecting) -> Fitted:
    """Look at everybody, and fit."""
    side = side_of(len(labelled.people.files))
    images, people = load_images(labelled.people, side)
    network = model.network.to(collecting.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    evidence = Evidence(
        collecting.kept,
        people,
        f"{__version__} {collecting.sha256} {collecting.device} {side}",
        partial(collect, network, images.to(collecting.device), people, bar=False),
    )
    inputs = own_inputs(people, labelled.rows, side, np.random.default_rng(0))
    looks = [look(people, given, evidence, model.views, (side, side)) for given in inputs]
    return fit_to(model.decision, looks, people.image, labelled.known, model.views, model.trust)


def side_of(images: int) -> int:
    """Pixels: larger images are shrunk to that."""
    return int(np.clip(np.sqrt(MEMORY / 3 / images), SMALLEST, LARGEST))


def table(fitted: Fitted) -> str:
    """Markdown."""
    rows = {"before": fitted.before, "general": fitted.general, "fitted": fitted.fitted}
    lines = [
        f"{fitted.before.people} people, each measured with what was fitted on other images",
        "",
        "| | recall | OKS | harm | help |",
        "|---|---|---|---|---|",
        *(row_of(name, found) for name, found in rows.items()),
        "",
        f"trust {fitted.trust:.2f}, {fitted.steps} steps",
    ]
    return "\n".join(lines) + "\n"


def row_of(name: str, found: Figures) -> str:
    """A row of the table; of the poses as they are nothing is harmed or helped."""
    changes = "- | -" if name == "before" else f"{found.harm:.2f} | {found.help:.1f}"
    return f"| {name} | {found.recall:.1f} | {found.oks:.1f} | {changes} |"


def worse(fitted: Fitted) -> str:
    """Why it is not better, in words."""
    old, new = fitted.general, fitted.fitted
    if new.recall <= old.recall:
        return f"recall is {new.recall:.1f}, and {old.recall:.1f} with the general weights"
    return f"harm is {new.harm:.2f}, and {old.harm:.2f} with the general weights; {ALLOWED} more is allowed"
