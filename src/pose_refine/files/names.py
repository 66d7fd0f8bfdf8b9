"""Names and ids of images, as files and documents spell them: one home for which mean the same image."""

import re
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

Entry = dict[str, Any]
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".jp2", ".avif", ".gif",
    ".pbm", ".pgm", ".ppm", ".pnm", ".pxm", ".sr", ".ras", ".exr", ".hdr", ".pic",
)  # fmt: skip  # what OpenCV reads, where it was built with all of it
POSE_SUFFIXES = (".json", ".npy")
OPENPOSE_ENDING = "_keypoints"


def plain(name: str) -> str:
    """One spelling of a name: Unicode's NFC (macOS writes NFD), forward slashes."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def without_suffix(path: str) -> str:
    """Image suffixes only: in frame.0001 the number is none."""
    return str(PurePosixPath(path).with_suffix("")) if path.lower().endswith(IMAGE_SUFFIXES) else path


def stem_of(name: str) -> str:
    """Without folders and an image's suffix."""
    return without_suffix(PurePosixPath(plain(name)).name)


def by_number(name: str) -> list[tuple[int, str]]:
    """To sort frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def image_id(value: Any) -> Hashable:
    """One spelling of an image's id: 139, 139.0, "139" and "000000000139" are 139; other text is `plain`.

    Raises:
        ValueError: What cannot be an id.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return int(value.partition(".")[0]) if re.fullmatch(r"[0-9]+(\.0+)?", value) else plain(value)
    if not isinstance(value, Hashable):
        raise ValueError(f"expected an image's id or file name, got {str(value)[:80]}")
    return value


def file_name(image: Entry) -> str:
    """What a document's image is called; as COCO calls its files, where it does not say."""
    name = image.get("file_name")
    return str(name) if name else name_of(image.get("id"))


def name_of(id: Any) -> str:
    """The file of an image of which only the id is known: COCO's have twelve digits."""
    id = image_id(id)
    return f"{id:012d}.jpg" if isinstance(id, int) and not isinstance(id, bool) else str(id)


def index_images(images: Iterable[Entry]) -> dict[Hashable, Entry]:
    """Every spelling by which the "images" of COCO annotations may be called to the image.

    An id is believed first, then a file's name, without its folders, without its suffix. A name that several images
    have tells none of them.

    Raises:
        ValueError: An image without id, or two of the same.
    """
    ids: dict[Hashable, Entry] = {}
    names: dict[Hashable, list[Entry]] = {}
    for image in images:
        if not isinstance(image, dict) or "id" not in image:
            raise ValueError(f"images: expected 'id' of each image; got {str(image)[:80]}")
        if ids.setdefault(image_id(image["id"]), image) is not image:
            raise ValueError(f"images: expected each id once, got {image['id']!r} twice")
        for name in spellings(image.get("file_name")):
            names.setdefault(name, []).append(image)
    return {**{name: found[0] for name, found in names.items() if len(found) == 1}, **ids}


def spellings(name: Any) -> list[Hashable]:
    """How a name or an id may be spelled, the best first."""
    if name is None:
        return []
    if not isinstance(name, str):
        return [image_id(name)]
    base = PurePosixPath(plain(name)).name
    return list(dict.fromkeys([image_id(name), base, image_id(stem_of(base))]))


def find_image(name: Any, index: Mapping[Hashable, Entry]) -> Entry | None:
    """The image that is called so, of `index_images`; None where there is none."""
    return next((index[s] for s in spellings(name) if s in index), None)


def image_keys(images: Sequence[Entry]) -> dict[Hashable, Hashable]:
    """`image_id` of each image to what tells it apart: its file name, or the id where names do not."""
    names = [image.get("file_name") for image in images]
    apart = all(names) and len({plain(str(n)) for n in names}) == len(names)
    return {image_id(i["id"]): plain(str(i["file_name"])) if apart else image_id(i["id"]) for i in images}
