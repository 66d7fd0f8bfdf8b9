"""PoseRefiner's own table: MPII's validation people, with the poses that published methods gave for them.

    python tests/benchmarks/mpii.py --data ../shared/data --tinypose ../shared/trunks/tinypose_v1.onnx

For every method PCKh@0.5, AUC and PCKh@0.1, before and after, and by joint group: MPII's single-person protocol, the
official fourteen joints, head boxes as annotated. The same with the method's mean shift taken out first: some published
files lie a few pixels beside the labels, and undoing that is no refinement. And beside it, over the twelve limb joints
that all know, the network without the pose and PP-TinyPose run again on the box of the pose. All people of the
validation list in one photograph are refined together.

  harm, loosen   as in figures.py: right is within the OKS-.85 radius, wrong beyond the OKS-.50 radius; a person's area
                 is 0.53 x the box of the labelled joints; over the fourteen joints
  shift          mean of found less true over the joints within half a head size, pixels of the original photographs

Writes tests/benchmarks/quality_mpii.json, and with --readme the tables of README.md, the model cards and docs/mpii.md
(as `tables.py` does). The small weights' file is made with --weights small -o tests/benchmarks/quality_mpii_small.json.
An interrupted run goes on where it was (remove the output's .partial.json to start over).
"""

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tables
import tables_mpii
from figures import Compared
from papers import nearest_start
from quality import machine
from runs import DevSet, Instead, refined, run_all
from tinypose import TinyPose
from tqdm import tqdm
from writing import PARTIAL, Progress, chosen, rounded

from pose_refine import Refiner
from pose_refine.metrics.groups import group_means
from pose_refine.metrics.pckh import HIT, NOT_COUNTED, head_distance, head_size, pckh
from pose_refine.nn import weights
from pose_refine.skeletons import NETWORK, SKELETONS, convert
from pose_refine.training.data import People, box_area

MPII = SKELETONS["mpii16"]
FINE = 0.1  # head sizes
HEAD = ("upper_neck", "head_top")  # which TinyPose does not know


@dataclass(frozen=True)
class MpiiSet:
    """People of the validation list.

    Attributes:
        dev: The people, as the network's 19 joints.
        truth: (P, 16, 2) MPII's joints, image pixels, NaN where not labelled.
        heads: (P,) head sizes, image pixels.
        scale: (P,) image pixels to one of the original photograph.
    """

    dev: DevSet
    truth: np.ndarray
    heads: np.ndarray
    scale: np.ndarray


def read_mpii(data: Path, split: str, methods: list[str], images: int | None) -> tuple[MpiiSet, dict[str, np.ndarray]]:
    """The people on the validation list in the first so many images, and each method's poses (P, 16, 2) of them."""
    with np.load(data / "mpii" / f"joints_{split}.npz") as z:
        rows = np.flatnonzero(z["val_row"] >= 0)
        names = np.unique(z["file_name"][rows])[:images]
        rows = rows[np.isin(z["file_name"][rows], names)]
        truth, heads, scale = z["keypoints"][rows, :, :2], head_size(z["head_box"][rows]), z["scale"][rows]
        image = np.searchsorted(names, z["file_name"][rows])
    keypoints = convert(truth, MPII, NETWORK)
    nothing = np.zeros((len(rows), 0, len(NETWORK.joints), 3), np.float32)
    files = [data / "mpii" / split / str(name) for name in names]
    people = People(
        keypoints,
        box_area(keypoints),
        image,
        files,
        nothing,
        [],
        np.ones(len(rows), np.float32),
        np.ones(len(rows), bool),
    )
    poses = {name: read_poses(data / "predictions" / f"mpii_{split}" / f"{name}.npz", rows) for name in methods}
    return MpiiSet(DevSet(people, np.arange(len(rows)), len(NETWORK.joints)), truth, heads, scale), poses


def read_poses(path: Path, rows: np.ndarray) -> np.ndarray:
    """A method's poses (P, 16, 2) of people in rows (P,) of the joints file, NaN where it gives none."""
    with np.load(path) as z:
        where = {int(row): i for i, row in enumerate(z["row"])}
        out = np.full((len(rows), *z["keypoints"].shape[1:]), np.nan, np.float32)
        known = np.array([int(row) in where for row in rows])
        out[known] = z["keypoints"][[where[int(row)] for row in rows[known]]]
    return out


def mean_shift(poses: np.ndarray, truth: np.ndarray, heads: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(2,) by how many pixels of the original photographs poses (P, K, 2) lie beside the truth, right joints' mean."""
    right = head_distance(poses, truth, heads) <= HIT
    shift: np.ndarray = ((poses - truth) / scale[:, None, None])[right].mean(0)
    return shift


def accuracy(mpii: MpiiSet, poses: np.ndarray, leave_out: tuple[str, ...] = NOT_COUNTED) -> dict[str, float]:
    """PCKh@0.5, AUC and PCKh@0.1 of poses (P, 16, C >= 2)."""
    half, fine = (
        pckh(poses[..., :2], mpii.truth, mpii.heads, threshold=t, leave_out=leave_out).total for t in (HIT, FINE)
    )
    auc = pckh(poses[..., :2], mpii.truth, mpii.heads, leave_out=leave_out).auc
    return {"pckh": half, "auc": auc, "pckh_fine": fine}


def groups(mpii: MpiiSet, poses: np.ndarray, threshold: float) -> dict[str, float]:
    """PCKh of poses (P, 16, C >= 2) by joint group: the mean of left and right, as MPII's toolkit prints it."""
    found = pckh(poses[..., :2], mpii.truth, mpii.heads, threshold=threshold).joints
    return group_means(found, MPII.joints)


def harm(mpii: MpiiSet, before: np.ndarray, after: np.ndarray, leave_out: tuple[str, ...] = ()) -> dict[str, float]:
    """Harm and loosen of poses (P, 16, C >= 2)."""
    old, new = (convert(poses[..., :2], MPII, NETWORK) for poses in (before, after))
    joints = np.isfinite(old[..., 0]).any(0) & ~np.isin(NETWORK.joints, leave_out)
    found = Compared(mpii.dev, old, new, joints).only()
    return {name: found[name] for name in ("harm", "loosen")}


def measure(refiner: Refiner, instead: Instead, mpii: MpiiSet, poses: np.ndarray, name: str) -> dict:
    """All figures of one method."""
    refine, people = refined(refiner, MPII.name), mpii.dev.people
    after = run_all(people, poses, refine)
    shift = mean_shift(poses, mpii.truth, mpii.heads, mpii.scale)
    level = (poses - shift * mpii.scale[:, None, None]).astype(np.float32)
    out = {"people": len(poses), **before_after(mpii, poses, after), "shift": shift.tolist()}
    out["level"] = before_after(mpii, level, run_all(people, level, refine))
    for key, threshold in (("groups", HIT), ("groups_fine", FINE)):
        out[key] = [groups(mpii, p, threshold) for p in (poses, after)]
    ways = {"before": poses, "after": after, **instead(people, poses, MPII.name, f"mpii_{name}")}
    leave_out = (*NOT_COUNTED, *HEAD)
    out["limbs"] = {way: {**accuracy(mpii, p, leave_out), **harm(mpii, poses, p, HEAD)} for way, p in ways.items()}
    start = out["before"]["pckh"], out["before"]["auc"]
    return out | {"paper": nearest_start(start)}


def before_after(mpii: MpiiSet, before: np.ndarray, after: np.ndarray) -> dict:
    return {"before": accuracy(mpii, before), "after": accuracy(mpii, after), **harm(mpii, before, after)}


def measure_all(arguments: argparse.Namespace) -> dict:
    source = weights.find(arguments.weights)
    refiner = Refiner.from_pretrained(arguments.weights, device="cpu", backend=arguments.backend)
    made = {"sha256": weights.read_config(source).sha256, "machine": machine(backend=arguments.backend)}
    out: dict = {**made, "methods": {}}
    about = {"sha256": out["sha256"], **{k: getattr(arguments, k) for k in ("split", "limit", "weights")}}
    progress = Progress(arguments.out, {**about, "tinypose": arguments.tinypose.stem})
    files = (arguments.data / "predictions" / f"mpii_{arguments.split}").glob("*.npz")
    methods = chosen(sorted(path.stem for path in files), arguments.methods)
    mpii, poses = read_mpii(arguments.data, arguments.split, methods, arguments.limit)
    cache = arguments.cache and arguments.cache / arguments.tinypose.stem
    instead = Instead(refiner, TinyPose(arguments.tinypose), cache)
    for name in tqdm(methods, desc="methods"):
        out["methods"][name] = progress.measured(name, partial(measure, refiner, instead, mpii, poses[name], name))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with mpii/ and predictions/")
    parser.add_argument("--tinypose", type=Path, required=True, help="PP-TinyPose as ONNX, 256 x 192")
    parser.add_argument("--cache", type=Path, help="folder to keep the poses in that are estimated again")
    parser.add_argument(
        "--methods", nargs="*", help="default: all there; a choice writes no output but the .partial.json"
    )
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--backend", default="torch", help="torch or onnx: the same answers, faster on CPUs")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--limit", type=int, help="look at so many images")
    parser.add_argument("-o", "--out", type=Path, default=tables.MPII[tables.DEFAULT], help="default: %(default)s")
    parser.add_argument("--readme", action="store_true", help="also write the pages' tables")
    arguments = parser.parse_args()
    result = rounded(measure_all(arguments))
    print(tables_mpii.page(result))
    if arguments.methods is None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
        arguments.out.with_suffix(PARTIAL).unlink()
        if arguments.readme:
            tables.write()


if __name__ == "__main__":
    main()
