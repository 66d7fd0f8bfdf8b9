"""The one path: image and poses, to crops, to the network, to poses."""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_refine import formats
from pose_refine._types import AnyArray, Floats
from pose_refine.arguments import Backend, Color, Mode, Smooth
from pose_refine.crops.batches import Scene, Views, batches
from pose_refine.crops.geometry import to_image
from pose_refine.crops.on_device import upload
from pose_refine.files.images import Image, read_image
from pose_refine.nn import backends
from pose_refine.nn.model import Model, Prompt
from pose_refine.nn.onnx_model import OnnxModel
from pose_refine.photographs import Wanted, prepare, refined, written
from pose_refine.photographs import refine_many as refine_many_with
from pose_refine.poses import Refinement
from pose_refine.skeletons import NETWORK, AnySkeleton
from pose_refine.video.frames import Frames

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def load_source(
    source: str | os.PathLike[str] | None,
    revision: str | None,
    backend: str,
    device: torch.device,
    flip: bool | None,
) -> Model | OnnxModel:
    """What `backends.choose` says; a function of its own, as pickle takes no closures."""
    return backends.choose(source, revision, backend, device, flip)[0]()


class Refiner:
    """A refiner: `Refiner.from_pretrained()`. It keeps nothing of a call: threads may share one, and it can be pickled.

    Args:
        load: Gives the model, on the CPU, or an OnnxModel for `device`; called once, when there is first a joint to
            refine.
        device: Where to run it; by default cuda, else mps, else cpu.
        dtype: Of the network: torch.float32 (the default), or bfloat16 / float16 by autocast: faster where the device
            has instructions for it, and not the same answers.
    """

    def __init__(
        self,
        load: backends.Load,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype = torch.float32 if dtype is None else dtype
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, got {dtype!r}")
        self.device = backends.usable_device(device)
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Model | OnnxModel | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and deepcopy: a torch model that was loaded travels, by way of the CPU; others are loaded anew."""
        with self._lock:
            state, model = vars(self).copy(), self._loaded
        del state["_lock"]
        travels = isinstance(model, Model)
        state["_loaded"] = deepcopy(model).cpu() if isinstance(model, Model) and self.device.type != "cpu" else model
        return {**state, "_load": None} if travels else {**state, "_loaded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()
        if self._loaded is not None:
            self._loaded = self._on_device(self._loaded)

    def _on_device(self, model: Model | OnnxModel) -> Model | OnnxModel:
        if isinstance(model, Model):
            return model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
        return model

    @property
    def _model(self) -> Model | OnnxModel:
        with self._lock:  # two threads must not load it twice
            if self._loaded is None:
                model = self._load()
                if isinstance(model, OnnxModel) and self.dtype != torch.float32:
                    raise ValueError(f"dtype: ONNX Runtime computes in torch.float32, got {self.dtype}")
                self._loaded = self._on_device(model)
            return self._loaded

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        backend: Backend = "torch",
        flip: bool | None = None,
    ) -> "Refiner":
        """Load weights.

        Args:
            source: None or "base", "small" (half its time, less accurate), "large" (half as much again, more accurate):
                embedded, no network needed; a folder; "org/name" or
                "hf://org/name[@revision]" on the Hugging Face hub; or a file that `pose-refine export` wrote, its name
                ends in .onnx.
            revision: Branch, tag or commit on the hub.
            device: Where to run; by default cuda, else mps, else cpu.
            dtype: torch.float32 (the default), or torch.bfloat16 / float16 for autocast.
            backend: "torch", or "onnx" for ONNX Runtime (extra [onnx]; cpu or cuda, float32), which runs .onnx files
                in any case. It exports other sources anew each time, which takes seconds.
            flip: Whether to look at each crop's mirror image too, without the pose: what is found there owes nothing to
                it. By default as the weights are made for ("large" and "base": yes, "small": no). False halves the cost
                of "base", and costs most where the estimator is weak.

        Raises:
            FileNotFoundError: No such folder.
            ImportError: ONNX Runtime is asked for, and not there.
            ValueError: The weights are damaged, do not fit, or cannot be had from the hub; an unknown backend; `flip`
                for an exported file, which has its own.
        """
        _, device = backends.choose(source, revision, backend, device, flip)
        refiner = cls(partial(load_source, source, revision, backend, device, flip), device=device, dtype=dtype)
        refiner._model  # noqa: B018  # so that what is wrong with the source is said here
        return refiner

    def refine(
        self,
        image: Image,
        poses: Any,
        *,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
    ) -> Any:
        """Correct the poses of the people in one image.

        Args:
            image: uint8 (H, W, 3) array or tensor, a PIL image, or a path.
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
        wanted = Wanted(skeleton, format, to, color, recover, batch_size)
        photograph = prepare(*read_image(image, color), formats.load(poses), wanted)
        return written(photograph, refined(self.look, [photograph], wanted)[0], wanted)

    def analyze(
        self,
        image: Image,
        poses: Any,
        *,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
    ) -> Refinement:
        """As `refine`, but returns what was changed and how sure it is; arguments and errors as there."""
        wanted = Wanted(skeleton, format, to, color, recover, batch_size)
        photograph = prepare(*read_image(image, color), formats.load(poses), wanted)
        return refined(self.look, [photograph], wanted)[0]

    def refine_many(
        self,
        images: Iterable[Image],
        poses: Iterable[Any],
        *,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Correct the poses of the people in many images: faster than one by one, as batches fill across images.

        An iterator in bounded memory: images are read ahead in threads, and some 100 are held at most, fewer of large
        ones. `images` are any that `refine` takes, `poses` one entry for each, None for an image that is to be left
        out; `progress` shows a bar on stderr; the others are as there. Results come as soon as a batch is full.

        Yields:
            For each image, in order, what `refine` returns for it; None for None.

        Raises:
            FileNotFoundError: A path that is not there.
            TypeError: An image or poses of a kind that is not known; not one entry an image.
            ValueError: An image or poses that are not as they should be; poses for more images than there are, or for
                fewer. What is wrong with one image names its index, and comes after the results of those before it.
        """
        wanted = Wanted(skeleton, format, to, color, recover, batch_size)
        return refine_many_with(self.look, images, poses, wanted, progress)

    def refine_video(
        self,
        frames: Frames,
        poses: Any,
        *,
        ids: Iterable[Sequence[Any] | None] | None = None,
        fps: float | None = None,
        mode: Mode = "map",
        threshold: float = 0.7,
        smooth: Smooth | None = None,
        ahead: int = 8,
        looks: int = 1,
        first: int = 0,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Correct the poses of the people in a video, with what the frames around tell.

        An iterator in constant memory: some 30 frames are held, and the first result comes after 2 x `ahead` frames.

        Args:
            frames: A video file, a folder of images in the order of their names, or an iterable of images as `refine`
                takes them. None, or a file that does not decode, is a frame that could not be had: its poses stay as
                they are.
            poses: One entry a frame, of any format that `refine` takes, None where there is nothing; or a document of
                many frames (COCO, PoseTrack, AlphaPose), or a path to one, or to a folder of one file a frame.
            ids: For each frame one identity a person, None where it is not known. By default those that the format has.
                People without are linked to those in the frames before, and get 1, 2, ... (needs the extra [video]).
                People with an identity that occurs twice in a frame are linked so, too.
            fps: Frames a second, for One Euro and to tell when people are forgotten (after a second); by default what
                the video file says, else 30.
            mode: "map" keeps all joints, with their scores; "mota" drops those below `threshold`, as trackers need it.
            threshold: Probability; higher drops more joints, and fewer of them right ones.
            smooth: "zero_phase" filters forwards and backwards, "one_euro" uses the frames before only; fast motion and
                joints that are sure are moved least. None: wrong joints come back, right ones are not filtered.
            ahead: Frames after each that may tell of it; less is less delay, and worse. 0 for a live camera.
            looks: Of the network at each person; 2 helps weak estimators, at twice the cost.
            first: What the first frame is called in the names of documents and files that number frames of a video.
            skeleton: Which joints these are, where the format and their number do not say.
            format: Name of the format; by default it is recognised.
            to: Skeleton to convert the result to; then arrays (or Poses) come back.
            color: Channel order of arrays: "rgb" or "bgr".
            recover: Give missing joints of people with any joint a position; False leaves them missing.
            batch_size: At most so many people at once.
            progress: Show a progress bar on stderr.

        Yields:
            For each frame the same kind of object as came for it, None for None. New identities are in it where the
            format has a place for them: Poses, OpenPose, COCO, PoseTrack, AlphaPose; `analyze_video` tells them always.

        Raises:
            FileNotFoundError: A path that is not there.
            ImportError: People are to be linked, and scipy is not there.
            TypeError: Frames or poses of a kind that is not known.
            ValueError: Frames, poses or ids that are not as they should be; poses for more frames than there are, or
                for fewer: then all frames that have both have been yielded.
        """
        from pose_refine.video import pipeline as video
        from pose_refine.video import stages as looking

        settings = looking.Settings(
            skeleton, format, to, fps, mode, threshold, smooth, ahead, looks, recover=recover, batch_size=batch_size
        )
        results = video.refine_frames(self, frames, poses, ids, settings, color=color, first=first, progress=progress)
        return (video.written(frame, refined, settings) for frame, refined in results)

    def analyze_video(
        self,
        frames: Frames,
        poses: Any,
        *,
        ids: Iterable[Sequence[Any] | None] | None = None,
        fps: float | None = None,
        mode: Mode = "map",
        threshold: float = 0.7,
        smooth: Smooth | None = None,
        ahead: int = 8,
        looks: int = 1,
        first: int = 0,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Iterator[Refinement]:
        """As `refine_video`, but yields what was changed and how sure it is, with identities: `.poses.ids`."""
        from pose_refine.video import pipeline as video
        from pose_refine.video import stages as looking

        settings = looking.Settings(
            skeleton, format, to, fps, mode, threshold, smooth, ahead, looks, recover=recover, batch_size=batch_size
        )
        results = video.refine_frames(self, frames, poses, ids, settings, color=color, first=first, progress=progress)
        return (refined for _, refined in results)

    def look(self, shown: Sequence[tuple[Scene, AnyArray]], batch_size: int) -> list[Floats]:
        """The joints of people (R,) of each scene, (R, 19, 3) x, y, score, in batches. Only the last step waits."""
        counts = [len(rows) for _, rows in shown]
        if not any(counts):  # needs no weights
            return [np.empty((0, len(NETWORK.joints), 3), np.float32) for _ in shown]
        found = [self._look(views) for views in batches(shown, self._batch(batch_size))]
        return np.split(torch.cat(found).cpu().numpy(), np.cumsum(counts)[:-1])

    def _refine_crops(self, scene: Scene, rows: AnyArray, batch_size: int) -> Floats:
        """The joints of people (R,) of one scene: (R, 19, 3) x, y, score."""
        return self.look([(scene, rows)], batch_size)[0]

    def _batch(self, size: int) -> int:
        """How many people at once, where at most `size` are wanted."""
        return backends.batch_of(self._model, self.device, size)

    def _look(self, views: Views) -> Tensor:
        """What the network says of one batch, (N, 19, 3) x, y in image pixels, score."""
        return backends.within_memory(self._ask, views)

    @torch.inference_mode()
    def _ask(self, views: Views) -> Tensor:
        model = self._model
        place = torch.device("cpu") if isinstance(model, OnnxModel) else self.device
        prompt = Prompt(*(upload(getattr(views, name), place) for name in Prompt._fields))
        with backends.own_precision(place):
            found, score = model(views.crops(place), prompt, self.dtype)
            return torch.cat([to_image(found, upload(views.matrices, place)), score[..., None]], -1)
