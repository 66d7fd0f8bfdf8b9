"""How good the weights are, on real images with real estimators' predictions, beside what a user could do instead.

    python tests/benchmarks/quality.py --data ../shared/data --trunk ../shared/trunks/movenet_thunder.safetensors

For every estimator: its poses as they are; refined; the same network shown no pose (its crop still comes from the
pose); and MoveNet Thunder run again on the box of the pose. Then ground truth as input, and recovery of removed joints.
Figures are percent, over people with >= 8 labelled joints and a box >= 64 px high:
  recall  mean over OKS thresholds .50:.05:.95 of the share of people above it (area as annotated, COCO's sigmas)
  harm    of the joints within their OKS-.85 radius before, the share beyond their OKS-.50 radius after
  loosen  of the same, the share beyond their OKS-.85 radius after
  help    of the joints beyond their OKS-.50 radius before, the share within their OKS-.85 radius after
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from pose_refine import Refiner
from pose_refine.crops import CROP_WIDTH, crop_boxes, crop_matrices, cut_crops, to_image
from pose_refine.metrics.oks import oks_recall, similarity
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training.data import People, read_coco
from pose_refine.training.movenet import MoveNet

JOINTS = 17
SIDE = 32  # pixels more on each side than the refiner's crop: MoveNet takes squares
REMOVED = 0.2  # share of a person's joints, the lowest-scored, that recovery is measured on


def by_image(people: People, rows: np.ndarray) -> list[np.ndarray]:
    order = rows[np.argsort(people.image[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(people.image[order])) + 1)


def run_all(people: People, poses: np.ndarray, rows: np.ndarray, step) -> np.ndarray:
    """`step(image RGB, poses (n, 17, 2))` on all people of an image at once; (P, 17, 3)."""
    out = np.full((len(poses), JOINTS, 3), np.nan, np.float32)
    for together in by_image(people, rows):
        image = cv2.imread(str(people.files[people.image[together[0]]]))[:, :, ::-1]
        out[together] = step(image, poses[together])
    return out


def without_pose(refiner: Refiner):
    """The same network, the same crop, no pose maps."""

    def step(image, poses):
        nothing = np.full((len(poses), len(NETWORK.joints), 2), np.nan, np.float32)
        matrices = crop_matrices(*crop_boxes(poses, image.shape[:2]))
        return refiner._refine_crops(image, "rgb", nothing, matrices, 64)[:, :JOINTS]

    return step


def run_again(movenet: MoveNet):
    """MoveNet on the box that refining would have cut, widened to the square that it takes."""

    def step(image, poses):
        matrices = crop_matrices(*crop_boxes(poses, image.shape[:2]))
        matrices[:, :, 2] -= SIDE * matrices[:, :, 0]
        crops = cut_crops(image, matrices, CROP_WIDTH + 2 * SIDE)
        found = movenet(torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1).numpy()
        return np.concatenate([to_image(found[..., :2], matrices), found[..., 2:]], -1)

    return step


def recall(poses: np.ndarray, people: People, joints: np.ndarray, rows: np.ndarray) -> float:
    truth = people.keypoints[rows, :JOINTS]
    return oks_recall(poses[rows], truth, people.area[rows], joints, SIGMAS[:JOINTS])


def near(poses: np.ndarray, people: People, rows: np.ndarray) -> np.ndarray:
    """Keypoint similarity (R, 17)."""
    return similarity(poses[rows], people.keypoints[rows, :JOINTS], people.area[rows], SIGMAS[:JOINTS])


def changes(before: np.ndarray, after: np.ndarray, people: People, joints: np.ndarray, rows: np.ndarray) -> dict:
    labelled = (~np.isnan(people.keypoints[rows, :JOINTS, 0])) & joints
    old, new = near(before, people, rows), near(after, people, rows)
    right, wrong = labelled & (old >= 0.85), labelled & (old < 0.5)
    return {
        "harm": float(100 * (new[right] < 0.5).mean()),
        "loosen": float(100 * (new[right] < 0.85).mean()),
        "help": float(100 * (new[wrong] >= 0.85).mean()),
    }


def calibration_error(scores: np.ndarray, is_right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error, percent (Guo et al. 2017), over equally wide bins."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[which == b].mean() - is_right[which == b].mean()) * (which == b).mean() for b in set(which)]
    return float(100 * sum(gaps))


def recovery(refiner: Refiner, people: People, predicted: np.ndarray, joints: np.ndarray, rows: np.ndarray) -> dict:
    """Remove each person's lowest-scored joints, and see which come back right."""
    scores = np.where(joints, predicted[..., 2], np.inf)
    gone = scores.argsort(1).argsort(1) < round(REMOVED * joints.sum())
    poses = np.where(gone[..., None], np.float32(np.nan), predicted[..., :2])
    after = run_all(people, poses, rows, refiner.refine)
    labelled = gone[rows] & ~np.isnan(people.keypoints[rows, :JOINTS, 0])
    is_right = near(after, people, rows)[labelled] >= 0.85
    before = near(predicted, people, rows)[labelled] >= 0.85
    ece = calibration_error(after[rows][..., 2][labelled], is_right)
    return {"recovered": float(100 * is_right.mean()), "were_right": float(100 * before.mean()), "recovered_ece": ece}


def perfect(refiner: Refiner, people: People, rows: np.ndarray) -> dict:
    """Ground truth as input: what is spoilt, and how far joints move, of the person's box height."""
    truth = people.keypoints[:, :JOINTS]
    after = run_all(people, truth, rows, refiner.refine)
    height = np.nanmax(truth[rows, :, 1], 1) - np.nanmin(truth[rows, :, 1], 1)
    shift = np.linalg.norm(after[rows, :, :2] - truth[rows], axis=-1) / height[:, None]
    labelled = ~np.isnan(truth[rows, :, 0])
    new = near(after, people, rows)[labelled]
    return {
        "recall": recall(after, people, np.ones(JOINTS, bool), rows),
        "harm": float(100 * (new < 0.5).mean()),
        "loosen": float(100 * (new < 0.85).mean()),
        "median_shift": float(100 * np.median(shift[labelled])),
    }


def cost(refiner: Refiner, people: People, poses: np.ndarray, rows: np.ndarray) -> dict:
    """Milliseconds a person of refine(), and of the network alone at the same batch size, in turns."""
    crops = torch.zeros(4, 3, 256, 192).contiguous(memory_format=torch.channels_last)
    maps = torch.zeros(4, 19, 32, 24), torch.zeros(4, 19, 64, 48)
    whole, bare = [], []
    for together in by_image(people, rows):
        image = cv2.imread(str(people.files[people.image[together[0]]]))[:, :, ::-1]
        start = time.perf_counter()
        refiner.refine(image, poses[together])
        middle = time.perf_counter()
        with torch.inference_mode():
            for k in range(0, len(together), 4):
                n = min(4, len(together) - k)
                refiner._model.network(crops[:n], maps[0][:n], maps[1][:n])
        whole.append(middle - start)
        bare.append(time.perf_counter() - middle)
    return {"refine_ms": 1e3 * sum(whole) / len(rows), "network_ms": 1e3 * sum(bare) / len(rows)}


def measure(refiner: Refiner, movenet: MoveNet, people: People, rows: np.ndarray, estimator: int) -> dict:
    predicted = people.predicted[:, estimator, :JOINTS]
    joints = np.isfinite(predicted[..., 0]).any(0)
    poses = predicted[..., :2]
    rows = rows[np.isfinite(poses[rows, :, 0]).any(1)]
    after = run_all(people, poses, rows, refiner.refine)
    row = {"people": len(rows), "before": recall(predicted, people, joints, rows)}
    row["after"] = recall(after, people, joints, rows)
    for name, step in (("no_pose", without_pose(refiner)), ("again", run_again(movenet))):
        other = run_all(people, poses, rows, step)
        row[name] = recall(other, people, joints, rows)
        row[f"{name}_harm"] = changes(predicted, other, people, joints, rows)["harm"]
    row |= changes(predicted, after, people, joints, rows)
    labelled = (~np.isnan(people.keypoints[rows, :JOINTS, 0])) & joints
    right = near(after, people, rows)[labelled] >= 0.85
    row["ece"] = calibration_error(after[rows][..., 2][labelled], right)
    return row | recovery(refiner, people, predicted, joints, rows)


COLUMNS = {
    "people": "n", "before": "before", "after": "after", "harm": "harm", "loosen": "loosen", "help": "help",
    "ece": "ECE", "recovered": "recovered", "no_pose": "no pose shown", "no_pose_harm": "its harm",
    "again": "Thunder run again", "again_harm": "its harm",
}  # fmt: skip


def markdown(table: dict) -> str:
    lines = ["| estimator | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in table.items():
        cells = [f"{row[c]:.1f}" if c != "people" else str(row[c]) for c in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--trunk", type=Path, required=True, help="MoveNet Thunder's tensors")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--limit", type=int, help="at most this many people")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    refiner = Refiner.from_pretrained(arguments.weights, device="cpu")
    movenet = MoveNet("thunder", arguments.trunk).eval()
    folder = arguments.data / "predictions" / f"coco_{arguments.split}"
    people = read_coco(arguments.data / "coco", arguments.split, folder, least=8, height=64)
    rows = np.arange(len(people.area))[: arguments.limit]
    names = tqdm(people.estimators, desc="estimators")
    table = {name: measure(refiner, movenet, people, rows, e) for e, name in enumerate(names)}
    figures = {"estimators": table, "perfect": perfect(refiner, people, rows)}
    figures["cost"] = cost(refiner, people, people.predicted[:, 0, :JOINTS, :2], rows[:200])
    print(markdown(dict(sorted(table.items(), key=lambda item: -item[1]["before"]))))
    print("ground truth as input:", {k: round(v, 2) for k, v in figures["perfect"].items()})
    print("cost a person:", {k: round(v, 2) for k, v in figures["cost"].items()})
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
