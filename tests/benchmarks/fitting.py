"""What `pose-refine fit` gives, estimator by estimator: fitted on people whom training never saw, measured on dev.

    python tests/benchmarks/fitting.py --data ../shared/data --docs

The people are COCO train's held-out ones (every 17th image), with the estimator's poses of them; labels and poses are
written as COCO's files, and the command itself is run on them, with --force. Then dev is measured as quality.py does:
the poses as they are, refined by the general weights, and by the fitted ones.

Writes tests/benchmarks/fitting.json, and with --docs the table between the markers of docs/own_data.md. An interrupted
run goes on where it was (remove the output's .partial.json to start over).
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from figures import Compared
from quality import machine
from runs import JOINTS, DevSet, read_coco_dev, refined, run_all
from tqdm import tqdm
from writing import NAMES, Progress, between_markers, rounded, table

from pose_refine import Refiner
from pose_refine.cli import main as pose_refine
from pose_refine.nn import weights
from pose_refine.training.data import People, read_coco, select, split_by_image

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own_data.md"
BEGIN, END = "<!-- fitting: written by tests/benchmarks/fitting.py -->", "<!-- end of fitting -->"
ESTIMATORS = ("openpose_light_omz0001", "posenet", "mobile_hourglass", "tinypose_v2")
LEAST = 5  # labelled joints of a person who is fitted on


def held_out(data: Path, estimator: str, count: int) -> People:
    """So many people with labels and a pose, drawn by image, and who else is in these images."""
    people = read_coco(data / "coco", "train", data / "predictions" / "coco_train", least=1)
    e = people.estimators.index(estimator)
    labelled = np.isfinite(people.keypoints[..., 0]).sum(1) >= LEAST
    usable = labelled & np.isfinite(people.predicted[:, e, :, 0]).any(1)
    held = split_by_image(people)[1]
    images = np.random.default_rng(0).permutation(np.unique(people.image[held][usable[held]]))
    each = np.bincount(people.image[usable], minlength=len(people.files))[images]
    chosen = images[: np.searchsorted(np.cumsum(each), count) + 1]
    found = select(people, np.flatnonzero(np.isin(people.image, chosen)))
    return replace(found, predicted=found.predicted[:, [e]], estimators=[estimator])


def write_files(people: People, folder: Path) -> None:
    """labels.json, results.json and images/, as a user might have them."""
    (folder / "images").mkdir()
    for file in people.files:
        (folder / "images" / file.name).symlink_to(file.resolve())
    truth = np.pad(people.keypoints[:, :JOINTS], ((0, 0), (0, 0), (0, 1)), constant_values=2)
    annotations = [annotation(n, people, flat) for n, flat in enumerate(flattened(truth))]
    images = [{"id": i, "file_name": file.name} for i, file in enumerate(people.files)]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "labels.json").write_text(json.dumps(document))
    results = [
        {"image_id": int(image), "category_id": 1, "keypoints": flat, "score": 1.0}
        for image, flat in zip(people.image, flattened(people.predicted[:, 0, :JOINTS]), strict=True)
        if any(flat)
    ]
    (folder / "results.json").write_text(json.dumps(results))


def annotation(n: int, people: People, flat: list[float]) -> dict:
    """A labelled person as COCO has it."""
    low, high = np.nanmin(people.keypoints[n], 0), np.nanmax(people.keypoints[n], 0)
    box = [round(float(v), 2) for v in (*low, *(high - low))]
    return {
        "id": n + 1,
        "image_id": int(people.image[n]),
        "category_id": 1,
        "keypoints": flat,
        "num_keypoints": sum(v > 0 for v in flat[2::3]),
        "area": float(people.area[n]),
        "bbox": box,
        "iscrowd": 0,
    }


def flattened(poses: np.ndarray) -> list[list[float]]:
    """Of (N, K, 3), 0, 0, 0 where missing."""
    known = np.where(np.isnan(poses[..., :1]), 0, poses)
    return [[round(float(v), 3) for v in person.ravel()] for person in known]


def fitted(arguments: argparse.Namespace, estimator: str, folder: Path) -> float:
    """Seconds that the command took, whose weights lie in `folder`/fitted afterwards."""
    write_files(held_out(arguments.data, estimator, arguments.people), folder)
    files = ["--truth", folder / "labels.json", "--predictions", folder / "results.json", folder / "images"]
    source = ["--weights", arguments.weights] if arguments.weights else []
    start = time.perf_counter()
    options = ["-o", folder / "fitted", "--device", "cpu", "--force", *source]
    if pose_refine(["fit", *map(str, files), *map(str, options)]):
        raise SystemExit(f"{estimator}: not fitted")
    return time.perf_counter() - start


def measure(arguments: argparse.Namespace, dev: DevSet, estimator: str) -> dict:
    """Recall and harm on dev, before, with the general weights, and with fitted ones."""
    poses = dev.predicted(dev.people.estimators.index(estimator))
    joints = np.isfinite(poses[..., 0]).any(0)

    def figures(source: str | Path | None) -> dict[str, float]:
        refiner = Refiner.from_pretrained(source, device="cpu")
        return Compared(dev, poses, run_all(dev.people, poses, refined(refiner)), joints).only()

    with tempfile.TemporaryDirectory() as place:
        seconds = fitted(arguments, estimator, Path(place))
        trust = weights.read_config(Path(place) / "fitted").trust
        row = {"general": figures(arguments.weights), "fitted": figures(Path(place) / "fitted")}
    return {"seconds": seconds, "trust": trust, **row}


def page_table(out: dict) -> str:
    """For docs/own_data.md."""
    rows = [
        [
            NAMES[e],
            row["general"]["before"],
            *(f"{row[k]['after']:.1f} ({row[k]['harm']:.2f})" for k in ("general", "fitted")),
            f"{row['trust']:.2f}",
        ]
        for e, row in out["estimators"].items()
    ]
    people = next(iter(out["estimators"].values()))["general"]["people"]
    words = (
        f"OKS recall (harm), percent, on {people} people of COCO val2017; fitted on {out['people']} others, of "
        f"train2017. Weights: `{out['sha256'][:12]}`."
    )
    return f"{words}\n\n{table(['estimator', 'before', 'general', 'fitted', 'trust'], rows)}"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=300, help="to fit on (default: %(default)s)")
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), metavar="NAME")
    parser.add_argument("--limit", type=int, help="of dev only the first so many images")
    parser.add_argument("--weights", help="the general ones (default: the embedded)")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--docs", action="store_true", help="write the table of docs/own_data.md")
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    sha256 = weights.read_config(weights.find(arguments.weights)).sha256
    about = {"sha256": sha256, "people": arguments.people, "limit": arguments.limit}
    progress = Progress(arguments.out, about)
    dev = read_coco_dev(arguments.data, "dev", arguments.limit)
    found = {
        e: progress.measured(e, partial(measure, arguments, dev, e)) for e in tqdm(arguments.estimators, desc="fitting")
    }
    out = {**about, "machine": machine(), "threads": torch.get_num_threads(), "estimators": found}
    arguments.out.write_text(json.dumps(rounded(out), indent=1) + "\n")
    progress.path.unlink(missing_ok=True)
    sys.stdout.write(page_table(out) + "\n")
    if arguments.docs:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between_markers(text, page_table(out), BEGIN, END), encoding="utf-8")


if __name__ == "__main__":
    main()
