"""Who is who, where a format has a place for it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pose_refine.formats import annotations, coco, openpose, posetrack
from pose_refine.poses import Poses, identity


def told_apart(ids: Sequence[Any], doubted: set[str]) -> list[Any]:
    """Identities of one frame, None for those that do not tell people apart; new ones of these are added to `doubted`.

    AlphaPose without tracking calls everybody 0.
    """
    known = [identity(i) for i in ids]
    doubted.update(name for name, n in Counter(repr(i) for i in known if i is not None).items() if n > 1)
    return [None if repr(i) in doubted else i for i in known]


def tracks_of(given: Any, poses: Poses) -> list[Any]:
    """One identity a person of `poses`, which were read from `given`; None where it is not known.

    COCO annotations have an id each, which tells annotations apart, not people.
    """
    ids: Iterable[Any] = poses.ids if poses.ids is not None else [None] * len(poses)
    if annotations.matches(given):
        ids = [p.get("track_id") for p in annotations.people_of(given)]
    return [identity(i) for i in ids]


def write_ids(out: Any, ids: Sequence[int | None]) -> None:
    """Write identities, but for None, into a result of `formats.write`, where its format has a place for them.

    OpenPose's person_id, PoseTrack's track_id, AlphaPose's idx; COCO results and annotations get a track_id.
    """
    for person, known in zip(_people(out), ids, strict=False):  # formats without a place have none
        if known is not None:
            key, wrapped = _place(out, person)
            person[key] = [known] if wrapped else known


def _people(out: Any) -> list[dict[str, Any]]:
    if openpose.matches(out):
        return out["people"] or []
    if annotations.matches(out):
        return annotations.people_of(out)
    if posetrack.matches(out):
        return [p for e in out.get("annolist", [out]) for p in e.get("annorect") or []]
    return coco.people_of(out) if coco.matches(out) else []


def _place(out: Any, person: dict[str, Any]) -> tuple[str, bool]:
    """The key, and whether the identity is a list of one."""
    if openpose.matches(out):
        return "person_id", True
    if posetrack.matches(out):
        return "track_id", True
    return next((k for k in coco.IDS if k in person), "track_id"), False
