"""What time adds: real estimators' poses on the frames of real video clips, before and after.

    python tests/benchmarks/video.py --data ../shared/data

Figures, over the twelve limb joints that are inside the frame; sizes are the longer side of the true joints' box:
  PCK     percent of joints within 0.1 of the size
  fast    the same, of the tenth of the joints that truly move fastest
  flips   percent of joints beyond 0.1 of their own place but within 0.1 of their mirror image's, where these are apart
  jitter  mean difference of acceleration to the true one, percent of the size a frame squared
  cost    CPU time a frame beside that of refining frame by frame
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from pose_refine import Refiner
from pose_refine.skeletons import NETWORK
from pose_refine.video.pipeline import analyze_frames
from pose_refine.video.settings import Settings
from pose_refine.video.stages import FramePredictor

JOINTS = range(5, 17)  # the network's limb joints: all but the head's
TRUTH = [f"{NETWORK.joints[k][0]}_{NETWORK.joints[k].split('_')[1]}" for k in JOINTS]  # r_shoulder as the data calls it
MIRROR = [NETWORK.mirror[k] - JOINTS[0] for k in JOINTS]
NEAR = 0.1
FASTEST = 90  # percentile


def read_clips(data: Path, split: str, estimator: str) -> list[dict]:
    """Each clip's frames (T, H, W, 3), predictions (T, 19, 2) and true joints (T, 12, 3)."""
    truth = np.load(data / "jhmdb" / split / "joints.npz")
    predicted = np.load(data / "predictions" / f"jhmdb_{split}" / f"{estimator}.npz")
    columns = [list(truth["joint_names"]).index(name) for name in TRUTH]
    names = truth["file_name"][predicted["ann_id"]]
    clips = []
    for clip in sorted({name.split("/")[0] for name in names}):
        rows = np.flatnonzero([name.startswith(f"{clip}/") for name in names])
        rows = rows[np.argsort(names[rows])]
        images = [cv2.imread(str(data / "jhmdb" / split / name)) for name in names[rows]]
        joints = truth["keypoints"][predicted["ann_id"][rows]][:, columns]
        clips.append({"images": images, "poses": predicted["keypoints"][rows, :, :2], "truth": joints})
    return clips


def figures(clips: list[dict], poses: list[np.ndarray]) -> dict[str, float]:
    right, flipped, speed, jitter = [], [], [], []
    for clip, found in zip(clips, poses, strict=True):
        true, seen = clip["truth"][..., :2], clip["truth"][..., 2] > 0
        size = np.ptp(true, axis=1).max(-1)[:, None]
        error = np.linalg.norm(found - true, axis=-1) / size
        mirrored = np.linalg.norm(found - true[:, MIRROR], axis=-1) / size
        apart = np.linalg.norm(true - true[:, MIRROR], axis=-1) / size
        pace = np.full(error.shape, np.nan)
        pace[1:-1] = np.linalg.norm(true[2:] - true[:-2], axis=-1) / size[1:-1]
        bend = np.linalg.norm(np.diff(found - true, 2, axis=0), axis=-1) / size[1:-1]
        right.append((error < NEAR)[seen])
        flipped.append(((error >= NEAR) & (mirrored < NEAR) & (apart > NEAR))[seen])
        speed.append(pace[seen])
        jitter.append(bend[seen[1:-1] & seen[2:] & seen[:-2]])
    is_right, pace = np.concatenate(right), np.concatenate(speed)
    fast = pace >= np.nanpercentile(pace, FASTEST)
    values = is_right, is_right[fast], np.concatenate(flipped), np.concatenate(jitter)
    return {k: float(100 * v.mean()) for k, v in zip(("PCK", "fast", "flips", "jitter"), values, strict=True)}


def frame_by_frame(refiner: Refiner, clip: dict) -> np.ndarray:
    pairs = zip(clip["images"], clip["poses"], strict=True)
    return np.stack([refiner.refine(i, p[None], skeleton="network19", color="bgr")[0, JOINTS, :2] for i, p in pairs])


def with_time(refiner: Refiner, clip: dict, answers: dict, **options) -> np.ndarray:
    """Answers of the network are taken from `answers`, or put there: filters are compared at no cost."""
    predictor = FramePredictor(refiner.predictor, 64, answers, answers.__setitem__)
    pairs = ((image, "bgr", pose[None]) for image, pose in zip(clip["images"], clip["poses"], strict=True))
    ids = [[1]] * len(clip["images"])
    results = analyze_frames(predictor, pairs, ids, Settings(skeleton="network19", **options))
    return np.stack([refined.poses.keypoints[0, JOINTS] for _, refined in results])


def measure(refiner: Refiner, clips: list[dict], again: float) -> dict[str, dict[str, float]]:
    ways: dict[str, list[np.ndarray]] = {
        "input": [clip["poses"][:, JOINTS] for clip in clips],
        "frame by frame": [],
        "video": [],
        "one_euro": [],
        "zero_phase": [],
        "two looks": [],
    }
    spent = [0.0, 0.0]
    for clip in tqdm(clips, desc="clips", leave=False):
        answers: dict = {}
        start = time.process_time()
        ways["frame by frame"].append(frame_by_frame(refiner, clip))
        middle = time.process_time()
        ways["video"].append(with_time(refiner, clip, answers, again=again))
        spent = [spent[0] + middle - start, spent[1] + time.process_time() - middle]
        for smooth in ("one_euro", "zero_phase"):
            ways[smooth].append(with_time(refiner, clip, answers, again=again, smooth=smooth))
        ways["two looks"].append(with_time(refiner, clip, {}, again=again, smooth="zero_phase", passes=2))
    rows = {name: figures(clips, poses) for name, poses in ways.items()}
    rows["video"]["cost"] = spent[1] / spent[0]
    return rows


def markdown(table: dict[str, dict[str, dict[str, float]]]) -> str:
    names = ("PCK", "fast", "flips", "jitter", "cost")
    lines = ["| estimator | | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for estimator, rows in table.items():
        for way, row in rows.items():
            cells = [f"{row[n]:.2f}" if n == "cost" else f"{row[n]:.1f}" if n in row else "" for n in names if n in row]
            cells += [""] * (len(names) - len(cells))
            lines.append(f"| {estimator} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with jhmdb/ and predictions/")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--estimators", nargs="*", help="default: all there")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--again", type=float, default=Settings.again, help="share of second looks")
    parser.add_argument("--limit", type=int, help="at most this many clips")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    refiner = Refiner.from_pretrained(arguments.weights, device="cpu")
    files = sorted((arguments.data / "predictions" / f"jhmdb_{arguments.split}").glob("*.npz"))
    names = arguments.estimators or [path.stem for path in files]
    table = {}
    for name in tqdm(names, desc="estimators"):
        clips = read_clips(arguments.data, arguments.split, name)[: arguments.limit]
        table[name] = measure(refiner, clips, arguments.again)
        tqdm.write(markdown({name: table[name]}))
    print(markdown(table))
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
