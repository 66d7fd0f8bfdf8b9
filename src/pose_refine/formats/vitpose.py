"""transformers' pose estimators: what `VitPoseImageProcessor.post_process_pose_estimation` returns for one image.

That is a list of images, each a list of people, each a dict of tensors: keypoints (K', 2), scores (K',), labels (K',),
bbox. Taken are a list of one image, or that image's own list. A threshold drops joints: `labels` say which are there.
A joint that was dropped and is recovered comes back with its label, in the order of labels; recover=False adds none.
One that is dropped loses its label.
The keypoints are COCO's, or COCO-WholeBody's where a label is 17 or more; skeleton= says otherwise.
Source: https://huggingface.co/docs/transformers/model_doc/vitpose
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pose_refine._types import Floats
from pose_refine.formats.arrays import changed
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS, written
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, get_skeleton

KEYS = {"keypoints", "scores", "labels", "bbox"}
Person = dict[str, torch.Tensor]
EXPECTED = "a list of dicts of tensors keypoints, scores, labels and bbox, as post_process_pose_estimation gives it"


def matches(poses: Any) -> bool:
    if not isinstance(poses, list) or not poses:
        return False
    if all(isinstance(image, list) for image in poses):
        return all(_is_person(p) for image in poses for p in image)
    return all(_is_person(p) for p in poses)


def _is_person(person: Any) -> bool:
    return isinstance(person, dict) and person.keys() >= KEYS and isinstance(person["labels"], torch.Tensor)


def _people(poses: list[Any]) -> list[Person]:
    """The image's own list.

    Raises:
        ValueError: Several images.
    """
    if not poses or not all(isinstance(image, list) for image in poses):
        return poses
    if len(poses) != 1:
        raise ValueError(f"pose estimation results: expected one image's people, got {len(poses)} images; pass one")
    people: list[Person] = poses[0]
    return people


def read(poses: list[Any], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image; joints that no label names are missing, others as `missing.py` says.

    Raises:
        ValueError: Several images, other shapes, or labels that the skeleton has not.
    """
    people = _people(poses)
    if not all(_is_person(p) for p in people):
        raise ValueError(f"pose estimation results: expected dicts of tensors {sorted(KEYS)} for each person")
    labels = [p["labels"].detach().cpu().numpy() for p in people]
    if not all(row.ndim == 1 and row.dtype.kind in "iu" and (row >= 0).all() for row in labels):
        raise ValueError(f"pose estimation results: expected labels (K,), whole numbers from 0, got {labels!r:.80}")
    top = max((int(k) for row in labels for k in row), default=0)
    name = skeleton or ("coco17" if top < 17 else "wholebody133")
    count = len(get_skeleton(name).joints)
    if top >= count:
        raise ValueError(f"pose estimation results: {name} has {count} joints, got label {top}")
    keypoints = np.full((len(people), count, 2), np.nan, dtype=np.float32)
    scores = np.full((len(people), count), np.nan, dtype=np.float32)
    for row, (person, known) in enumerate(zip(people, labels, strict=True)):
        keypoints[row, known], scores[row, known] = _joints(person)
    return pairs.read(keypoints, scores, name)


def _joints(person: Person) -> tuple[Floats, Floats]:
    keypoints, scores = pairs.as_array(person["keypoints"]), pairs.as_array(person["scores"])
    if keypoints.shape != (len(person["labels"]), 2) or scores.shape != keypoints.shape[:1]:
        raise ValueError(
            "pose estimation results: expected keypoints (K, 2), scores (K,) and labels (K,), got "
            f"{keypoints.shape}, {scores.shape} and {tuple(person['labels'].shape)}"
        )
    return keypoints, scores


def write(poses: Poses, like: list[Any], shape: object = None) -> list[Any]:
    """New lists of new dicts with the joints of `poses`, of the same dtypes and devices; boxes are shared."""
    mask = changed(poses, read(like, poses.skeleton))
    rows = zip(_people(like), mask, poses.present, written(poses, MARKS["vitpose"]), strict=True)
    out = [_written(*row) for row in rows]
    return [out] if like and isinstance(like[0], list) else out


def _written(person: Person, mask: NDArray[np.bool_], present: NDArray[np.bool_], values: Floats) -> Person:
    """A copy of `person` with the joints (K,) of `mask`; those that had no label are added, dropped ones lose it."""
    keypoints, scores = values[:, :2], values[:, 2]
    labels = person["labels"]
    added = np.setdiff1d(np.flatnonzero(mask & present), labels.cpu().numpy())
    every = torch.cat([labels, torch.from_numpy(added).to(labels)])
    order = every.argsort(stable=True) if len(added) else torch.arange(len(every))
    dropped = mask & ~present
    order = order[torch.from_numpy(~dropped[every[order].cpu().numpy()])]
    joints = every[order].cpu().numpy()
    return {
        **person,
        "keypoints": _grown(person["keypoints"], order, mask[joints], keypoints[joints]),
        "scores": _grown(person["scores"], order, mask[joints], scores[joints]),
        "labels": every[order],
    }


def _top(order: torch.Tensor) -> int:
    return int(order.max()) if len(order) else -1


def _grown(values: torch.Tensor, order: torch.Tensor, mask: NDArray[np.bool_], new: Floats) -> torch.Tensor:
    """`values` with as many rows as `order`, in that order; those of `mask` are `new`."""
    more = values.new_zeros((max(0, _top(order) + 1 - len(values)), *values.shape[1:]))
    out = torch.cat([values.detach(), more])[order.to(values.device)]
    out[torch.from_numpy(mask)] = torch.from_numpy(new[mask]).to(out)
    return out
