"""The frames of a video, and which poses belong to which."""

import logging
import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import cv2
import numpy as np

from pose_refine import formats
from pose_refine._types import Bytes
from pose_refine.arguments import Color
from pose_refine.files import opencv
from pose_refine.files.images import Image, read_image
from pose_refine.files.names import OPENPOSE_ENDING, POSE_SUFFIXES, by_number, plain, stem_of
from pose_refine.files.pose_files import read_poses
from pose_refine.formats.common import documents
from pose_refine.poses import Poses

log = logging.getLogger("pose_refine")
Frames = str | os.PathLike[str] | Iterable[Image | None]
Decoded = tuple[Bytes | None, Color]  # an image, None where it does not decode, and the order of its channels
END: Any = object()
BROKEN = 30  # frames in a row that fail: the end of a file, too, looks like that
READ_AHEAD = 4  # frames of a file that are decoded before they are wanted


def is_path(value: Any) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(value, (str, os.PathLike))


def read_frames(frames: Frames, color: Color = "rgb", rotated: bool = True) -> Generator[Decoded, None, None]:
    """Every frame in turn, and the order of its channels; a path that leads nowhere is told at once.

    Args:
        frames: A video file that OpenCV can read, a folder of images in the order of their names (numbers in them count
            as numbers), or an iterable of images and paths; None in it is a frame that could not be had.
        color: Channel order of arrays: "rgb" or "bgr".
        rotated: Turn the frames of a file as it says that they are to be shown; False: as they are stored.

    Yields:
        uint8 (H, W, 3) and "rgb" or "bgr". None for a frame that is not an image, which is logged.

    Raises:
        FileNotFoundError: No such file or folder, or nothing in it.
        TypeError: Not frames.
        ValueError: Not a video, or an array that is not an image.
    """
    if not is_path(frames):
        if not isinstance(frames, Iterable):
            raise TypeError(f"frames: expected a video, a folder or images, got {type(frames).__name__}")
        return _read_all(frames, color)
    path = Path(frames)
    if path.is_dir():
        return _ahead(_read_all([path / name for name in image_names(path)], color))
    return _ahead(_decode(path, open_video(path) if rotated else open_video(path, False)))


def _ahead(frames: Generator[Decoded, None, None]) -> Generator[Decoded, None, None]:
    """The same frames, decoded in a thread while what came before is worked on; at most READ_AHEAD are held."""
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool, closing(frames):
        waiting: deque[Future[Any]] = deque()
        try:
            while True:
                while len(waiting) < READ_AHEAD:
                    waiting.append(pool.submit(next, frames, END))
                frame = waiting.popleft().result()
                if frame is END:
                    return
                yield frame
        finally:
            pool.shutdown(cancel_futures=True)


def _read_all(frames: Iterable[Image | None], color: Color) -> Generator[Decoded, None, None]:
    for index, image in enumerate(frames):
        yield _read_one(index, image, color)


def _read_one(index: int, image: Image | None, color: Color) -> Decoded:
    if image is None:
        return None, color
    try:
        return read_image(image, color)
    except ValueError as error:
        if not is_path(image):
            raise ValueError(f"frame {index}: {error}") from error
        log.warning("frame %d: %s; its poses stay as they are", index, error)
        return None, color


def open_video(path: Path, rotated: bool = True) -> cv2.VideoCapture:
    """Raises FileNotFoundError or ValueError where there is no video."""
    if not path.is_file():
        raise FileNotFoundError(f"no such video, or folder of images: {path}")
    capture = opencv.capture(path, rotated)
    if not capture.isOpened():
        raise ValueError(f"{path}: not a video that OpenCV can read")
    return capture


def _decode(path: Path, capture: cv2.VideoCapture) -> Generator[Decoded, None, None]:
    """A frame that fails is a broken one if a good one follows; if none does, the file ends there."""
    count, broken = 0, 0
    said = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    try:
        while broken < BROKEN:
            with opencv.told(path):
                good, image = capture.read()
            if not good:
                broken += 1
                continue
            for _ in range(broken):
                log.warning("%s: frame %d does not decode; its poses stay as they are", path, count)
                yield None, "bgr"
                count += 1
            broken = 0
            yield image.astype(np.uint8, copy=False), "bgr"
            count += 1
    finally:
        capture.release()
    if count < said:  # containers round it, too
        log.warning("%s: %d of the %d frames that the file claims could be decoded", path, count, said)


def image_names(folder: Path) -> list[str]:
    """The images in a folder, by name; numbers in names count as numbers.

    Raises:
        FileNotFoundError: There are none.
    """
    names = [p.name for p in folder.iterdir() if not p.name.startswith(".") and opencv.can_read(p)]
    if not names:
        raise FileNotFoundError(f"{folder}: no images in this folder")
    return sorted(names, key=by_number)


def frame_rate(frames: Frames) -> float | None:
    """Frames a second that a video file says it has; None for anything else."""
    if not is_path(frames) or Path(frames).is_dir():
        return None
    capture = open_video(Path(frames))
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return rate if 0 < rate < 1000 else None


def rotation(video: Path) -> int:
    """Degrees by which a video file says that it is to be turned, to be shown.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a video.
    """
    capture = open_video(video)
    turned = int(capture.get(cv2.CAP_PROP_ORIENTATION_META))
    capture.release()
    return turned % 360


def frame_count(frames: Path) -> int | None:
    """How many images a folder has, or a video file says it has; None where it does not say.

    Raises:
        FileNotFoundError: No such file or folder.
        ValueError: Not a video.
    """
    if frames.is_dir():
        return len(image_names(frames))
    capture = open_video(frames)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return count if count > 0 else None


def pair(frames: Frames, poses: Any, color: Color = "rgb", first: int = 0) -> Iterator[tuple[Bytes | None, str, Any]]:
    """Every frame with its poses; paths that lead nowhere, and poses of one image alone, are told at once.

    Args:
        frames: As `read_frames` takes them.
        poses: One entry a frame, of any format, None where there is none; or a document of many images, or a path to
            one, or to a folder of one file a frame: see `poses_by_frame`.
        color: Channel order of arrays.
        first: The number that the first frame has in the names of a document or of files.

    Yields:
        Image or None, its channel order, and what was given for it, None where nothing was.

    Raises:
        FileNotFoundError: No such video, folder or document.
        TypeError: Poses of one image alone.
        ValueError: Not a video, or not poses; more poses than frames, or fewer: after all frames that have both.
    """
    many = isinstance(poses, Iterable) and not isinstance(poses, (dict, Poses))
    if not (many or is_path(poses) or _is_many(poses)):
        raise TypeError(not_many("poses", poses))
    images = read_frames(frames, color)
    if is_path(poses) or _is_many(poses):
        return _pair_by_index(images, poses_by_frame(poses, names_of(frames), first))
    return _pair_in_order(images, poses)


def _pair_by_index(images: Iterable[Decoded], known: dict[int, Any]) -> Iterator[tuple[Bytes | None, str, Any]]:
    count = -1
    for count, (image, order) in enumerate(images):
        given = known.get(count)
        yield image, order, read_poses(given) if isinstance(given, Path) else given
    late = sorted(i for i in known if i > count)
    if late:
        raise ValueError(f"poses for frame {late[0]} and {len(late) - 1} more, but there are {count + 1} frames")


def _pair_in_order(images: Iterable[Decoded], poses: Iterable[Any]) -> Iterator[tuple[Bytes | None, str, Any]]:
    for count, (read, given) in enumerate(zip_longest(images, poses, fillvalue=END)):
        if read is END:
            raise ValueError(f"poses for more frames than the {count} that there are")
        if given is END:
            raise ValueError(f"poses for {count} frames, but there are more; give None for a frame without poses")
        yield read[0], read[1], given


def _is_many(poses: Any) -> bool:
    """Whether this is a document of many frames, and not one entry a frame."""
    return bool(poses is not None and not documents.is_openpose_list(poses) and documents.is_document(poses) and poses)


def not_many(what: object, poses: Any) -> str:
    """What is wrong where the poses of many frames or images were expected."""
    return (
        f"{what}: {formats.recognised(poses)}; expected one entry a frame, a folder of files, or {documents.ACCEPTED}"
    )


def names_of(frames: Frames) -> list[str] | None:
    """The images' names where frames are a folder; those of a video have none."""
    if is_path(frames) and Path(frames).is_dir():
        return image_names(Path(frames))
    return None


def poses_by_frame(
    poses: Any, names: Sequence[str] | None, first: int = 0, category: str | None = None
) -> dict[int, Any]:
    """Frame index to its poses alone, as `named_poses` has them; arguments and errors as there."""
    return {index: given for index, (_, given) in named_poses(poses, names, first, category).items()}


def named_poses(
    poses: Any, names: Sequence[str] | None, first: int = 0, category: str | None = None
) -> dict[int, tuple[str, Any]]:
    """Frame index to the name of its poses and these: a file, or the document of that frame alone.

    In a folder of images, poses belong to the image whose name, without folders and suffix, is theirs; photo_keypoints
    is photo's; those of no image come after the last one. In a video they belong to the frame that the last number in
    their name counts, from `first` on. A list of OpenPose's documents has one for each frame, in order.

    Args:
        poses: A document of many images, or a path to one, or to a folder of one file a frame.
        names: The images' names in order, or None for a video.
        first: See above.
        category: Of the entries of a document that are wanted; by default people.

    Raises:
        FileNotFoundError: No such path, or no poses in the folder.
        ValueError: Not a document, names that tell no frame or several, or two that tell the same one.
    """
    entries, numbered = pose_entries(poses, category)
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names or ()):
        for spelling in {plain(name), stem_of(name)}:
            places.setdefault(spelling, []).append(i)
    out: dict[int, tuple[str, Any]] = {}
    for place, (name, given) in enumerate(entries):
        if numbered or names is None:
            index = place if numbered == "in order" else _number(name) - first
        else:
            index = _place(name, places, len(names) + len(out))
        if index < 0:
            raise ValueError(f"poses of {name!r}: they come before frame {first}, which is said to be the first")
        if index in out:
            raise ValueError(f"poses of {name!r} and of {out[index][0]!r} belong to the same frame, {index}")
        out[index] = name, given
    if names and out and min(out) >= len(names):
        raise ValueError(f"poses of {out[min(out)][0]!r}: no image has that name, nor that of any others")
    return out


def pose_entries(poses: Any, category: str | None = None) -> tuple[list[tuple[str, Any]], str]:
    """(name, file or document of one image) for every entry of a folder or document; and how a document counts its
    frames: "in order", "by number", "" where names tell."""
    if is_path(poses) and Path(poses).is_dir():
        folder = Path(poses)
        names = [p.name for p in folder.iterdir() if p.suffix.lower() in POSE_SUFFIXES and not p.name.startswith(".")]
        if not names:
            raise FileNotFoundError(f"{folder}: no files of poses ({', '.join(POSE_SUFFIXES)}) in this folder")
        return [(name, folder / name) for name in sorted(names, key=by_number)], ""
    document = read_poses(Path(poses)) if is_path(poses) else poses
    if not documents.is_document(document):
        raise ValueError(not_many(poses if is_path(poses) else "poses", document))
    in_order = documents.is_openpose_list(document)
    numbered = "in order" if in_order else "by number" if documents.is_numbered(document) else ""
    return documents.frames(document, category=category), numbered


def _place(name: str, places: dict[str, list[int]], nowhere: int) -> int:
    """The one image that poses of this name belong to.

    Raises:
        ValueError: There are several.
    """
    path = PurePosixPath(plain(name))
    stem = path.stem  # photo, photo_keypoints, photo.jpg
    spelled = (path.name, stem, stem.removesuffix(OPENPOSE_ENDING), PurePosixPath(stem).stem)
    found = next((places[s] for s in spelled if s in places), [nowhere])
    if len(found) > 1:
        raise ValueError(f"poses of {name!r}: not clear which image, {len(found)} of them have that name")
    return found[0]


def _number(name: str) -> int:
    numbers = re.findall(r"\d+", PurePosixPath(name.replace("\\", "/")).stem)
    if not numbers:
        raise ValueError(f"poses of {name!r}: no number in the name tells which frame they belong to")
    return int(numbers[-1])
