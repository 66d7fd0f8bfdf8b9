"""Documents that hold the people of many images, one shape for all: taken apart by image, and put together again.

A frame is the same kind of document with one image's people, so that it is what `formats.read` takes:
  COCO results          [{"image_id", "keypoints", "score", ...}, ...]; AlphaPose's image_id is a file name
  COCO annotations      {"images", "annotations", "categories"}; PoseTrack 2018 too
  PoseTrack 2017        {"annolist": [{"image", "annorect"}, ...]}
  MPII                  [{"image", "joints", "joints_vis", ...}, ...]

Layouts: see coco.py, annotations.py, posetrack.py and mpii.py.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from typing import Any

Entry = dict[str, Any]  # what is said of one person; in PoseTrack 2017 of one image


def is_document(obj: Any) -> bool:
    """Whether `obj` looks like a document that `frames` takes apart; one image's people, or nobody, are one too."""
    if isinstance(obj, list):
        kinds = ({"image_id"}, {"image", "joints"})
        return all(isinstance(e, dict) for e in obj) and any(all(keys <= e.keys() for e in obj) for keys in kinds)
    kinds = ({"annolist"}, {"images", "annotations"})
    return isinstance(obj, dict) and any(all(isinstance(obj.get(k), list) for k in keys) for keys in kinds)


def frames(document: Any, images: Sequence[Entry] | None = None) -> list[tuple[str, Any]]:
    """The people of each image, in the order in which images first occur; images without people are left out.

    Args:
        document: Where `is_document`.
        images: The "images" of a COCO annotation file, which name the images of COCO results; without them an
            image_id that is a number is taken as COCO names its files: 12 digits and ".jpg".

    Returns:
        (name, frame): the image's file name as the document says it, and the document of that image's people alone.

    Raises:
        ValueError: Not a document, or an image that `images` do not name.
    """
    people: dict[Hashable, list[Entry]] = {}
    for entry in _entries(document):
        people.setdefault(image_of(entry), []).append(entry)
    if isinstance(document, dict):
        images = document.get("images")
    try:
        known = None if images is None else {i["id"]: i for i in images}
        out = [_frame(document, image, entries, known) for image, entries in people.items()]
    except (KeyError, TypeError) as error:
        raise ValueError(f"images: expected 'id' and 'file_name' of each image; {error} is not there") from error
    return [frame for frame in out if _has_people(frame[1])]


def assemble(document: Any, frames: Sequence[tuple[str, Any]]) -> Any:
    """A copy of `document` with the people of these frames in their places.

    Args:
        document: The document.
        frames: Some or all of what `frames` gave, refined. They are recognised by their contents; names are not used.

    Returns:
        The same kind of document; order, ids and everything else as it was.

    Raises:
        ValueError: A frame that is not of this document, or has another number of people.
    """
    given: dict[Hashable, list[Entry]] = {}
    for _, frame in frames:
        for entry in _entries(frame):
            given.setdefault(image_of(entry), []).append(entry)
    wanted = [image_of(e) for e in _entries(document)]
    counts = Counter(wanted)
    for image, entries in given.items():
        if counts[image] != len(entries):
            raise ValueError(f"frame of image {image!r}: the document has {counts[image]} entries, got {len(entries)}")
    out = deepcopy(document)
    queues = {image: iter(entries) for image, entries in given.items()}
    _entries(out)[:] = [
        next(queues[image]) if image in queues else entry for image, entry in zip(wanted, _entries(out), strict=True)
    ]
    return out


def check_one_image(images: Iterable[object], what: str) -> None:
    """Formats of one image refuse the people of several.

    Raises:
        ValueError: `images`, one a person, are not all the same.
    """
    names = sorted({str(i) for i in images})
    if len(names) > 1:
        raise ValueError(
            f"{what}: expected one image's people, got {len(names)} images: {', '.join(names[:3])} ...; "
            "formats.documents.frames, or the command pose-refine folder, takes such files apart"
        )


def _entries(document: Any) -> list[Entry]:
    """The document's own list, one entry a person (PoseTrack 2017: an image)."""
    if not is_document(document):
        raise ValueError(
            "expected COCO results or annotations, PoseTrack or MPII JSON, got "
            + (f"keys {sorted(map(str, document))[:8]}" if isinstance(document, dict) else type(document).__name__)
        )
    found: list[Entry] = document if isinstance(document, list) else document[_key(document)]
    return found


def _key(document: Entry) -> str:
    return "annolist" if "annolist" in document else "annotations"


def image_of(entry: Entry) -> Hashable:
    """What tells the image of an entry: COCO's image_id, MPII's file name, PoseTrack 2017's."""
    try:
        image = entry["image_id"] if "image_id" in entry else entry["image"]
        key: Hashable = image[0]["name"] if isinstance(image, list) else image
        hash(key)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"expected 'image_id' or 'image' to tell the image, got {str(entry)[:80]}") from error
    return key


def _frame(
    document: Any, image: Hashable, entries: list[Entry], images: dict[Hashable, Entry] | None
) -> tuple[str, Any]:
    """The image's file name, and the document with these entries alone."""
    name = image if images is None else images[image]["file_name"]
    name = f"{name:012d}.jpg" if isinstance(name, int) else str(name)
    if isinstance(document, list):
        return name, entries
    alone = {"images": [images[image]]} if images is not None and "images" in document else {}
    return name, {**document, **alone, _key(document): entries}


def _has_people(frame: Any) -> bool:
    """Whether anybody has keypoints: PoseTrack 2017 lists images without people, COCO people (and things) without."""
    if isinstance(frame, list):
        return True
    key = "annorect" if "annolist" in frame else "keypoints"
    return any(e.get(key) for e in _entries(frame))
