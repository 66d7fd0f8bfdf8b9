"""Images and their people through the network: several at once, so that batches fill across them."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_refine import formats
from pose_refine._types import AnyArray, Bytes, Floats, Shape
from pose_refine.arguments import Color, believed, integer
from pose_refine.crops.batches import Picture, Scene, closer_looks
from pose_refine.files.ahead import read_ahead, said_of, until_error
from pose_refine.files.images import Image, check_color, read_image
from pose_refine.nn.predictor import AGREED, RESULT
from pose_refine.poses import Poses, Refinement
from pose_refine.prepared import PreparedPoses, finish, hand_back, prepare_poses
from pose_refine.skeletons import AnySkeleton, get_skeleton

END: Any = object()
READ_AHEAD = 32  # images that are decoded while the network runs
HELD = 1 << 28  # bytes of images that one batch may hold, if there are several
Predict = Callable[[Sequence[tuple[Scene, AnyArray]], int], list[Floats]]  # what `Predictor.predict` does


@dataclass(frozen=True)
class Wanted:
    """What `Refiner.refine` takes beside an image and its poses; see there."""

    skeleton: AnySkeleton | None = None
    format: str | None = None
    to: AnySkeleton | None = None
    color: Color = "rgb"
    recover: bool = True
    batch_size: int = 64
    trust: float | None = None

    def __post_init__(self) -> None:
        believed(self.trust)
        object.__setattr__(self, "batch_size", integer("batch_size", self.batch_size, 1))
        check_color(self.color)
        for skeleton in (self.skeleton, self.to):
            if skeleton is not None:
                get_skeleton(skeleton)


@dataclass(frozen=True)
class Photograph:
    """An image on its way.

    Attributes:
        given: What came for it, of any format.
        shape: Its height and width.
        prepared: Its poses.
        scene: What the network is to see of it, of those who have a joint; None where nobody has.
    """

    given: Any
    shape: Shape
    prepared: PreparedPoses
    scene: Scene | None

    @property
    def people(self) -> int:
        """How many the network is to see."""
        return len(self.prepared.rows)

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return 0 if self.scene is None else self.scene.picture.pixels.nbytes


def prepare(pixels: Bytes, order: str, given: Any, wanted: Wanted) -> Photograph:
    """An image, its channels' order, and what came for it, ready for the network."""
    shape = pixels.shape[0], pixels.shape[1]
    prepared = prepare_poses(formats.read(given, wanted.skeleton, format=wanted.format, shape=shape), wanted.to, shape)
    if not len(prepared.rows):
        return Photograph(given, shape, prepared, None)
    picture, trust = Picture(pixels, order), believed(wanted.trust)
    scene = Scene(picture, *prepared.where_to_cut(shape), prepared.mpii, trust)
    return Photograph(given, shape, prepared, scene)


def refined(predict: Predict, photographs: Sequence[Photograph], wanted: Wanted) -> list[Refinement]:
    """What becomes of their poses; people whose pose was far off are looked at again, closer."""
    scenes = [p.scene for p in photographs if p.scene is not None]
    found = predict([(scene, np.arange(len(scene.initial))) for scene in scenes], wanted.batch_size)
    again = closer_looks(scenes, [joints[..., AGREED] for joints in found])
    closer = predict([(scene, rows) for _, scene, rows in again], wanted.batch_size)
    for (n, _, rows), joints in zip(again, closer, strict=True):
        found[n][rows] = joints
    joints_of = (joints[..., RESULT] for joints in found)
    return [finish(p.prepared, None if p.scene is None else next(joints_of), wanted.recover) for p in photographs]


def written(photograph: Photograph, refinement: Refinement, wanted: Wanted) -> Any:
    """The result as the kind of object that came."""
    return hand_back(refinement.poses, photograph.given, wanted.to, format=wanted.format, shape=photograph.shape)


def refine_many(
    predict: Predict, images: Iterable[Image], poses: Iterable[Any], wanted: Wanted, progress: bool
) -> Iterator[Any]:
    """What `Refiner.refine_many` yields; see there."""
    one = (str, os.PathLike, dict, Poses)
    for name, values in (("images", images), ("poses", poses)):
        if isinstance(values, one) or not isinstance(values, Iterable):
            raise TypeError(f"{name}: expected one entry an image, got a {type(values).__name__}")
    total = len(images) if isinstance(images, Sized) else None
    return iter(tqdm(_all(predict, images, poses, wanted), "refine", total, unit="image", disable=not progress))


def _all(predict: Predict, images: Iterable[Image], poses: Iterable[Any], wanted: Wanted) -> Iterator[Any]:
    errors: list[Exception] = []
    with closing(_prepared(images, poses, wanted)) as prepared:
        for chunk in chunks(until_error(prepared, errors), wanted.batch_size):
            there = [p for p in chunk if p is not None]
            results = iter(zip(there, refined(predict, there, wanted), strict=True))
            yield from (None if p is None else written(*next(results), wanted) for p in chunk)
    if errors:
        raise errors[0]


def _prepared(
    images: Iterable[Image], poses: Iterable[Any], wanted: Wanted
) -> Generator[Photograph | None, None, None]:
    """Images and their poses, read ahead; None where nothing came for an image."""

    def read(pair: tuple[Image, Any]) -> tuple[tuple[Bytes, str], Any] | None:
        image, given = pair
        return None if given is None else (read_image(image, wanted.color), formats.load(given))

    errors: list[Exception] = []
    with closing(read_ahead(read, until_error(_pairs(images, poses), errors), READ_AHEAD)) as reading:
        for index, (_, future) in enumerate(reading):
            try:
                result = future.result()
                photograph = None if result is None else prepare(*result[0], result[1], wanted)
            except Exception as error:
                raise said_of(f"image {index}", error) from error
            yield photograph
    if errors:
        raise errors[0]


def _pairs(images: Iterable[Image], poses: Iterable[Any]) -> Iterator[tuple[Image, Any]]:
    for count, (image, given) in enumerate(zip_longest(images, poses, fillvalue=END)):
        if image is END:
            raise ValueError(f"poses for more images than the {count} that there are")
        if given is END:
            raise ValueError(f"poses for {count} images, but there are more; give None for an image without poses")
        yield image, given


def chunks(photographs: Iterable[Photograph | None], people: int) -> Iterator[list[Photograph | None]]:
    """As many at once as have at most so many people and HELD bytes, in their order; at least one."""
    chunk: list[Photograph | None] = []
    count = size = 0
    for photograph in photographs:
        more, larger = (0, 0) if photograph is None else (photograph.people, photograph.size)
        if chunk and (count + more > people or size + larger > HELD):
            yield chunk
            chunk, count, size = [], 0, 0
        chunk.append(photograph)
        count, size = count + more, size + larger
        if count >= people or len(chunk) >= 2 * people:
            yield chunk
            chunk, count, size = [], 0, 0
    if chunk:
        yield chunk
