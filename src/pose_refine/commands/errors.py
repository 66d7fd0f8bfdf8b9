"""pose-refine errors: what an estimator does wrong, in words, as a table and as a page."""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pose_refine._types import Doubles
from pose_refine.commands import _error_words as error_words
from pose_refine.commands import evaluate
from pose_refine.commands._common import Commands, add_overwrite, add_parser
from pose_refine.commands._error_page import page
from pose_refine.files.pose_files import STREAM, check_free, write_whole
from pose_refine.metrics.errors import Judged, judge, together
from pose_refine.metrics.ground_truth import People
from pose_refine.metrics.matching import Pair, joints_in, never_predicted
from pose_refine.metrics.pckh import there
from pose_refine.skeletons import NETWORK
from pose_refine.training.data import box_area

log = logging.getLogger("pose_refine")
EPILOG = """\
Reads whatever `pose-refine evaluate` reads. Which predicted person is which labelled one is found by how alike they
are; then each labelled joint is one of (Ronchi and Perona 2017, as in PoseFix):
  good       within the joint's OKS-.85 radius
  jitter     within its OKS-.50 radius
  inversion  within that of the same joint of the other side
  swap       within that of such a joint of somebody else in the image
  miss       elsewhere
  missing    not predicted, or nobody was predicted there
Joints that the estimator does not know are left out. Radii grow with the person's area; where the labels have none it
is 0.53 times the box of the joints. The bias is of good joints and those that jitter: x to the right, y down, in pixels
of the image and in percent of the person's size, the root of its area.

examples:
  pose-refine errors --truth person_keypoints_val2017.json --predictions results.json
  pose-refine errors --truth val.json --predictions results.json -o page.html
  pose-refine errors --truth annotations/val/ --predictions mine/ --json errors.json
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "errors", "tell what an estimator does wrong: its errors, bias and scores", EPILOG)
    evaluate.add_reading_options(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="HTML", help="also write a page with a picture")
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=STREAM,
        metavar="FILE",
        help="also write all figures as JSON; without FILE to standard output, in place of the table",
    )
    parser.add_argument("--title", default="What this estimator does wrong", help="of the page (default: %(default)s)")
    add_overwrite(parser)
    parser.set_defaults(function=errors)


def errors(arguments: argparse.Namespace) -> int:
    """Reads and checks everything before it writes."""
    for path in filter(None, (arguments.output, arguments.json)):
        check_free(path, arguments.overwrite)
    if arguments.output and arguments.json and arguments.json.resolve() == arguments.output.resolve():
        raise ValueError("--json and -o name the same file")
    given = evaluate.load_all(arguments.truth, arguments.predictions)
    sequences = evaluate.paired(arguments, given, evaluate.labels_of(arguments, given))
    found = findings([p for pairs in sequences for p in pairs if p[0].looked_at])
    if arguments.json != STREAM:
        source = f"{arguments.predictions} against {arguments.truth}: {found.people} people in {found.images} images"
        text = f"{source}\n\n{error_words.markdown(found)}"
        write_whole(STREAM, text.encode(errors="backslashreplace"))
    if arguments.json:
        write_whole(arguments.json, (json.dumps(error_words.as_json(found), indent=1) + "\n").encode())
    if arguments.output:
        write_whole(arguments.output, page(arguments.title, found).encode(errors="backslashreplace"))
        log.info("%d people in %d images -> %s", found.people, found.images, arguments.output)
    return 0


def findings(pairs: Sequence[Pair]) -> error_words.Findings:
    """What is wrong with the predictions of these images.

    Raises:
        ValueError: No joint in common.
    """
    lost = never_predicted(pairs, NETWORK.name)
    if lost:
        log.warning("left out, not in the predictions: %s", ", ".join(lost))
    unknown = [NETWORK.joints.index(name) for name in lost]
    looked = (judged_image(labels, found, unknown) for labels, found in tqdm(pairs, desc="errors", unit="image"))
    parts = [judged for judged in looked if judged is not None]
    everybody = together(parts)
    return error_words.findings(everybody, len(parts), error_words.known_columns(everybody, lost))


def judged_image(truth: People, predicted: People, unknown: list[int]) -> Judged | None:
    """The people of one image who have a labelled joint; None where there is nobody."""
    labels = joints_in(truth, NETWORK.name)[..., :2]
    labels[:, unknown] = np.nan
    some = there(labels).any(1) & ~truth.crowd
    if not some.any():
        return None
    areas = areas_of(labels[some], truth.areas[some])
    return judge(joints_in(predicted, NETWORK.name), labels[some], areas, NETWORK.name)


def areas_of(labels: Doubles, areas: Doubles) -> Doubles:
    """(G,) square pixels, from the box of the labels (G, K, 2) where the document does not say."""
    return np.where(areas > 0, areas, box_area(labels.astype(np.float32)).astype(np.float64))
