"""Documents that hold the people of many images, one shape for all: taken apart by image, and put together again.

A frame is the same kind of document with one image's people, so that it is what `formats.read` takes:
  COCO results          [{"image_id", "keypoints", "score", ...}, ...]; AlphaPose's image_id is a file name
  COCO annotations      {"images", "annotations", "categories"}; PoseTrack 2018 too
  PoseTrack 2017        {"annolist": [{"image", "annorect"}, ...]}
  MPII                  [{"image", "joints", "joints_vis", ...}, ...]
  AlphaPose, by image   {"a.jpg": {"bodies" or "people": [...]}, ...}
  a video's frames      [{"people": [...]}, ...] as OpenPose writes each, in order;
                        [{"frame_id", "instances"}, ...] as MMPose, alone or as "instance_info" beside "meta_info"

Layouts: see coco.py, annotations.py, posetrack.py, mpii.py, alphapose.py, openpose.py and mmpose.py.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from pose_refine.files.names import file_name, find_image, image_id, index_images, name_of
from pose_refine.formats.common.categories import of_category, wanted_ids
from pose_refine.formats.common.stumbles import told

Entry = dict[str, Any]  # what is said of one person; in PoseTrack 2017 of one image
ACCEPTED = "COCO results or annotations, PoseTrack, AlphaPose, MPII, OpenPose's documents in a list, MMPose's frames"


def is_document(obj: Any) -> bool:
    """Whether `obj` looks like a document that `frames` takes apart; one image's people, or nobody, are one too."""
    if is_by_frame(obj):
        return True
    if isinstance(obj, list):
        kinds = ({"image_id"}, {"image", "joints"})
        return all(isinstance(e, dict) for e in obj) and any(all(keys <= e.keys() for e in obj) for keys in kinds)
    kinds = ({"annolist"}, {"images", "annotations"})
    return isinstance(obj, dict) and any(all(isinstance(obj.get(k), list) for k in keys) for keys in kinds)


def is_numbered(obj: Any) -> bool:
    """Whether `obj` holds a video's frames in order, as OpenPose's documents or MMPose's."""
    return is_openpose_list(obj) or _instances(obj) is not None


def is_openpose_list(obj: Any) -> bool:
    return isinstance(obj, list) and bool(obj) and all(isinstance(e, dict) and "people" in e for e in obj)


def is_by_frame(obj: Any) -> bool:
    """Whether `obj` has one entry a frame or image, and not one a person."""
    return is_numbered(obj) or _is_by_image(obj)


def _is_by_image(obj: Any) -> bool:
    if not isinstance(obj, dict) or not obj:
        return False
    return all(isinstance(v, dict) and ("people" in v or "bodies" in v) for v in obj.values())


def _instances(obj: Any) -> list[Entry] | None:
    """MMPose's entries of a video's frames; None where it is something else."""
    parts = obj.get("instance_info") if isinstance(obj, dict) else obj
    keys = {"frame_id", "instances"}
    if not isinstance(parts, list) or not parts:
        return None
    return parts if all(isinstance(p, dict) and keys <= p.keys() for p in parts) else None


def _by_frame(document: Any) -> list[tuple[str, Any]]:
    """(name, frame) of a document with one entry a frame."""
    if is_openpose_list(document):
        return [(f"{i:012d}", frame) for i, frame in enumerate(document)]
    entries = _instances(document)
    if entries is None:
        return list(document.items())
    numbers = [e["frame_id"] for e in entries]
    if not all(isinstance(n, int) for n in numbers) or len(set(numbers)) < len(numbers):
        raise ValueError(f"MMPose: expected each 'frame_id' once, a number, got {str(numbers)[:80]}")
    meta = {k: v for k, v in document.items() if k != "instance_info"} if isinstance(document, dict) else None
    parts = [e["instances"] if meta is None else {**meta, "instance_info": e["instances"]} for e in entries]
    return [(f"{n:012d}", part) for n, part in zip(numbers, parts, strict=True)]


@told("a document of many images", ACCEPTED)
def frames(document: Any, images: Sequence[Entry] | None = None, category: str | None = None) -> list[tuple[str, Any]]:
    """The people of each image, in the order in which images first occur; images without people are left out.

    Args:
        document: Where `is_document`.
        images: The "images" of a COCO annotation file, which name the images of COCO results; without them an
            image_id that is a number is taken as COCO names its files: 12 digits and ".jpg".
        category: Name or id of the category that is wanted; by default people, see `categories.of_category`.

    Returns:
        (name, frame): the image's file name as the document says it, or the frame's number, and the document of that
        image's people alone.

    Raises:
        ValueError: Not a document, an image that `images` do not name, or no telling who is people.
    """
    if is_by_frame(document):
        return _by_frame(document)
    people: dict[Hashable, list[Entry]] = {}
    for entry in people_of(document, category):
        people.setdefault(image_of(entry), []).append(entry)
    if isinstance(document, dict):
        images = document.get("images")
    index = None if images is None else index_images(images)
    out = [_frame(document, image, entries, index) for image, entries in people.items()]
    found = [frame for frame in out if _has_people(frame[1])]
    # Where nobody at all has joints, the format's own message tells what is wrong.
    return found or (out if isinstance(document, list) else [])


def people_of(document: Any, category: str | None = None) -> list[Entry]:
    """The entries of one category; all of them where the format has none."""
    entries = entries_of(document)
    coco = all(isinstance(e, dict) for e in entries) and any("category_id" in e for e in entries)
    categories = document.get("categories") if isinstance(document, dict) else None
    return of_category(entries, categories, category) if coco or category is not None else entries


def category_in(document: Any, annotations: Any, category: str | None) -> str | None:
    """What `category` is in COCO results, whose entries have ids alone: the id that the annotations say.

    Args:
        document: Where `is_document`.
        annotations: COCO annotations, None where there are none.
        category: Name or id; None for people.
    """
    known = annotations.get("categories") if isinstance(annotations, dict) else None
    if not known or not isinstance(document, list) or not any("category_id" in e for e in document):
        return category
    ids = wanted_ids([e for e in document if "category_id" in e], known, category)
    return category if ids is None else str(next(i for i in ids if i is not None))


def only(document: Any, category: str) -> Any:
    """The same document with the entries of that category alone.

    Raises:
        ValueError: No such category.
    """
    entries = people_of(document, category)
    if isinstance(document, list):
        return entries
    return {**document, **_own_category(document, entries), _key(document): entries}


@told("a document of many images", ACCEPTED)
def assemble(document: Any, frames: Sequence[tuple[str, Any]], category: str | None = None) -> Any:
    """A copy of `document` with the people of these frames in their places.

    Args:
        document: The document.
        frames: Some or all of what `frames` gave, refined. They are recognised by their contents; by name where the
            document has one entry a frame.
        category: As for `frames`.

    Returns:
        The same kind of document; order, ids and everything else as it was.

    Raises:
        ValueError: A frame that is not of this document, or has another number of people.
    """
    if is_by_frame(document):
        return _assemble_frames(document, dict(frames))
    given: dict[Hashable, list[Entry]] = {}
    for _, frame in frames:
        for entry in people_of(frame, category if isinstance(frame, dict) else None):
            given.setdefault(image_of(entry), []).append(entry)
    out = deepcopy(document)
    entries, chosen = entries_of(out), {id(e) for e in people_of(out, category)}
    counts = Counter(image_of(e) for e in entries if id(e) in chosen)
    for image, people in given.items():
        if counts[image] != len(people):
            raise ValueError(f"frame of image {image!r}: the document has {counts[image]} entries, got {len(people)}")
    queues = {image: iter(people) for image, people in given.items()}
    entries[:] = [next(queues[image_of(e)]) if id(e) in chosen and image_of(e) in queues else e for e in entries]
    return out


def _assemble_frames(document: Any, given: dict[str, Any]) -> Any:
    names = [name for name, _ in _by_frame(document)]
    if strange := sorted(given.keys() - set(names)):
        raise ValueError(f"frame {strange[0]!r}: the document has none of that name")
    out = deepcopy(document)
    entries = _instances(out)
    for place, name in enumerate(names):
        if name not in given:
            continue
        if entries is None:
            out[place if isinstance(out, list) else name] = given[name]
        else:
            part = given[name]
            entries[place]["instances"] = part["instance_info"] if isinstance(part, dict) else part
    return out


def check_one_image(images: Iterable[object], what: str) -> None:
    """Formats of one image refuse the people of several.

    Raises:
        ValueError: `images`, one a person, are not all the same.
    """
    names = sorted({str(image_id(i) if isinstance(i, Hashable) else i) for i in images})
    if len(names) > 1:
        raise ValueError(
            f"{what}: expected one image's people, got {len(names)} images: {', '.join(names[:3])} ...; "
            "formats.common.documents.frames, or the command pose-refine folder, takes such files apart"
        )


def entries_of(document: Any) -> list[Entry]:
    """The document's own list, one entry a person (PoseTrack 2017: an image)."""
    if not is_document(document) or is_by_frame(document):
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
        key = image_id(image[0]["name"] if isinstance(image, list) else image)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"expected 'image_id' or 'image' to tell the image, got {str(entry)[:80]}") from error
    return key


def _frame(
    document: Any, image: Hashable, entries: list[Entry], index: dict[Hashable, Entry] | None
) -> tuple[str, Any]:
    """The image's file name, and the document with these entries alone."""
    known = None if index is None else find_image(image, index)
    if index is not None and known is None:
        raise ValueError(f"images: expected 'id' and 'file_name' of each image; {image!r} is not there")
    said = entries[0].get("image_id")
    name = file_name(known) if known else said if isinstance(said, str) else name_of(image)
    if isinstance(document, list):
        return name, entries
    alone = {"images": [known]} if "images" in document else {}
    return name, {**document, **alone, **_own_category(document, entries), _key(document): entries}


def _own_category(document: Entry, entries: list[Entry]) -> Entry:
    """The frame's categories: those of its entries, so that they are its people."""
    used = {e.get("category_id") for e in entries}
    known = document.get("categories")
    return {"categories": [c for c in known if c.get("id") in used]} if known and used != {None} else {}


def _has_people(frame: Any) -> bool:
    """Whether anybody has joints: PoseTrack 2017 lists images without people, COCO people (and things) without."""
    if isinstance(frame, list):
        return any("joints" in e or not _is_nothing(e.get("keypoints")) for e in frame)
    key = "annorect" if "annolist" in frame else "keypoints"
    return any(e.get(key) for e in entries_of(frame))


def _is_nothing(keypoints: Any) -> bool:
    return keypoints is None or (isinstance(keypoints, list) and not keypoints)
