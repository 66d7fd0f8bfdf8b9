"""The people of every image of a document, labelled or predicted, with what metrics ask for: numbers as precise as in
the file, head boxes, areas, ignore regions.

What counts as there: in annotations whose third numbers are flags, and that have no "scores", joints with a flag above
0 (as pycocotools has it); elsewhere all joints but 0, 0, 0. PoseTrack 2017: of two points of one id the first, and no
people without "annopoints", as poseval has it. MPII: see mpii.py.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import Doubles
from pose_refine.files.names import file_name, find_image, image_id, image_keys, index_images
from pose_refine.formats import annotations, coco, mpii, posetrack
from pose_refine.formats.arrays import skeleton_name
from pose_refine.formats.common.categories import of_category
from pose_refine.formats.common.documents import ACCEPTED, entries_of, image_of
from pose_refine.formats.common.stumbles import told
from pose_refine.formats.common.triplets import flattened, triplets
from pose_refine.skeletons import get_skeleton

Entry = dict[str, Any]
POINT_IDS = range(len(get_skeleton(posetrack.SKELETON).joints))


@dataclass(frozen=True)
class People:
    """The N people of one image, as a document has them; NaN where it says nothing.

    Attributes:
        image: What tells the image apart: its file name, or in COCO's layouts its id where names do not.
        skeleton: What the K joints are.
        keypoints: (N, K, 2) pixels, an integer being a pixel's centre.
        scores: (N, K) of the joints.
        person_scores: (N,).
        ids: Track ids, None where there are none.
        boxes: (N, 4) x0, y0, x1, y1.
        head_boxes: (N, 4) x0, y0, x1, y1.
        areas: (N,) square pixels.
        crowd: (N,) True where the entry is a crowd (COCO's iscrowd).
        counts: (N,) how many labelled joints the entry claims (COCO's num_keypoints).
        ignore_regions: Polygons (M, 2) in which nothing counts.
        video: What tells the videos of one document apart (PoseTrack 2018's "vid_id"), None where nothing does.
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
    counts: Doubles
    ignore_regions: list[Doubles]
    video: Hashable
    looked_at: bool

    def __len__(self) -> int:
        return len(self.keypoints)


@told("a document of many images", ACCEPTED)
def read(
    document: Any,
    skeleton: str | None = None,
    images: Sequence[Entry] | None = None,
    category: str | None = None,
    categories: Any = None,
) -> list[People]:
    """Read a document of many images, in the document's order.

    Args:
        document: COCO results or annotations (PoseTrack 2018), PoseTrack 2017 or MPII JSON, as `documents.is_document`.
        skeleton: Which joints they are, where the document does not say and their number does not tell.
        images: The "images" of the labels, which name the images of predictions.
        category: Name or id of the category that is read; by default people, see `categories.of_category`.
        categories: The "categories" of the labels, which name those of COCO results.

    Raises:
        ValueError: No such document, or one that is not as it should be.
    """
    entries = entries_of(document)
    if isinstance(document, dict):
        if "annolist" in document:
            return [_posetrack(e) for e in entries]
        return _annotations(document, skeleton, images, category)
    if mpii.matches(document):
        return [_mpii(name, people) for name, people in _by_image(document).items()]
    return _results(of_category(entries, categories, category), skeleton, images)


def nobody(image: Hashable, skeleton: str) -> People:
    """An image for which a document has no entry."""
    return _people(image, skeleton, _stacked([], skeleton), looked_at=False)


def _stacked(people: list[Doubles], skeleton: str) -> Doubles:
    """(N, K, 3) of N people's (K, 3)."""
    return np.array(people, dtype=np.float64).reshape(len(people), len(get_skeleton(skeleton).joints), 3)


def scored(predicted: People, least: float) -> People:
    """The same people without the joints that are scored less than `least`."""
    kept = np.where((predicted.scores < least)[..., None], np.nan, predicted.keypoints)
    return replace(predicted, keypoints=kept)


def _people(image: Hashable, skeleton: str, values: Doubles, *, looked_at: bool) -> People:
    """People (N, K, 3) of whom nothing else is known."""
    count = len(values)
    return People(
        image=image,
        skeleton=skeleton,
        keypoints=values[..., :2],
        scores=values[..., 2],
        person_scores=np.full(count, np.nan),
        ids=[None] * count,
        boxes=np.full((count, 4), np.nan),
        head_boxes=np.full((count, 4), np.nan),
        areas=np.full(count, np.nan),
        crowd=np.zeros(count, dtype=bool),
        counts=np.full(count, np.nan),
        ignore_regions=[],
        video=None,
        looked_at=looked_at,
    )


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
    return replace(
        _people(image_of(entry), posetrack.SKELETON, posetrack.joints_of(people), looked_at=bool(everybody)),
        ids=[posetrack.track_of(p) for p in people],
        person_scores=np.array([posetrack.number(p, "score") for p in people]),
        head_boxes=np.array(head).reshape(-1, 4),
        ignore_regions=posetrack.regions_of(entry),
    )


def _annotations(
    document: Entry, skeleton: str | None, labels: Sequence[Entry] | None, category: str | None
) -> list[People]:
    everybody = annotations.entries_of(document)
    entries = [e for e in of_category(everybody, document.get("categories"), category) if e.get(annotations.KEY)]
    name = skeleton or annotations.named_skeleton(document, entries)
    found = _by_image(entries)
    listed = {image_id(e.get("image_id")) for e in everybody}
    images = {image_id(image["id"]): image for image in _checked(document["images"])}
    if unknown := sorted(map(str, listed - images.keys())):
        raise ValueError(f"annotations: image_id {unknown[0]} is not among 'images' ({len(unknown)} such)")
    keys = image_keys(list(images.values())) if labels is None else _keys_in(labels, images)
    count = len(entries[0][annotations.KEY]) // 3 if entries else None
    name = name or (str(skeleton_name(count, None)) if count else "coco17")
    return [_annotated(keys[id], name, found.get(id, []), images[id], id in listed) for id in images]


def _checked(images: Sequence[Entry]) -> Sequence[Entry]:
    """Raises ValueError where an image has no id, or two the same."""
    index_images(images)
    return images


def _keys_in(labels: Sequence[Entry], images: dict[Hashable, Entry]) -> dict[Hashable, Hashable]:
    """What the labels' images are told apart by, for each of a document's own: of the same name, or else id."""
    index, keys = index_images(labels), image_keys(labels)
    found = {id: find_image(i.get("file_name"), index) or find_image(id, index) for id, i in images.items()}
    return {id: file_name(images[id]) if image is None else keys[image_id(image["id"])] for id, image in found.items()}


def _annotated(file: Hashable, skeleton: str, people: list[Entry], image: Entry, looked_at: bool) -> People:
    regions = zip(image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or [], strict=True)
    joints = _stacked([_annotated_joints(p, skeleton) for p in people], skeleton)
    return replace(
        _people(file, skeleton, joints, looked_at=looked_at),
        ids=[p.get("track_id") for p in people],
        person_scores=_numbers(people, "score"),
        boxes=_corners(_boxes(people, "bbox")),
        head_boxes=_corners(_boxes(people, "bbox_head")),
        areas=_numbers(people, "area"),
        crowd=_numbers(people, "iscrowd") == 1,
        counts=_numbers(people, "num_keypoints"),
        ignore_regions=[np.array(region, dtype=np.float64).T for region in regions],
        video=image.get("vid_id"),
    )


def _annotated_joints(person: Entry, skeleton: str) -> Doubles:
    """(K, 3) x, y, score; NaN where the joint is not there."""
    values: Doubles = triplets([person[annotations.KEY]])[0]
    skeleton_name(len(values), skeleton)
    scores = annotations.scores_of(person, values[:, 2])
    flags = annotations.are_flags(values[:, 2]) and not person.get("scores")
    there: NDArray[np.bool_] = values[:, 2] > 0 if flags else (values != 0).any(-1)
    values[:, 2] = scores
    values[~there] = np.nan
    return values


def _results(entries: list[Entry], skeleton: str | None, images: Sequence[Entry] | None) -> list[People]:
    entries = _with_joints(entries)
    index, keys = index_images(images or []), image_keys(images or [])
    found = {id: find_image(id, index) for id in _by_image(entries)}
    named = {id: id if image is None else keys[image_id(image["id"])] for id, image in found.items()}
    together: dict[Hashable, list[Entry]] = {}
    for id, people in _by_image(entries).items():
        together.setdefault(named[id], []).extend(people)
    return [_result(image, people, skeleton) for image, people in together.items()]


def _with_joints(entries: list[Entry]) -> list[Entry]:
    """The results that have keypoints: some may be boxes alone, but not all.

    Raises:
        ValueError: Nobody has keypoints.
    """
    found = [e for e in entries if coco.has_joints(e)]
    if entries and not found:
        raise ValueError(f"COCO results: expected 'keypoints', got entries like {str(entries[0])[:80]}")
    return found


def _result(image: Hashable, people: list[Entry], skeleton: str | None) -> People:
    values = triplets([flattened(p[coco.KEY]) for p in people])
    values[(values == 0).all(-1)] = np.nan
    name = str(skeleton_name(values.shape[1], skeleton))
    ids = coco.ids_of(people) or [None] * len(people)
    return replace(_people(image, name, values, looked_at=True), ids=ids, person_scores=_numbers(people, "score"))


def _mpii(image: Hashable, people: list[Entry]) -> People:
    joints = mpii.joints_of(people)
    values = np.concatenate([joints, np.full((*joints.shape[:2], 1), np.nan)], -1)
    head_boxes = _boxes(people, "head_box") - 1
    return replace(_people(image, mpii.SKELETON, values, looked_at=True), head_boxes=head_boxes)
