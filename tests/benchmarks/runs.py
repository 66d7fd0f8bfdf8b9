"""Whom the benchmark looks at, and what one could do with their poses: refine them, or estimate again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from pose_refine.training.movenet import MoveNet

from pose_refine import Refiner
from pose_refine.crops import CROP_WIDTH, crop_boxes, crop_matrices, cut_crops, to_image
from pose_refine.scenes import Picture, Scene
from pose_refine.skeletons import NETWORK
from pose_refine.training.data import People, read_coco, read_lsp, select

JOINTS = 17  # COCO's: what the estimators give
SIDE = 32  # pixels more on each side than the refiner's crop: MoveNet takes squares
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]  # image RGB, poses (n, 17, 3) -> (n, 17, 3)


@dataclass(frozen=True)
class DevSet:
    """Labelled people of one data set.

    Attributes:
        people: All of them, those who are not measured too: they are somebody's neighbours.
        rows: Who is measured.
    """

    people: People
    rows: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """(P, 17, 2) image pixels, NaN where not labelled."""
        return self.people.keypoints[:, :JOINTS]

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
    """`step` on all people of an image at once who have a pose; (P, 17, 3), NaN for the others."""
    out = np.full((len(poses), JOINTS, 3), np.nan, np.float32)
    rows = np.flatnonzero(~np.isnan(poses[..., 0]).all(1))
    order = rows[np.argsort(people.image[rows], kind="stable")]
    for together in np.split(order, np.flatnonzero(np.diff(people.image[order])) + 1):
        if len(together):
            image = cv2.imread(str(people.files[people.image[together[0]]]))[:, :, ::-1]
            out[together] = step(image, poses[together])
    return out


def refined(refiner: Refiner) -> Step:
    """What the package does."""
    return lambda image, poses: refiner.refine(image, poses, skeleton="coco17")


def without_pose(refiner: Refiner, looks: int) -> Step:
    """The same network on the same crop, which comes from the pose, without any pose maps; looking twice, the second
    time at what it found itself."""

    def step(image: np.ndarray, poses: np.ndarray) -> np.ndarray:
        nothing, rows = np.full((len(poses), len(NETWORK.joints), 2), np.nan, np.float32), np.arange(len(poses))
        matrices = crop_matrices(*crop_boxes(poses[..., :2], image.shape[:2]))
        scene = Scene(Picture(image, "rgb"), nothing, nothing, matrices)
        found = refiner._refine_crops(scene, rows, 64)
        if looks == 2:
            found = refiner._refine_crops(scene.closer(found), rows, 64)
        return found[:, :JOINTS]

    return step


def run_again(movenet: MoveNet) -> Step:
    """MoveNet on the box that refining would have cut, widened to the square that it takes."""

    def step(image: np.ndarray, poses: np.ndarray) -> np.ndarray:
        matrices = crop_matrices(*crop_boxes(poses[..., :2], image.shape[:2]))
        matrices[:, :, 2] -= SIDE * matrices[:, :, 0]
        crops = cut_crops(image, matrices, CROP_WIDTH + 2 * SIDE)
        found = movenet(torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1).numpy()
        return np.concatenate([to_image(found[..., :2], matrices), found[..., 2:]], -1)

    return step
