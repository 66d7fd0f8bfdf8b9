"""Who is who, where a format has a place for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine.formats import annotations, coco, openpose, posetrack
from pose_refine.poses import Poses

NOBODY: tuple[object, ...] = (None, -1, "", [], [-1], [None])  # what formats write where nobody is known


def tracks_of(given: Any, poses: Poses) -> list[Any]:
    """One identity a person of `poses`, which were read from `given`; None where it is not known.

    COCO annotations have an id each, which tells annotations apart, not people.
    """
    if poses.ids is None:
        return [None] * len(poses)
    if annotations.matches(given):
        return [p.get("track_id") for p in given["annotations"] if p.get(annotations.KEY)]
    return [None if i in NOBODY else i for i in poses.ids]


def write_ids(out: Any, ids: Sequence[Any]) -> None:
    """Write identities, integers, into a result of `formats.write`, where its format has a place for them.

    OpenPose's person_id, PoseTrack's track_id, AlphaPose's idx; COCO results and annotations get a track_id.
    """
    if openpose.matches(out):
        for person, i in zip(out["people"], ids, strict=True):
            person["person_id"] = [i]
    elif annotations.matches(out):
        people = [p for p in out["annotations"] if p.get(annotations.KEY)]
        for person, i in zip(people, ids, strict=True):
            person["track_id"] = i
    elif posetrack.matches(out):
        people = [p for e in out.get("annolist", [out]) for p in e.get("annorect") or []]
        for person, i in zip(people, ids, strict=True):
            person["track_id"] = [i]
    elif coco.matches(out):
        for person, i in zip(out, ids, strict=True):
            person[next((k for k in coco.IDS if k in person), "track_id")] = i


def erased(poses: Poses, lost: NDArray[np.bool_]) -> Poses:
    """`poses` with the joints of `lost` (N, K) all 0: what nearly all formats understand as missing."""
    return Poses(
        np.where(lost[..., None], np.float32(0), poses.keypoints),
        np.where(lost, np.float32(0), poses.scores),
        poses.skeleton,
        poses.ids,
    )
