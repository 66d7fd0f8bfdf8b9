"""PoseTrack's mAP and mMOTA before and after, on clips made of people of COCO's dev set who walk across photographs.

    python tests/benchmarks/tracking.py --data ../shared/data --trunk ../shared/trunks/movenet_lightning.safetensors

Every clip has three people cut out of photographs, who cross in front of each other, swaying, over another photograph.
MoveNet Lightning is run on the true box of everybody in every frame, so that its errors and its jitter are real; who is
who is told to nobody. Joints behind somebody nearer, or outside, are not labelled. Head size, of which half is near
enough: 0.12 of the height of the person's joints (COCO has no head boxes). Limb joints and nose.

mMOTA needs unsure joints dropped. Of the estimator, those are dropped whose score is below what serves it best here; of
the refined poses, those with a probability below 0.7.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from movenet import MoveNet
from runs import SIDE, square_maps
from tqdm import tqdm

from pose_refine import Refiner
from pose_refine.crops.cutting import cut_crops
from pose_refine.crops.geometry import CROP_WIDTH, to_image
from pose_refine.metrics.groups import mean_of_defined
from pose_refine.metrics.multi_person import Frame
from pose_refine.metrics.posetrack import pose_ap, tracking
from pose_refine.skeletons import NETWORK, SKELETONS, convert
from pose_refine.training.data import People, read_coco
from pose_refine.video.linking import Linker
from pose_refine.video.settings import SURE

JOINTS = [0, *range(5, 17)]  # of COCO's: nose and limbs
HEIGHT, WIDTH, FPS = 384, 640, 25.0
TALL = 230  # pixels that the nearest person's joints are high
HEAD = 0.12
THRESHOLDS = np.arange(0.05, 0.75, 0.05)


def alone(people: People, everybody: People) -> np.ndarray:
    """Rows of people with many joints and nobody else labelled in their photograph; both have the same images."""
    count = np.bincount(everybody.image, minlength=len(people.files))
    many = (~np.isnan(people.keypoints[:, JOINTS, 0])).sum(1) >= 12
    return np.flatnonzero(many & (count[people.image] == 1))


def cut_out(people: People, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A person's patch, how much of it is seen (its edge is soft), and the joints (17, 2) in it."""
    joints = people.keypoints[row, :17]
    image = cv2.imread(str(people.files[people.image[row]]))
    low, high = np.nanmin(joints, 0), np.nanmax(joints, 0)
    margin = 0.2 * (high - low).max()
    x0, y0 = np.maximum(low - margin, 0).astype(int)
    x1, y1 = np.minimum(high + margin + 1, (image.shape[1], image.shape[0])).astype(int)
    patch = image[y0:y1, x0:x1]
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in patch.shape[:2]), indexing="ij")
    edge = 1 - np.maximum(np.abs(x), np.abs(y)) ** 2
    return patch, np.clip(6 * edge, 0, 1).astype(np.float32), joints - [x0, y0]


def placed(patch: np.ndarray, time: float, phase: float, depth: float, start: float, speed: float) -> np.ndarray:
    """(2, 3) from the patch to the frame: across it, swaying and bobbing."""
    scale = TALL * depth / patch.shape[0] * (1 + 0.05 * np.sin(3 * time + phase))
    angle = 0.1 * np.sin(4 * time + phase)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = [start + speed * time, HEIGHT * 0.55 + 8 * np.sin(9 * time + phase)]
    return np.concatenate([linear, (middle - linear @ (np.array(patch.shape[1::-1]) / 2))[:, None]], 1)


def make_clip(
    people: People, rows: np.ndarray, background: Path, length: int, rng
) -> tuple[list, np.ndarray, np.ndarray]:
    """Images, the joints (length, 3, 17, 2), NaN where not labelled, and all of them."""
    ground = cv2.resize(cv2.imread(str(background)), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    parts = [cut_out(people, row) for row in rows]
    phases = rng.uniform(0, 6, len(rows))
    starts = WIDTH * np.array([0.2, 0.5, 0.8])
    speeds = np.array([1.0, 0.3, -1.0]) * rng.uniform(150, 350)  # pixels a second: they meet in the middle
    images, truth = [], np.full((length, len(rows), 17, 2), np.nan)
    everything = truth.copy()
    for t in range(length):
        image = ground.astype(np.float32)
        for n, (patch, seen, joints) in enumerate(parts):  # from far to near
            matrix = placed(patch, t / FPS, phases[n], 0.8 + 0.1 * n, starts[n], speeds[n])
            alpha = cv2.warpAffine(seen, matrix, (WIDTH, HEIGHT))
            image += alpha[..., None] * (cv2.warpAffine(patch, matrix, (WIDTH, HEIGHT)) - image)
            truth[t, n] = everything[t, n] = joints @ matrix[:, :2].T + matrix[:, 2]
            truth[t, : n + 1][covered(truth[t, : n + 1], alpha, n)] = np.nan
        images.append(image.round().astype(np.uint8))
    return images, truth, everything


def hidden_but_sure(
    truth: np.ndarray, everything: np.ndarray, poses: list[tuple[np.ndarray, list]], least: float
) -> int:
    """How many joints are sure, and right about one that is hidden and not labelled: to mMOTA they are wrong."""
    count = 0
    for true, whole, (found, _) in zip(truth, everything, poses, strict=True):
        hidden = np.where(np.isnan(true), whole, np.nan)[:, JOINTS]
        near = np.linalg.norm(found[:, None, JOINTS, :2] - hidden, axis=-1) < HEAD / 2 * TALL
        count += int((near.any(1) & (found[:, JOINTS, 2] >= least)).sum())
    return count


def covered(joints: np.ndarray, alpha: np.ndarray, nearest: int) -> np.ndarray:
    """Which joints (n, 17, 2) are outside, or behind the nearest person."""
    x, y = np.nan_to_num(joints, nan=-1).round().astype(int).transpose(2, 0, 1)
    outside = (x < 0) | (y < 0) | (x >= WIDTH) | (y >= HEIGHT)
    hidden = alpha[y.clip(0, HEIGHT - 1), x.clip(0, WIDTH - 1)] > 0.5
    return outside | (hidden & (np.arange(len(joints)) < nearest)[:, None])


def estimate(movenet: MoveNet, image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """MoveNet's poses (n, 17, 3) of those of whom four joints or more are seen."""
    boxed = truth[(~np.isnan(truth[..., 0])).sum(1) >= 4].astype(np.float32)
    matrices = square_maps(boxed)
    crops = cut_crops(np.ascontiguousarray(image[..., ::-1]), matrices, CROP_WIDTH + 2 * SIDE)
    found = movenet(torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1).numpy()
    return np.concatenate([to_image(found[..., :2], matrices), found[..., 2:]], -1).astype(np.float32)


def linked(poses: list[np.ndarray]) -> list[tuple[np.ndarray, list]]:
    """Poses with identities, by the same linker that the refiner uses."""
    linker = Linker(FPS)
    known = [convert(p[..., :2], SKELETONS["coco17"], NETWORK) for p in poses]
    return [(p, linker.link(t, k, [None] * len(p))) for t, (p, k) in enumerate(zip(poses, known, strict=True))]


def frames(truth: np.ndarray, everything: np.ndarray, poses: list[tuple[np.ndarray, list]], least: float) -> list:
    """For the metrics; joints with lower scores are dropped. Heads are those of whole people, hidden joints too."""
    out = []
    for true, whole, (found, ids) in zip(truth, everything, poses, strict=True):
        here = np.flatnonzero((~np.isnan(true[:, JOINTS, 0])).any(1))
        height = np.nanmax(whole[here, :, 1], 1) - np.nanmin(whole[here, :, 1], 1)
        joints = np.where(found[:, JOINTS, 2:] < least, np.nan, found[:, JOINTS, :2])
        sizes = np.maximum(HEAD * height, 10)
        out.append(Frame(true[here][:, JOINTS], sizes, joints, found[:, JOINTS, 2], here.tolist(), ids))
    return out


def figures(
    truths: list[np.ndarray], everything: list[np.ndarray], poses: list[list], least: float
) -> dict[str, float]:
    """mAP of all joints, and mMOTA of the sure ones."""
    clips = list(zip(truths, everything, poses, strict=True))
    whole = [frames(*clip, -np.inf) for clip in clips]
    sure = tracking([frames(*clip, least) for clip in clips])
    return {
        "mAP": mean_of_defined(pose_ap([f for clip in whole for f in clip]).ap),
        "mMOTA": mean_of_defined(sure.mota),
        "switches": float(sure.switches.sum()),
        "mMOTA of all joints": mean_of_defined(tracking(whole).mota),
        "hidden, sure and right": float(sum(hidden_but_sure(*clip, least) for clip in clips)),
    }


def measure(refiner: Refiner, clips: list) -> dict[str, dict[str, float]]:
    truths, everything = [c[1] for c in clips], [c[2] for c in clips]
    ways: dict[str, list] = {"input": [linked(given) for *_, given in clips], "frame by frame": [], "video": []}
    for images, _, _, given in tqdm(clips, desc="refine"):
        single = [refiner.refine(i, p, color="bgr") for i, p in zip(images, given, strict=True)]
        ways["frame by frame"].append(linked(single))
        results = refiner.analyze_video(images, given, color="bgr", fps=FPS, smooth="zero_phase")
        together = [(np.concatenate([r.poses.keypoints, r.poses.scores[..., None]], -1), r.poses.ids) for r in results]
        ways["video"].append(together)
    best = max(THRESHOLDS, key=lambda least: figures(truths, everything, ways["input"], least)["mMOTA"])
    return {n: figures(truths, everything, poses, best if n == "input" else SURE) for n, poses in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--trunk", type=Path, required=True, help="MoveNet Lightning's tensors")
    parser.add_argument("--clips", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--length", type=int, default=24, help="frames a clip (default: %(default)s)")
    parser.add_argument("--weights", help="default: embedded")
    parser.add_argument("--show", type=Path, help="folder to write the first clip's images to")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    refiner, movenet = Refiner.from_pretrained(arguments.weights, device="cpu"), MoveNet("lightning", arguments.trunk)
    read = partial(read_coco, arguments.data / "coco", "dev", arguments.data / "predictions" / "coco_dev")
    people = read(height=150)
    lonely = alone(people, read(least=1))
    rng, clips = np.random.default_rng(0), []
    for _ in tqdm(range(arguments.clips), desc="clips"):
        rows = rng.choice(lonely, 3, replace=False)
        images, truth, everything = make_clip(
            people, rows, people.files[rng.integers(len(people.files))], arguments.length, rng
        )
        given = [estimate(movenet.eval(), image, true) for image, true in zip(images, truth, strict=True)]
        clips.append((images, truth, everything, given))
    for i, image in enumerate(clips[0][0] if arguments.show else ()):
        cv2.imwrite(str(arguments.show / f"{i:03d}.jpg"), image)
    table = measure(refiner, clips)
    names = list(table["input"])
    print("\n".join(["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]))
    for way, row in table.items():
        print(f"| {way} | " + " | ".join(f"{row[n]:.1f}" for n in names) + " |")
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
