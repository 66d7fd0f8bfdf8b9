"""The people of every image of a document, labelled or predicted, with what metrics ask for: numbers as precise as in
the file, head boxes, areas, ignore regions.

What counts as there: in annotations whose third numbers are flags, joints with a flag above 0 (as pycocotools has it);
elsewhere all joints but 0, 0, 0. PoseTrack 2017: of two points of one id the first, and no people without "annopoints",
as poseval has it. MPII: see mpii.py.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import Doubles
from pose_refine.formats import annotations, coco, mpii, posetrack
from pose_refine.formats.arrays import skeleton_name
from pose_refine.formats.documents import image_of
from pose_refine.formats.flat import triplets
from pose_refine.skeletons import get_skeleton

Entry = dict[str, Any]
POINT_IDS = range(len(get_skeleton(posetrack.SKELETON).joints))


@dataclass(frozen=True)
class People:
    """The N people of one image, as a document has them; NaN where it says nothing.

    Attributes:
        image: What the document calls the image: its file name, or in COCO results its id where nothing names it.
        skeleton: What the K joints are.
        keypoints: (N, K, 2) pixels, an integer being a pixel's centre.
        scores: (N, K) of the joints.
        person_scores: (N,).
        ids: Track ids, None where there are none.
        boxes: (N, 4) x0, y0, x1, y1.
        head_boxes: (N, 4) x0, y0, x1, y1.
        areas: (N,) square pixels.
        crowd: (N,) True where the entry is a crowd (COCO's iscrowd).
        ignore_regions: Polygons (M, 2) in which nothing counts.
        looked_at: Whether the document has any entry for this image, be it one without joints: PoseTrack leaves the
            images empty that nobody labelled.
    """

    image: Hashable
    skeleton: str
    keypoints: Doubles
    scores: Doubles
    person_scores: Doubles
    ids: list[Hashable]
    boxes: Doubles
    head_boxes: Doubles
    areas: Doubles
    crowd: NDArray[np.bool_]
    ignore_regions: list[Doubles]
    looked_at: bool

    def __len__(self) -> int:
        return len(self.keypoints)


def read(document: Any, skeleton: str | None = None, images: Sequence[Entry] | None = None) -> list[People]:
    """Read a document of many images, in the document's order.

    Args:
        document: COCO results or annotations (PoseTrack 2018), PoseTrack 2017 or MPII JSON, as `documents.is_document`.
        skeleton: Which joints they are, where the document does not say and their number does not tell.
        images: The "images" of COCO annotations, which name the images of COCO results.

    Raises:
        ValueError: No such document, or one that is not as it should be.
    """
    if isinstance(document, dict) and isinstance(document.get("annolist"), list):
        return [_posetrack(entry) for entry in document["annolist"]]
    if isinstance(document, dict):
        return _annotations(document, skeleton)
    if document and all(isinstance(e, dict) and {"image", "joints"} <= e.keys() for e in document):
        return [_mpii(name, people) for name, people in _by_image(document).items()]
    return _results(document, skeleton, images)


def nobody(image: Hashable, skeleton: str) -> People:
    """An image for which a document has no entry."""
    return _people(image, skeleton, _stacked([], skeleton), [], looked_at=False)


def _stacked(people: list[Doubles], skeleton: str) -> Doubles:
    """(N, K, 3) of N people's (K, 3)."""
    return np.array(people, dtype=np.float64).reshape(len(people), len(get_skeleton(skeleton).joints), 3)


def _people(
    image: Hashable, skeleton: str, values: Doubles, entries: Sequence[Entry], *, looked_at: bool, **known: Any
) -> People:
    """What all layouts share; `known` are attributes that this one has."""
    count = len(entries)
    unknown = {
        "person_scores": np.full(count, np.nan),
        "ids": [None] * count,
        "boxes": np.full((count, 4), np.nan),
        "head_boxes": np.full((count, 4), np.nan),
        "areas": np.full(count, np.nan),
        "crowd": np.zeros(count, dtype=bool),
        "ignore_regions": [],
    }
    return People(image, skeleton, values[..., :2], values[..., 2], looked_at=looked_at, **{**unknown, **known})


def _by_image(entries: Iterable[Entry]) -> dict[Hashable, list[Entry]]:
    found: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        found.setdefault(image_of(entry), []).append(entry)
    return found


def _numbers(entries: Sequence[Entry], key: str) -> Doubles:
    """(N,) of a number that entries may have, NaN where they do not."""
    try:
        return np.array([entry.get(key, np.nan) for entry in entries], dtype=np.float64).reshape(len(entries))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key}: expected a number in each entry: {error}") from error


def _boxes(entries: Sequence[Entry], key: str) -> Doubles:
    """(N, 4) of boxes that entries may have as four numbers, NaN where they do not."""
    try:
        return np.array([e.get(key) or [np.nan] * 4 for e in entries], dtype=np.float64).reshape(len(entries), 4)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key}: expected four numbers in each entry: {error}") from error


def _corners(boxes: Doubles) -> Doubles:
    """COCO's boxes x, y, width, height as x0, y0, x1, y1."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


def _posetrack(entry: Entry) -> People:
    everybody = posetrack.people_of(entry)
    people = [p for p in everybody if posetrack.has_points(p)]
    ids = {int(posetrack.number(point, "id")) for p in people for point in posetrack.listed_points(p) if "id" in point}
    if unknown := sorted(ids - set(POINT_IDS)):
        raise ValueError(f"PoseTrack JSON: expected points with id 0 to {POINT_IDS[-1]}, got id {unknown[0]}")
    head = [[posetrack.number(p, k) if k in p else np.nan for k in ("x1", "y1", "x2", "y2")] for p in people]
    return _people(
        image_of(entry),
        posetrack.SKELETON,
        posetrack.joints_of(people),
        people,
        looked_at=bool(everybody),
        ids=[posetrack.track_of(p) for p in people],
        person_scores=np.array([posetrack.number(p, "score") for p in people]),
        head_boxes=np.array(head).reshape(-1, 4),
        ignore_regions=posetrack.regions_of(entry),
    )


def _annotations(document: Entry, skeleton: str | None) -> list[People]:
    entries = annotations.people_of(document)
    name = skeleton or annotations.named_skeleton(document, entries)
    found = _by_image(entries)
    listed = {e.get("image_id") for e in document["annotations"]}
    try:
        images = {image["id"]: image for image in document["images"]}
        names = {id: image["file_name"] for id, image in images.items()}
    except (KeyError, TypeError) as error:
        raise ValueError(f"images: expected 'id' and 'file_name' of each image; {error} is not there") from error
    if unknown := sorted(map(str, listed - images.keys())):
        raise ValueError(f"annotations: image_id {unknown[0]} is not among 'images' ({len(unknown)} such)")
    count = len(entries[0][annotations.KEY]) // 3 if entries else None
    name = name or (skeleton_name(count, None) if count else "coco17")
    return [_annotated(names[id], name, found.get(id, []), images[id], id in listed) for id in images]


def _annotated(file: str, skeleton: str, people: list[Entry], image: Entry, looked_at: bool) -> People:
    regions = zip(image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or [], strict=True)
    return _people(
        file,
        skeleton,
        _stacked([_annotated_joints(p, skeleton) for p in people], skeleton),
        people,
        looked_at=looked_at,
        ids=[p.get("track_id") for p in people],
        person_scores=_numbers(people, "score"),
        boxes=_corners(_boxes(people, "bbox")),
        head_boxes=_corners(_boxes(people, "bbox_head")),
        areas=_numbers(people, "area"),
        crowd=_numbers(people, "iscrowd") == 1,
        ignore_regions=[np.array(region, dtype=np.float64).T for region in regions],
    )


def _annotated_joints(person: Entry, skeleton: str) -> Doubles:
    """(K, 3) x, y, score; NaN where the joint is not there."""
    values: Doubles = triplets([person[annotations.KEY]])[0]
    skeleton_name(len(values), skeleton)
    scores = annotations.scores_of(person, values[:, 2])
    flags = annotations.are_flags(values[:, 2]) and not person.get("scores")
    there = values[:, 2] > 0 if flags else (values != 0).any(-1)
    values[:, 2] = scores
    values[~there] = np.nan
    return values


def _results(entries: Any, skeleton: str | None, images: Sequence[Entry] | None) -> list[People]:
    if not isinstance(entries, list) or not all(isinstance(e, dict) and coco.KEY in e for e in entries):
        raise ValueError(
            "expected COCO results or annotations, PoseTrack or MPII JSON, got "
            f"{type(entries).__name__} {str(entries)[:60]}"
        )
    names = {image["id"]: image["file_name"] for image in images or []}
    return [_result(names.get(id, id), people, skeleton) for id, people in _by_image(entries).items()]


def _result(image: Hashable, people: list[Entry], skeleton: str | None) -> People:
    values = triplets([p[coco.KEY] for p in people])
    values[(values == 0).all(-1)] = np.nan
    name = skeleton_name(values.shape[1], skeleton)
    ids = coco.ids_of(people) or [None] * len(people)
    return _people(image, name, values, people, looked_at=True, ids=ids, person_scores=_numbers(people, "score"))


def _mpii(image: Hashable, people: list[Entry]) -> People:
    joints = mpii.joints_of(people)
    values = np.concatenate([joints, np.full((*joints.shape[:2], 1), np.nan)], -1)
    head_boxes = _boxes(people, "head_box") - 1
    return _people(image, mpii.SKELETON, values, people, looked_at=True, head_boxes=head_boxes)
