"""What users call without a Refiner of their own: weights are loaded once, and cached."""

import os
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch

from pose_refine._types import AnyArray, Floats
from pose_refine.arguments import Color, Options
from pose_refine.files.images import Image
from pose_refine.nn import backends, weights
from pose_refine.nn.predictor import Predictor
from pose_refine.poses import Poses
from pose_refine.refiner import Refiner
from pose_refine.skeletons import AnySkeleton

if TYPE_CHECKING:
    from typing_extensions import Unpack

Stamp = tuple[tuple[str, int, int], ...]
KEPT = 4  # refiners that are kept loaded: those that were used last
_lock = threading.Lock()


def _cached(source: str | os.PathLike[str] | None, device: str | torch.device | None) -> Refiner:
    """One refiner a source and device, however they are spelt, and anew when its files change; it loads when it is
    first needed."""
    place = _place(source)
    with _lock:  # two threads must not make two of them
        named = source is None or (isinstance(source, str) and source in weights.NAMES)
        key: Any = (source or weights.DEFAULT) if named or place is None else place
        return _refiner(key, backends.device_for(key, device=device), _stamp(place))


@lru_cache(maxsize=KEPT)
def _refiner(source: str | os.PathLike[str] | None, device: torch.device, stamp: Stamp) -> Refiner:
    load = partial(backends.load_source, source, None, "torch", device, None)
    return Refiner(Predictor(load, device=device))


def _place(source: str | os.PathLike[str] | None) -> Path | None:
    """Where a source lies on this machine; None for the hub's, and for what is not there."""
    if source is None or (isinstance(source, str) and source in weights.NAMES):
        return weights.find(source).resolve()
    there = isinstance(source, (str, os.PathLike)) and os.path.exists(source)  # noqa: PTH110  # see `weights.find`
    if not there:
        return None
    # An exported file is known by its name, which the target of a link, as in the hub's cache, may lack.
    return Path(source).absolute() if backends.is_exported(source) else Path(source).resolve()


def _stamp(place: Path | None) -> Stamp:
    """Changes when weights do."""
    if place is None:
        return ()
    files = [place] if place.is_file() else sorted(place.glob("*"))
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


class RefineOptions(Options, total=False):
    """And which refiner."""

    model: Refiner | str | os.PathLike[str] | None
    device: str | torch.device | None


@overload
def refine(
    image: Image, poses: Poses, *, to: AnySkeleton | None = None, **options: "Unpack[RefineOptions]"
) -> Poses: ...


@overload
def refine(
    image: Image, poses: AnyArray, *, to: AnySkeleton | None = None, **options: "Unpack[RefineOptions]"
) -> Floats: ...


@overload
def refine(
    image: Image, poses: dict[str, Any], *, to: None = None, **options: "Unpack[RefineOptions]"
) -> dict[str, Any]: ...


@overload
def refine(image: Image, poses: list[Any], *, to: None = None, **options: "Unpack[RefineOptions]") -> list[Any]: ...


@overload
def refine(image: Image, poses: Any, *, to: AnySkeleton, **options: "Unpack[RefineOptions]") -> Floats: ...


@overload
def refine(image: Image, poses: Any, *, to: None = None, **options: "Unpack[RefineOptions]") -> Any: ...


def refine(
    image: Image,
    poses: Any,
    *,
    skeleton: AnySkeleton | None = None,
    format: str | None = None,
    to: AnySkeleton | None = None,
    color: Color = "rgb",
    recover: bool = True,
    model: Refiner | str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 64,
    trust: float | None = None,
) -> Any:
    """Correct the poses of the people in one image: `Refiner.refine` with weights that are loaded once and cached.

    Args:
        image: uint8 (H, W, 3) array or tensor, a PIL image, or a path.
        poses: What your estimator gave; see `Refiner.refine`.
        skeleton: Which joints these are, where the format and their number do not say.
        format: Name of the format; by default it is recognised.
        to: Skeleton to convert the result to.
        color: Channel order of an array: "rgb" or "bgr".
        recover: Give missing joints a position.
        model: A Refiner, or any source that `Refiner.from_pretrained` takes; by default the embedded weights.
        device: Where to run; a Refiner knows its own.
        batch_size: At most so many people at once.
        trust: How far the poses are believed, from 0 (estimate anew) to 1 (move hardly anything).

    Returns:
        The same kind of object as `poses`, corrected.

    Raises:
        FileNotFoundError: A path that is not there.
        TypeError: An image, poses or a model of a kind that is not known.
        ValueError: An image, poses or weights that are not as they should be; a Refiner and a device.
    """
    return _refiner_of(model, device).refine(
        image,
        poses,
        skeleton=skeleton,
        format=format,
        to=to,
        color=color,
        recover=recover,
        batch_size=batch_size,
        trust=trust,
    )


def _refiner_of(model: Refiner | str | os.PathLike[str] | None, device: str | torch.device | None) -> Refiner:
    if not isinstance(model, Refiner):
        return _cached(model, device)
    if device is not None:
        raise ValueError("device: a Refiner already has one; pass device= to Refiner.from_pretrained")
    return model


def refine_many(
    images: Iterable[Image],
    poses: Iterable[Any],
    *,
    skeleton: AnySkeleton | None = None,
    format: str | None = None,
    to: AnySkeleton | None = None,
    color: Color = "rgb",
    recover: bool = True,
    model: Refiner | str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 64,
    trust: float | None = None,
    progress: bool = False,
) -> Iterator[Any]:
    """Correct the poses of the people in many images: `Refiner.refine_many` with weights that are loaded once and
    cached; arguments, results and errors as there, `model` and `device` as of `refine`."""
    return _refiner_of(model, device).refine_many(
        images,
        poses,
        skeleton=skeleton,
        format=format,
        to=to,
        color=color,
        recover=recover,
        batch_size=batch_size,
        trust=trust,
        progress=progress,
    )
