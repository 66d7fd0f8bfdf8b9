"""The one path: image and poses, to crops, to the network, to poses."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from pose_refine import formats, weights
from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.crops import crop_boxes, crop_matrices, cut_crops, nearest_others, to_crop, to_image
from pose_refine.formats.arrays import columns
from pose_refine.images import read_image
from pose_refine.model import Model
from pose_refine.poses import Poses, Refinement
from pose_refine.skeletons import NETWORK, Skeleton, convert, get_skeleton, put_back

MOVED = 0.01  # of the person's box height; less is "kept"
FAR = 0.5  # of the image's sides: a joint further outside than that can only be wrong, and is taken for missing
CPU_BATCH = 4  # activations that fit a cache are several times faster on CPUs than large batches
DTYPES = (torch.float32, torch.bfloat16, torch.float16)

Image = AnyArray | torch.Tensor | str | os.PathLike[str]


def usable_device(device: str | torch.device | None) -> torch.device:
    """`device`; by default cuda if there is one, else mps, else cpu.

    Raises:
        ValueError: It is not one, or this machine or this build of torch lacks it.
    """
    if device is None and not torch.cuda.is_available():
        device = "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(0, device=device or "cuda").device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: cannot use {device!r}: {error}") from error


class Refiner:
    """A refiner: `Refiner.from_pretrained()`. It keeps nothing of a call: threads may share one.

    Args:
        load: Gives the model, on the CPU; called once, when there is first a joint to refine.
        device: Where to run it; by default cuda, else mps, else cpu.
        dtype: Of the network: torch.float32 (the default), or bfloat16 / float16 by autocast: faster where the device
            has instructions for it, and not the same answers.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype = torch.float32 if dtype is None else dtype
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, got {dtype!r}")
        self.device = usable_device(device)
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Model | None = None

    @property
    def _model(self) -> Model:
        with self._lock:  # two threads must not load it twice
            if self._loaded is None:
                self._loaded = self._load().to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return self._loaded

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> "Refiner":
        """Load weights.

        Args:
            source: None (the embedded weights, no network needed), a folder, one of our names ("small", "base"),
                "org/name" or "hf://org/name[@revision]" on the Hugging Face hub.
            revision: Branch, tag or commit on the hub.
            device: Where to run; by default cuda, else mps, else cpu.
            dtype: torch.float32 (the default), or torch.bfloat16 / float16 for autocast.

        Raises:
            FileNotFoundError: No such folder.
            ValueError: The weights are damaged, do not fit, or cannot be had from the hub.
        """
        refiner = cls(lambda: weights.load(weights.find(source, revision))[0], device=device, dtype=dtype)
        refiner._model  # noqa: B018  # so that what is wrong with the source is said here
        return refiner

    def refine(
        self,
        image: Image,
        poses: Any,
        *,
        skeleton: str | None = None,
        format: str | None = None,
        to: str | None = None,
        color: str = "rgb",
        recover: bool = True,
        batch_size: int = 64,
    ) -> Any:
        """Correct the poses of the people in one image.

        Args:
            image: uint8 (H, W, 3) array or tensor, or a path.
            poses: What an estimator gave for this image, Poses, or a path to JSON; the README lists the formats.
            skeleton: Which joints these are, where the format and their number do not say.
            format: Name of the format (a key of `pose_refine.formats.FORMATS`); by default it is recognised.
            to: Skeleton to convert the result to; then an array (or Poses) comes back.
            color: Channel order of an array: "rgb" or "bgr".
            recover: Give missing joints of people with any joint a position; False leaves them missing.
            batch_size: At most so many people at once: bounds memory.

        Returns:
            The same kind of object, nothing of it shared with what was handed in that could be changed by it; arrays
            as float32 (N, K, 3) x, y, score (a (K, 3) stays one), a path as the JSON's content. Scores are
            P(joint within its OKS-0.85 radius).

        Raises:
            FileNotFoundError: A path that is not there.
            TypeError: An image or poses of a kind that is not known.
            ValueError: An image or poses that are not as they should be.
        """
        given, (pixels, order) = formats.load(poses), read_image(image, color)
        refined = self.analyze(
            pixels,
            given,
            skeleton=skeleton,
            format=format,
            to=to,
            color=order,
            recover=recover,
            batch_size=batch_size,
        ).poses
        return hand_back(refined, given, to, format=format, shape=pixels.shape[:2])

    def analyze(
        self,
        image: Image,
        poses: Any,
        *,
        skeleton: str | None = None,
        format: str | None = None,
        to: str | None = None,
        color: str = "rgb",
        recover: bool = True,
        batch_size: int = 64,
    ) -> Refinement:
        """As `refine`, but returns what was changed and how sure it is; arguments and errors as there."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size: expected an integer of at least 1, got {batch_size!r}")
        pixels, order = read_image(image, color)
        given = formats.read(formats.load(poses), skeleton, format=format, shape=pixels.shape[:2])
        source, target = get_skeleton(given.skeleton), get_skeleton(to or given.skeleton)
        rows = np.flatnonzero(given.present.any(1))  # the others have nothing to go by
        before = columns(given) if target is source else convert(columns(given), source, target)
        after = before.copy()
        if len(rows):
            reachable = within_reach(columns(given)[rows], pixels.shape[:2])
            found = self._run(pixels, order, reachable[..., :2], source, batch_size)
            refined = put_back(reachable if target is source else convert(reachable, source, target), found, target)
            keep = np.isnan(refined[..., :1]) | (np.isnan(before[rows][..., :1]) & (not recover))
            after[rows] = np.where(keep, before[rows], refined)
        initial, result = (Poses(v[..., :2], v[..., 2], target.name, given.ids) for v in (before, after))
        return compare(initial, result)

    def _run(self, image: Bytes, order: str, keypoints: Floats, source: Skeleton, batch_size: int) -> Floats:
        """Poses (N, K, 2) of people who have a joint, to the network's joints (N, 19, 3) x, y, score."""
        known = convert(keypoints, source, NETWORK)
        lost = np.isnan(known[..., :1]).all(1, keepdims=True)  # only joints that the network does not know
        anchors = np.concatenate([known, np.where(lost, keypoints, np.float32(np.nan))], 1)
        matrices = crop_matrices(*crop_boxes(anchors, image.shape[:2]))
        return self._refine_crops(image, order, known, matrices, batch_size)

    @torch.inference_mode()
    def _refine_crops(self, image: Bytes, order: str, known: Floats, matrices: Floats, batch_size: int) -> Floats:
        """The network's joints (N, 19, 2), NaN where missing, and where to cut, to (N, 19, 3) x, y, score."""
        size = min(batch_size, CPU_BATCH) if self.device.type == "cpu" else batch_size
        claimed = to_crop(known, matrices)
        rows = np.arange(len(known))
        out = np.empty((len(known), len(NETWORK.joints), 3), dtype=np.float32)
        for start in range(0, len(known), size):
            part = slice(start, start + size)
            crops = torch.from_numpy(cut_crops(image, matrices[part])).to(self.device)
            initial = torch.from_numpy(claimed[part]).to(self.device)
            near = to_crop(nearest_others(known, rows[part]), matrices[part])
            others = torch.from_numpy(near).to(self.device)
            found, score = self._model(crops.flip(3) if order == "bgr" else crops, initial, others, self.dtype)
            out[part, :, :2] = to_image(found.cpu().numpy(), matrices[part])
            out[part, :, 2] = score.cpu().numpy()
        return out


def hand_back(
    refined: Poses, given: Any, to: str | None, *, format: str | None = None, shape: formats.Shape | None = None
) -> Any:
    """`refined` as the kind of object that was given; as an array where it was converted."""
    if to is None or isinstance(given, Poses):
        return formats.write(refined, given, format=format, shape=shape)
    array = columns(refined)
    return array[0] if isinstance(given, np.ndarray) and given.ndim == 2 else array


def within_reach(values: Floats, shape: Sequence[int]) -> Floats:
    """`values` (N, K, 3), x and y NaN where they lie more than FAR of the image's side outside the image.

    A person all of whose joints are that far out is moved to that border instead, so that there is something to cut.
    """
    size = np.array([shape[1], shape[0]], dtype=np.float32)
    nearest = np.clip(values[..., :2], -FAR * size - 1, (1 + FAR) * size)
    near = np.where(nearest == values[..., :2], nearest, np.float32(np.nan))
    near[np.isnan(near).any(-1)] = np.nan
    lost = np.isnan(near).all((1, 2), keepdims=True)
    return np.concatenate([np.where(lost, nearest, near), values[..., 2:]], -1)


def compare(initial: Poses, refined: Poses) -> Refinement:
    """What changed between two sets of poses of the same people."""
    shift = np.hypot(*np.moveaxis(refined.keypoints - initial.keypoints, -1, 0))  # does not overflow
    y, present = refined.keypoints[..., 1], refined.present
    height = np.where(present, y, -np.inf).max(1) - np.where(present, y, np.inf).min(1)
    moved = np.nan_to_num(shift) > MOVED * np.maximum(height, 1)[:, None]
    both = np.where(moved, "moved", "kept")
    verdict = np.where(present, np.where(initial.present, both, "recovered"), "missing")
    return Refinement(refined, initial, shift, verdict)


_refiners: dict[tuple[Any, Any], Refiner] = {}
_refiners_lock = threading.Lock()


def _cached(source: str | os.PathLike[str] | None, device: str | torch.device | None) -> Refiner:
    """One refiner a source and device; it loads when it is first needed."""
    with _refiners_lock:
        if (source, device) not in _refiners:
            _refiners[source, device] = Refiner(lambda: weights.load(weights.find(source))[0], device=device)
        return _refiners[source, device]


def refine(
    image: Image,
    poses: Any,
    *,
    skeleton: str | None = None,
    format: str | None = None,
    to: str | None = None,
    color: str = "rgb",
    recover: bool = True,
    model: Refiner | str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 64,
) -> Any:
    """Correct the poses of the people in one image: `Refiner.refine` with weights that are loaded once and cached.

    Args:
        image: uint8 (H, W, 3) array or tensor, or a path.
        poses: What your estimator gave; see `Refiner.refine`.
        skeleton: Which joints these are, where the format and their number do not say.
        format: Name of the format; by default it is recognised.
        to: Skeleton to convert the result to.
        color: Channel order of an array: "rgb" or "bgr".
        recover: Give missing joints a position.
        model: A Refiner, or any source that `Refiner.from_pretrained` takes; by default the embedded weights.
        device: Where to run; a Refiner knows its own.
        batch_size: At most so many people at once.

    Returns:
        The same kind of object as `poses`, corrected.

    Raises:
        FileNotFoundError: A path that is not there.
        TypeError: An image, poses or a model of a kind that is not known.
        ValueError: An image, poses or weights that are not as they should be; a Refiner and a device.
    """
    if isinstance(model, Refiner) and device is not None:
        raise ValueError("device: a Refiner already has one; pass device= to Refiner.from_pretrained")
    refiner = model if isinstance(model, Refiner) else _cached(model, device)
    return refiner.refine(
        image,
        poses,
        skeleton=skeleton,
        format=format,
        to=to,
        color=color,
        recover=recover,
        batch_size=batch_size,
    )
