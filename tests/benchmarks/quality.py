"""How good the weights are, on real images with real estimators' predictions, beside what a user could do instead.

    python tests/benchmarks/quality.py --data ../shared/data --tinypose ../shared/trunks/tinypose_v1.onnx --cache CACHE

For every estimator: its poses as they are; refined, and how often it was looked at a person for that; the same network
shown no pose (its crop still comes from the pose); PP-TinyPose run again on the box of the pose, with flip test, and
again on the box of what it found. Then recovery of removed joints, calibration, and rows of two papers' tables
(papers.py); at the end ground truth as input. figures.py says what the figures are.

Writes tests/benchmarks/quality.json, with the weights' SHA-256, and with --readme the tables between the markers of
README.md, the model cards and docs/, and the calibration picture; `tables.py` alone writes these anew. The file of the
small weights is made with --weights small -o tests/benchmarks/quality_small.json. An interrupted run goes on where it
was (remove the output's .partial.json to start over); what is run again is the same for all weights, and --cache keeps
it.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import figures
import numpy as np
import papers
import tables
import torch
from figures import COCO, Compared
from runs import JOINTS, DevSet, Instead, read_coco_dev, read_lsp_dev, refined, run_all
from tinypose import TinyPose
from torch import Tensor
from tqdm import tqdm
from writing import PARTIAL, Progress, chosen, rounded

from pose_refine import Refiner
from pose_refine.crops.batches import CropBatch
from pose_refine.nn import weights

REMOVED = 0.2  # share of a person's joints, the lowest-scored, that recovery is measured on
# How each set is read, and the rows of the paper that it stands for.
SETS = {"coco": (read_coco_dev, papers.posefix_rows), "lsp": (read_lsp_dev, papers.poserefiner_rows)}


def measure(refiner: Refiner, instead: Instead, dev: DevSet, name: str, paper_rows: Callable, *, recover: bool) -> dict:
    """All figures of one estimator; those of recovered joints only with `recover`."""
    people, poses = dev.people, dev.predicted(dev.people.estimators.index(name))
    joints = np.isfinite(poses[..., 0]).any(0)
    with counted_looks(refiner) as looks:
        after = run_all(people, poses, refined(refiner))
    compared = Compared(dev, poses, after, joints)
    row = {"all": compared.only(), "joints": figures.by_joint(compared), "people": figures.by_person(compared)}
    row["looks"] = sum(looks) / np.isfinite(after[..., 0]).any(1).sum()
    others = instead(people, poses, COCO.name, name)
    row |= {way: Compared(dev, poses, found, joints).only() for way, found in others.items()}
    row["errors"] = [figures.error_classes(compared, p) for p in (compared.before, compared.after)]
    row["ap"] = ap_by_scores(dev, poses, after)
    scores = [p[..., 2][compared.labelled] for p in (compared.before, compared.after)]
    right = [s[compared.labelled] >= figures.RIGHT for s in (compared.old, compared.new)]
    row["reliability"] = [figures.reliability(np.clip(s, 0, 1), r) for s, r in zip(scores, right, strict=True)]
    if recover:
        row["recovery"] = recovery(refiner, dev, poses, joints)
    row["paper"] = paper_rows(dev, poses, after)
    return row


@contextmanager
def counted_looks(refiner: Refiner) -> Iterator[list[int]]:
    """How many people each batch has that the refiner is shown."""
    counts: list[int] = []
    predictor = refiner.predictor
    run = predictor.run

    def counting(batch: CropBatch) -> Tensor:
        counts.append(len(batch))
        return run(batch)

    predictor.run = counting
    try:
        yield counts
    finally:
        del predictor.run


def ap_by_scores(dev: DevSet, poses: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """OKS AP before, after with the scores that came in, after with ours."""
    kept, rows = np.concatenate([after[..., :2], poses[..., 2:]], -1), papers.with_pose(poses)
    ways = {"before": poses, "scores_in": kept, "scores_out": after}
    return {name: papers.coco_ap(dev, p, rows) for name, p in ways.items()}


def recovery(refiner: Refiner, dev: DevSet, predicted: np.ndarray, joints: np.ndarray) -> dict:
    """Remove each person's lowest-scored joints, and see which come back right."""
    scores = np.where(joints, predicted[..., 2], np.inf)
    gone = scores.argsort(1).argsort(1) < round(REMOVED * joints.sum())
    poses = np.where(gone[..., None], np.float32(np.nan), predicted)
    after = run_all(dev.people, poses, refined(refiner))
    compared = Compared(dev, poses, after, joints)
    removed = gone[compared.rows] & compared.labelled
    were = compared.similar(predicted[compared.rows])[removed] >= figures.RIGHT
    right = compared.new[removed] >= figures.RIGHT
    curve = figures.reliability(compared.after[..., 2][removed], right)
    return {
        "joints": int(removed.sum()),
        "right": figures.share(right),
        "were_right": figures.share(were),
        "reliability": curve,
    }


def perfect(refiner: Refiner, dev: DevSet) -> list[dict[str, float]]:
    """Ground truth as input, refined once and twice: what is spoilt, and how far joints move."""
    truth = np.concatenate([dev.truth, np.ones_like(dev.truth[..., :1])], -1)
    height = (np.nanmax(truth[..., 1], 1) - np.nanmin(truth[..., 1], 1))[dev.rows, None]
    poses, rows = truth, []
    for _ in range(2):
        poses = run_all(dev.people, poses, refined(refiner))
        compared = Compared(dev, truth, poses, np.ones(JOINTS, bool))
        gap = np.linalg.norm(poses[dev.rows, :, :2] - dev.truth[dev.rows], axis=-1) / height
        rows.append({**compared.only(), "median_shift": float(100 * np.median(gap[compared.labelled]))})
        poses = np.where(np.isnan(truth[..., :1]), np.float32(np.nan), poses)
    return rows


def measure_all(arguments: argparse.Namespace) -> tuple[dict, bool]:
    """The figures of the chosen estimators, and whether these are all there are; else the rest is left for later."""
    source = weights.find(arguments.weights)
    refiner = Refiner.from_pretrained(arguments.weights, device="cpu", backend=arguments.backend)
    made = {"sha256": weights.read_config(source).sha256, "machine": machine(backend=arguments.backend)}
    out: dict = {**made, "sets": {}}
    about = {"sha256": out["sha256"], **{k: getattr(arguments, k) for k in ("split", "limit", "weights")}}
    progress = Progress(arguments.out, {**about, "tinypose": arguments.tinypose.stem})
    instead = Instead(refiner, TinyPose(arguments.tinypose), arguments.cache)
    devs = {name: read(arguments.data, arguments.split, arguments.limit) for name, (read, _) in SETS.items()}
    whole = True
    for name, dev in devs.items():
        some, done = chosen(dev.people.estimators, arguments.estimators), {}
        for e in tqdm(some, desc=name):
            done[e] = progress.measured(
                f"{name} {e}",
                partial(measure, refiner, instead, dev, e, SETS[name][1], recover=not arguments.no_recovery),
            )
        out["sets"] |= {name: done} if done else {}
        whole &= some == dev.people.estimators
    out["perfect"] = progress.measured("perfect", partial(perfect, refiner, devs["coco"]))
    return out, whole


def machine(device: str = "cpu", dtype: str = "float32", backend: str = "torch") -> str:
    name = next(
        (line.split(":")[1].strip() for line in cpu_lines() if line.startswith("model name")), platform.machine()
    )
    threads = torch.get_num_threads()
    card = f"{torch.cuda.get_device_name(device)}, " if device != "cpu" else ""
    runtime = "ONNX Runtime" if backend == "onnx" else f"torch {torch.__version__}"
    return f"{card}{name}, {threads} thread{'s' * (threads > 1)}, {runtime}, {dtype}"


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/, lsp_extended/ and predictions/")
    parser.add_argument("--tinypose", type=Path, required=True, help="PP-TinyPose as ONNX, 256 x 192")
    parser.add_argument("--cache", type=Path, help="folder to keep the poses in that are estimated again")
    parser.add_argument("--estimators", nargs="*", help="only these; the output is written when all are there")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--no-recovery", action="store_true", help="do not measure recovered joints: a third less time")
    parser.add_argument("--backend", default="torch", help="torch or onnx: the same answers, faster on CPUs")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--limit", type=int, help="look at so many images of a set")
    parser.add_argument("-o", "--out", type=Path, default=tables.QUALITY[tables.DEFAULT], help="default: %(default)s")
    parser.add_argument("--readme", action="store_true", help="also write README.md's tables and the picture")
    arguments = parser.parse_args()
    if arguments.cache:
        arguments.cache /= arguments.tinypose.stem
    result, whole = measure_all(arguments)
    print("\n\n".join(tables.all_tables(result)))
    if whole:
        arguments.out.write_text(json.dumps(rounded(result), indent=1) + "\n")
        arguments.out.with_suffix(PARTIAL).unlink()
    if whole and arguments.readme:
        tables.write()


if __name__ == "__main__":
    sys.exit(main())
