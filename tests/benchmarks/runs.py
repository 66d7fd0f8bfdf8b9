"""Whom the benchmark looks at, and what one could do with their poses: refine them, or estimate again."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tinypose import TinyPose, boxes_of
from tqdm import tqdm

from pose_refine import Refiner
from pose_refine.crops.batches import Picture, Scene
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, MARGIN, crop_matrices, where_to_cut
from pose_refine.nn.predictor import RESULT
from pose_refine.skeletons import MPII_CONVENTION, NETWORK, SKELETONS, convert
from pose_refine.training.data import People, read_coco, read_lsp, select

JOINTS = 17  # COCO's: what the estimators give
SIDE = 32  # pixels more on each side than the refiner's crop: MoveNet takes squares
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]  # image RGB, poses (n, K, 2 or 3) -> (n, K', 3)


@dataclass(frozen=True)
class DevSet:
    """Labelled people of one data set.

    Attributes:
        people: All of them, those who are not measured too: they are somebody's neighbours.
        rows: Who is measured.
        joints: K, how many of the network's joints are measured: COCO's 17, or all 19, with neck and head top.
    """

    people: People
    rows: np.ndarray
    joints: int = JOINTS

    @property
    def truth(self) -> np.ndarray:
        """(P, K, 2) image pixels, NaN where not labelled."""
        return self.people.keypoints[:, : self.joints]

    def predicted(self, estimator: int) -> np.ndarray:
        """(P, 17, 3) x, y, score, NaN where the estimator gave none."""
        return self.people.predicted[:, estimator, :JOINTS]


def read_coco_dev(data: Path, split: str, images: int | None = None) -> DevSet:
    """The first so many images; measured are people with at least 8 labelled joints and a box 64 pixels high."""
    root, predictions = data / "coco", data / "predictions" / f"coco_{split}"
    everybody = read_coco(root, split, predictions, least=1)
    measured = read_coco(root, split, predictions, least=8, height=64)
    row = {key: i for i, key in enumerate(zip(everybody.image, everybody.area, strict=True))}
    rows = [row[key] for key in zip(measured.image, measured.area, strict=True)]
    return first_images(DevSet(everybody, np.array(rows)), images)


def read_lsp_dev(data: Path, split: str, images: int | None = None) -> DevSet:
    """The first so many images; measured are people with at least 8 of the limbs' 12 joints labelled."""
    people = read_lsp(data / "lsp_extended", split, data / "predictions" / f"lsp_{split}")
    labelled = ~np.isnan(people.keypoints[:, :JOINTS, 0])
    return first_images(DevSet(people, np.flatnonzero(labelled.sum(1) >= 8)), images)


def first_images(dev: DevSet, images: int | None) -> DevSet:
    kept = np.flatnonzero(dev.people.image < (images or len(dev.people.files)))
    measured = np.isin(kept, dev.rows)
    return DevSet(select(dev.people, kept), np.flatnonzero(measured))


def run_all(people: People, poses: np.ndarray, step: Step) -> np.ndarray:
    """`step` on all people of an image at once who have a pose (P, K, C); (P, K', 3), NaN for the others."""
    rows = by_image(people, poses)
    found = [
        step(read_rgb(people, together[0]), poses[together])
        for together in tqdm(rows, desc="images", leave=False, mininterval=2)
    ]
    out = np.full((len(poses), found[0].shape[1] if found else poses.shape[1], 3), np.nan, np.float32)
    for together, answer in zip(rows, found, strict=True):
        out[together] = answer
    return out


def by_image(people: People, poses: np.ndarray) -> list[np.ndarray]:
    """Rows of the people who have a pose (P, K, C), one array an image."""
    rows = np.flatnonzero(~np.isnan(poses[..., 0]).all(1))
    order = rows[np.argsort(people.image[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(people.image[order])) + 1) if len(order) else []


def read_rgb(people: People, row: int) -> np.ndarray:
    """The image (H, W, 3) that shows a person."""
    return np.ascontiguousarray(cv2.imread(str(people.files[people.image[row]]))[:, :, ::-1])


def refined(refiner: Refiner, skeleton: str = "coco17", trust: float | None = None) -> Step:
    """What the package does."""
    return lambda image, poses: refiner.refine(image, poses, skeleton=skeleton, trust=trust)


def without_pose(refiner: Refiner, mpii: bool) -> Step:
    """The same network on the same crop, which comes from the pose (the network's 19 joints), without pose maps; its
    joints as COCO means them, or as MPII does."""

    def step(image: np.ndarray, poses: np.ndarray) -> np.ndarray:
        nothing = np.full((len(poses), len(NETWORK.joints), 2), np.nan, np.float32)
        *_, matrices = where_to_cut(poses, NETWORK, image.shape[:2])
        scene = Scene(Picture(image, "rgb"), nothing, nothing, matrices, mpii)
        return refiner.predictor.predict([(scene, np.arange(len(poses)))], 64)[0][..., RESULT]

    return step


def square_maps(poses: np.ndarray) -> np.ndarray:
    """Maps (N, 2, 3) from the pixels of upright square crops around poses (N, K, C >= 2) to image pixels."""
    boxes = boxes_of(poses)
    size = boxes[:, 2:] - boxes[:, :2]
    height = np.maximum(size[:, 1], size[:, 0] * CROP_HEIGHT / CROP_WIDTH).clip(8) * MARGIN
    matrices = crop_matrices((boxes[:, :2] + boxes[:, 2:]) / 2, height)
    matrices[:, :, 2] -= SIDE * matrices[:, :, 0]
    return matrices


def tinypose_again(tinypose: TinyPose) -> Step:
    """TinyPose on the box of the pose."""
    return lambda image, poses: tinypose(image, boxes_of(poses))


@dataclass(frozen=True)
class Instead:
    """What one could do with poses instead of refining them: look without them, and estimate again.

    Attributes:
        refiner: Whose network.
        tinypose: The estimator to run again.
        cache: Folder to keep the poses in that do not depend on the refiner, or None.
    """

    refiner: Refiner
    tinypose: TinyPose
    cache: Path | None

    def __call__(self, people: People, poses: np.ndarray, skeleton: str, name: str) -> dict[str, np.ndarray]:
        """Ways to poses (P, K, 3) of the same people and skeleton as those given, of an estimator of that `name`."""
        source, coco = SKELETONS[skeleton], SKELETONS["coco17"]

        def kept(way: str, given: np.ndarray, step: Step) -> np.ndarray:
            return remembered(self.cache, f"{name}_{way}", people, given, step)

        blind_step = without_pose(self.refiner, skeleton in MPII_CONVENTION)
        blind = run_all(people, convert(poses, source, NETWORK), blind_step)
        tiny = kept("tinypose", poses, tinypose_again(self.tinypose))
        found = {
            "no_pose": (blind, NETWORK),
            "tinypose": (tiny, coco),
            "tinypose_twice": (kept("tinypose_twice", tiny, tinypose_again(self.tinypose)), coco),
        }
        return {way: convert(theirs, joints, source) for way, (theirs, joints) in found.items()}


def remembered(folder: Path | None, name: str, people: People, poses: np.ndarray, step: Step) -> np.ndarray:
    """`run_all`, its answer kept in `folder` for the next run: what is estimated again is the same for all weights.

    The file's name has a hash of the images' names and the poses. If the code of `step` changes, remove the folder.
    """
    if folder is None:
        return run_all(people, poses, step)
    images = "\n".join(people.files[i].name for i in people.image)
    key = hashlib.sha256(images.encode() + poses.tobytes()).hexdigest()[:12]
    path = folder / f"{name}_{key}.npz"
    if path.exists():
        with np.load(path) as kept:
            return kept["poses"]
    found = run_all(people, poses, step)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, poses=found)
    return found
