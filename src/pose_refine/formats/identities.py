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


def write_ids(out: Any, ids: Sequence[int | None]) -> None:
    """Write identities, but for None, into a result of `formats.write`, where its format has a place for them.

    OpenPose's person_id, PoseTrack's track_id, AlphaPose's idx; COCO results and annotations get a track_id.
    """
    for person, identity in zip(_people(out), ids, strict=False):  # formats without a place have none
        if identity is not None:
            key, wrapped = _place(out, person)
            person[key] = [identity] if wrapped else identity


def _people(out: Any) -> list[dict[str, Any]]:
    if openpose.matches(out):
        return list(out["people"])
    if annotations.matches(out):
        return [p for p in out["annotations"] if p.get(annotations.KEY)]
    if posetrack.matches(out):
        return [p for e in out.get("annolist", [out]) for p in e.get("annorect") or []]
    return list(out) if coco.matches(out) else []


def _place(out: Any, person: dict[str, Any]) -> tuple[str, bool]:
    """The key, and whether the identity is a list of one."""
    if openpose.matches(out):
        return "person_id", True
    if posetrack.matches(out):
        return "track_id", True
    return next((k for k in coco.IDS if k in person), "track_id"), False


def erased(poses: Poses, lost: NDArray[np.bool_]) -> Poses:
    """`poses` with the joints of `lost` (N, K) all 0: what nearly all formats understand as missing."""
    return Poses(
        np.where(lost[..., None], np.float32(0), poses.keypoints),
        np.where(lost, np.float32(0), poses.scores),
        poses.skeleton,
        poses.ids,
    )
