"""MPII's annotations: the JSON of HRNet, Simple Baselines and MMPose, here of one image, and the official .mat file.

A list of dicts, one a person: "image", "joints" (16 pairs), "joints_vis", and more. Coordinates count pixels from 1, as
MATLAB does: their (1, 1) is (0, 0) here. A joint that nobody labelled is (-1, -1) or (0, 0); one with other coordinates
is there, whatever its flag. (In `metrics/ground_truth.py`, as for MPII's toolkit, one with flag 1 is there anyway.)
There is no place for scores: a joint that was missing is written, with flag 1, only if it is more likely right than
not. Flags of the others stay.

Layouts: https://github.com/leoxiaobin/deep-high-resolution-net.pytorch/blob/master/lib/dataset/mpii.py (JSON, from 1)
  https://github.com/bearpaw/pytorch-pose/blob/master/miscs/gen_mpii.m (the .mat's RELEASE structure)
  http://human-pose.mpi-inf.mpg.de/#download
"""

import os
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Doubles
from pose_refine.formats import arrays
from pose_refine.formats.annotations import worth_writing
from pose_refine.formats.common.documents import check_one_image
from pose_refine.formats.common.missing import MARKS, lost, without, written
from pose_refine.formats.common.triplets import DECIMALS
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, get_skeleton

SKELETON = "mpii16"
COUNT = len(get_skeleton(SKELETON).joints)
UNLABELLED = (-1, 0)
Person = dict[str, Any]
EXPECTED = "MPII's list of dicts with 'image' and 'joints'"


def matches(poses: Any) -> bool:
    people = isinstance(poses, list) and bool(poses)
    return people and all(isinstance(p, dict) and {"image", "joints"} <= p.keys() for p in poses)


def read(people: list[Person], skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image; scores are unknown.

    Args:
        people: The people of one image, e.g. a frame of `documents.frames`.
        skeleton: Not needed.
        shape: Not needed.

    Raises:
        ValueError: Several images, or people that have not 16 joints of two coordinates each.
    """
    check_one_image([p["image"] for p in people], "MPII JSON")
    keypoints: AnyArray = joints_of(people)
    scores = np.full(keypoints.shape[:2], np.nan, dtype=np.float32)
    return Poses(without(keypoints, lost(keypoints + 1, scores, own=True)), scores, SKELETON)


def joints_of(people: Sequence[Person]) -> Doubles:
    """x, y (N, 16, 2) of the JSON's people, counted from 0, NaN where missing."""
    joints = np.array([_table(p["joints"], (COUNT, 2)) for p in people]).reshape(-1, COUNT, 2)
    flags = np.array([_table(p.get("joints_vis", [0] * COUNT), (COUNT,)) for p in people]).reshape(-1, COUNT)
    missing = (flags == 0) & (joints[..., 0] == joints[..., 1]) & np.isin(joints[..., 0], UNLABELLED)
    keypoints: Doubles = np.where(missing[..., None], np.nan, joints - 1)
    return keypoints


def write(poses: Poses, like: list[Person], shape: object = None) -> list[Person]:
    """A copy of `like` with the joints of `poses`; centre, scale, flags of labelled joints and all else stay."""
    before, out = read(like), deepcopy(like)
    joints, changed = written(poses, MARKS["mpii"]), arrays.changed(poses, before)
    moved = changed & ~(poses.keypoints == before.keypoints).all(-1)
    for i, person in enumerate(out):
        for joint in np.flatnonzero(worth_writing(joints[i], moved[i], before.present[i])):
            there = bool(poses.present[i, joint])
            person["joints"][joint] = [round(float(v) + there, DECIMALS) for v in joints[i, joint, :2]]
            if "joints_vis" in person and there != before.present[i, joint]:
                person["joints_vis"][joint] = int(there)
    return out


def _table(values: Any, shape: tuple[int, ...]) -> AnyArray:
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"MPII JSON: expected numbers of shape {shape}: {error}") from error
    if table.shape != shape:
        raise ValueError(f"MPII JSON: expected {COUNT} joints x, y and {COUNT} flags a person, got shape {table.shape}")
    return table


def load_mat(path: str | os.PathLike[str]) -> list[Person]:
    """Read the people of the official file, mpii_human_pose_v1_u12_1.mat, into the JSON's layout.

    It is not written back: scipy does not write MATLAB's nested structures as they were, and what evaluates MPII poses
    takes arrays or the JSON.

    Args:
        path: The .mat file.

    Returns:
        One dict for each person with labelled joints: "image", "joints", "joints_vis", "scale", "center", "head_box"
        (x0, y0, x1, y1, counted from 1, which PCKh needs; absent where there is none), "annolist_index" and
        "annorect_index" (both from 0). People without joints, as in the test set, are left out.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not that file.
    """
    from scipy.io import loadmat  # here: it takes a while

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such pose file: {path}")
    content = loadmat(path, squeeze_me=True, struct_as_record=False)
    release = content.get("RELEASE")
    if not hasattr(release, "annolist"):
        raise ValueError(f"{path}: expected MPII's RELEASE.annolist, got {sorted(k for k in content if k[0] != '_')}")
    return [person for i, image in enumerate(_items(release, "annolist")) for person in _people_of(image, i)]


def _people_of(image: Any, index: int) -> Iterator[Person]:
    for j, rect in enumerate(_items(image, "annorect")):
        points = [p for group in _items(rect, "annopoints") for p in _items(group, "point")]
        if points:
            joints, flags = _joints_of(points)
            center = [float(v) for p in _items(rect, "objpos") for v in (p.x, p.y)]
            scale = [float(v) for v in _items(rect, "scale")]
            head = [float(v) for field in ("x1", "y1", "x2", "y2") for v in _items(rect, field)]
            yield {
                "image": str(image.image.name),
                "joints": joints,
                "joints_vis": flags,
                "scale": scale[0] if scale else -1.0,
                "center": center or [-1.0, -1.0],
                **({"head_box": head} if len(head) == 4 else {}),
                "annolist_index": index,
                "annorect_index": j,
            }


def _joints_of(points: list[Any]) -> tuple[list[list[float]], list[int]]:
    """Joints and flags by id, 1 where there is a point; its is_visible is left out, as it is empty in many places."""
    joints, flags = [[-1.0, -1.0] for _ in range(COUNT)], [0] * COUNT
    for point in points:
        joints[int(point.id)] = [float(point.x), float(point.y)]
        flags[int(point.id)] = 1
    return joints, flags


def _items(struct: Any, field: str) -> list[Any]:
    """The elements of a field, which scipy gives as one, as an array, as an empty array, or not at all."""
    return list(np.atleast_1d(getattr(struct, field, [])))
