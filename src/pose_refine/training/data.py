"""Training sets: whole images, ground truth, and what real estimators predicted, as plain arrays.

The images of all sets are one uint8 tensor, each in the corner of a grey square, so that crops can be cut, turned and
coloured on the device that trains.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.geometry import GREY, OTHERS
from pose_refine.files.opencv import path_for_opencv, told
from pose_refine.skeletons import COCO_JOINTS, NETWORK, SKELETONS, convert
from pose_refine.training.distributed import first
from pose_refine.training.synthesis import Truth, borrowed

AREA_OF_BOX = 0.53  # a person's area over that of its box, where no area is annotated
JHMDB_NAMES = {"r": "right", "l": "left"}


@dataclass(frozen=True)
class People:
    """Labelled people, one row each.

    Attributes:
        keypoints: (P, 19, 2) image pixels, NaN where not labelled.
        area: (P,) squared pixels.
        image: (P,) row of the image.
        files: The images.
        predicted: (P, E, 19, 3) x, y, score, NaN where an estimator gave none.
        estimators: Names of the E estimators.
        weight: (P,) how often to draw a person, relative to the others of its set.
        mpii: (P,) whether the labels mean what MPII's do: hips, shoulders, neck and top of the head differ from COCO's.
    """

    keypoints: Floats
    area: Floats
    image: AnyArray
    files: list[Path]
    predicted: Floats
    estimators: list[str]
    weight: Floats
    mpii: AnyArray


def read_predictions(folder: Path, ids: AnyArray) -> tuple[Floats, list[str]]:
    """(P, E, 19, 3) predictions for `ids` (P,) from NAME.npz files in `folder`, and the estimators' names."""
    row = {int(a): i for i, a in enumerate(ids)}
    files = sorted(folder.glob("*.npz"))
    out = np.full((len(ids), len(files), len(NETWORK.joints), 3), np.nan, dtype=np.float32)
    for e, file in enumerate(files):
        with np.load(file) as z:
            known = np.array([int(a) in row for a in z["ann_id"]], dtype=bool)
            out[[row[int(a)] for a in z["ann_id"][known]], e] = z["keypoints"][known]
    return out, [f.stem for f in files]


def box_area(keypoints: Floats) -> Floats:
    """OKS area of people without one: AREA_OF_BOX times the box of their joints, (P,)."""
    extent = np.nanmax(keypoints, 1) - np.nanmin(keypoints, 1)
    area: Floats = (AREA_OF_BOX * np.maximum(extent, 1).prod(1)).astype(np.float32)
    return area


def read_coco(root: Path, split: str, predictions: Path, *, least: int = 5, height: float = 0) -> People:
    """People of a COCO keypoint file with at least `least` labelled joints and a box `height` pixels high."""
    truth = json.loads((root / f"person_keypoints_{split}.json").read_text())
    images = truth["images"]
    row = {image["id"]: i for i, image in enumerate(images)}
    people = [a for a in truth["annotations"] if usable(a, least, height)]
    given = np.array([a["keypoints"] for a in people], dtype=np.float32).reshape(-1, len(COCO_JOINTS), 3)
    given[given[..., 2] == 0] = np.nan
    predicted, names = read_predictions(predictions, np.array([a["id"] for a in people]))
    large = np.array([usable(a, 8, 64) for a in people])
    sharp = np.array([images[row[a["image_id"]]].get("sharp", True) for a in people])
    return People(
        keypoints=convert(given[..., :2], SKELETONS["coco17"], NETWORK),
        area=np.array([a["area"] for a in people], dtype=np.float32),
        image=np.array([row[a["image_id"]] for a in people]),
        files=[root / split / image["file_name"] for image in images],
        predicted=predicted,
        estimators=names,
        weight=(np.where(large, 1.0, 0.5) * np.where(sharp, 1.0, 0.6)).astype(np.float32),
        mpii=np.zeros(len(people), dtype=bool),
    )


def usable(annotation: dict[str, Any], least: int, height: float) -> bool:
    """Whether a COCO annotation is one person, with enough joints and pixels."""
    enough = annotation["num_keypoints"] >= least and annotation["bbox"][3] >= height
    return bool(enough and not annotation["iscrowd"])


def read_lsp(root: Path, split: str, predictions: Path) -> People:
    """Leeds Sports Pose extended: one person an image, 14 joints."""
    with np.load(root / f"joints_{split}.npz") as z:
        keypoints, files = z["keypoints"].astype(np.float32), [root / split / n for n in z["file_name"]]
    keypoints[keypoints[..., 2] == 0] = np.nan
    return one_each(convert(keypoints[..., :2], SKELETONS["lsp14"], NETWORK), files, predictions, mpii=True)


def read_mpii(root: Path, split: str, predictions: Path) -> People:
    """MPII Human Pose: 16 joints; several people an image. Predictions are by row of the joints file."""
    with np.load(root / f"joints_{split}.npz") as z:
        keypoints, names = z["keypoints"].astype(np.float32), z["file_name"]
    known = convert(keypoints[..., :2], SKELETONS["mpii16"], NETWORK)
    files, image = np.unique(names, return_inverse=True)
    people = one_each(known, [root / split / str(name) for name in names], predictions, mpii=True)
    return replace(people, image=image[people.image], files=[root / split / str(name) for name in files])


def read_jhmdb(root: Path, split: str, predictions: Path) -> People:
    """JHMDB frames: one labelled actor each; the twelve limb joints (its neck and face are not ours)."""
    with np.load(root / split / "joints.npz") as z:
        given, files = z["keypoints"].astype(np.float32), [root / split / n for n in z["file_name"]]
        names = [str(n) for n in z["joint_names"]]
    given[given[..., 2] == 0] = np.nan
    keypoints = np.full((len(given), len(NETWORK.joints), 2), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        side, _, joint = name.partition("_")
        if side in JHMDB_NAMES:
            keypoints[:, NETWORK.joints.index(f"{JHMDB_NAMES[side]}_{joint}")] = given[:, column, :2]
    return one_each(keypoints, files, predictions)


def one_each(keypoints: Floats, files: list[Path], predictions: Path, *, mpii: bool = False) -> People:
    """A set with one labelled person an image; people with fewer than five labelled joints are left out."""
    predicted, names = read_predictions(predictions, np.arange(len(files)))
    keep = (~np.isnan(keypoints[..., 0])).sum(1) >= 5
    return People(
        keypoints=keypoints[keep],
        area=box_area(keypoints[keep]),
        image=np.flatnonzero(keep),
        files=files,
        predicted=predicted[keep],
        estimators=names,
        weight=np.ones(int(keep.sum()), dtype=np.float32),
        mpii=np.full(int(keep.sum()), mpii),
    )


def join(sets: list[People], shares: list[float]) -> People:
    """One set of several; `shares` says how often each is drawn, estimators are matched by name."""
    names = sorted({n for s in sets for n in s.estimators})
    predicted, start = [], 0
    for s in sets:
        wide = np.full((len(s.area), len(names), len(NETWORK.joints), 3), np.nan, dtype=np.float32)
        for e, name in enumerate(s.estimators):
            wide[:, names.index(name)] = s.predicted[:, e]
        predicted.append(wide)
    images = []
    for s in sets:
        images.append(s.image + start)
        start += len(s.files)
    return People(
        keypoints=np.concatenate([s.keypoints for s in sets]),
        area=np.concatenate([s.area for s in sets]),
        image=np.concatenate(images),
        files=[f for s in sets for f in s.files],
        predicted=np.concatenate(predicted),
        estimators=names,
        weight=np.concatenate([share * s.weight / s.weight.sum() for s, share in zip(sets, shares, strict=True)]),
        mpii=np.concatenate([s.mpii for s in sets]),
    )


# How each set is read, and its share of the samples; JHMDB's frames are few and alike. MPII and LSP have more than
# their size: their photographs are new to the trunk, and their people lie, jump and stand on their hands.
SETS = {
    "coco": (read_coco, 0.58),
    "mpii": (read_mpii, 0.22),
    "lsp_extended": (read_lsp, 0.18),
    "jhmdb": (read_jhmdb, 0.02),
}


def read_training_sets(data: Path, without: Sequence[str] = ()) -> People:
    """COCO, MPII, LSP extended and JHMDB train, as far as they are under `data`; nothing of the estimators `without`.

    Raises:
        FileNotFoundError: None of them is there.
        ValueError: No such estimator.
    """
    found = [(name, *how) for name, how in SETS.items() if (data / name / "train").is_dir()]
    if not found:
        raise FileNotFoundError(f"no training set under {data}: expected one of {', '.join(SETS)} with a train folder")
    sets = [read(data / name, "train", data / "predictions" / f"{name.split('_')[0]}_train") for name, read, _ in found]
    people = join(sets, [share for _, _, share in found])
    if unknown := set(without) - set(people.estimators):
        raise ValueError(f"without: no predictions of {sorted(unknown)}, only of {people.estimators}")
    kept = [e for e, name in enumerate(people.estimators) if name not in without]
    return replace(people, predicted=people.predicted[:, kept], estimators=[people.estimators[e] for e in kept])


def split_by_image(people: People, every: int = 17) -> tuple[AnyArray, AnyArray]:
    """Rows to train on and rows held out: every 17th image, so that no image is on both sides."""
    held = people.image % every == 0
    return np.flatnonzero(~held), np.flatnonzero(held)


def unseen(people: People, held: AnyArray, data: Path) -> AnyArray:
    """Those of the held-out rows whose person is in no training image either: not JHMDB's, whose clips are split.

    Raises:
        ValueError: There is none, to watch a run and to fit the decision on.
    """
    rows = held[["jhmdb" not in people.files[i].relative_to(data).parts for i in people.image[held]]]
    if not len(rows):
        raise ValueError(
            f"{data}: nobody is held out; expected images of coco/, mpii/ or lsp_extended/ with people, 17 or more"
        )
    return rows


def lend(people: People, lenders: AnyArray, rng: np.random.Generator) -> People:
    """Poses for those among `lenders` (rows) whom an estimator has not seen: its errors on the others of them."""
    among = np.zeros(len(people.area), dtype=bool)
    among[lenders] = True
    predicted = people.predicted.copy()
    for e in range(len(people.estimators)):
        lent = borrowed(people.keypoints, people.area, people.predicted[:, e], among, rng)
        chosen = among & np.isfinite(lent[..., 0]).any(1)
        predicted[chosen, e] = lent[chosen]
    return replace(people, predicted=predicted)


def nearest_others(people: People) -> AnyArray:
    """Rows of the OTHERS nearest other people in the same image, -1 where there are none, (P, OTHERS)."""
    out = np.full((len(people.area), OTHERS), -1)
    centres = np.nanmean(people.keypoints, 1)
    order = np.argsort(people.image, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(people.image[order])) + 1):
        distance = np.linalg.norm(centres[rows][:, None] - centres[rows][None], axis=-1)
        np.fill_diagonal(distance, -1)  # oneself first, even where two people have one centre
        ranked = rows[distance.argsort(1)[:, 1 : OTHERS + 1]]
        out[rows, : ranked.shape[1]] = ranked
    return out


def take(people: People, rows: AnyArray, others: AnyArray) -> Truth:
    """The rows of a batch, as the synthesis wants them."""
    near, predicted = (of_others(values, others[rows]) for values in (people.keypoints, people.predicted))
    return Truth(people.keypoints[rows], people.area[rows], near, people.predicted[rows], predicted)


def of_others(values: Floats, others: AnyArray) -> Floats:
    """What `values` (P, ...) says of `others` (B, M), NaN where that is -1; (B, M, ...)."""
    near: Floats = values[others]
    near[others < 0] = np.nan
    return near


def select(people: People, rows: AnyArray) -> People:
    """Those people, and only the images that show them."""
    images, where = np.unique(people.image[rows], return_inverse=True)
    return replace(
        people,
        keypoints=people.keypoints[rows],
        area=people.area[rows],
        image=where,
        files=[people.files[i] for i in images],
        predicted=people.predicted[rows],
        weight=people.weight[rows],
        mpii=people.mpii[rows],
    )


def load_images(people: People, side: int) -> tuple[Tensor, People]:
    """All images as one tensor, each in the top left corner of a grey square; larger ones are shrunk to fit.

    Returns:
        Images (M, side, side, 3) uint8 RGB, and the people in these images' pixels.

    Raises:
        ValueError: A file is no image.
    """
    out = torch.full((len(people.files), side, side, 3), GREY, dtype=torch.uint8)
    scale = np.ones(len(people.files), dtype=np.float32)
    for i, file in enumerate(tqdm(people.files, desc="reading images", mininterval=2, disable=not first())):
        with told(file):
            image = cv2.imread(path_for_opencv(file), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{file}: expected an image")
        scale[i] = min(1.0, side / max(image.shape[:2]))
        if scale[i] < 1:
            image = cv2.resize(image, None, fx=float(scale[i]), fy=float(scale[i]), interpolation=cv2.INTER_AREA)
        out[i, : image.shape[0], : image.shape[1]] = torch.from_numpy(image[:, :, ::-1].copy())
    return out, rescale(people, scale[people.image])


def rescale(people: People, scale: Floats) -> People:
    """The same people in images resized by `scale` (P,); a pixel's centre stays a pixel's centre."""
    s = scale[:, None, None]
    predicted = people.predicted.copy()
    predicted[..., :2] = (predicted[..., :2] + 0.5) * s[..., None] - 0.5
    keypoints = (people.keypoints + 0.5) * s - 0.5
    return replace(people, keypoints=keypoints, predicted=predicted, area=people.area * scale**2)
