"""The one path: image and poses, to crops, to the network, to poses."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import torch

from pose_refine import formats
from pose_refine._types import AnyArray, Floats
from pose_refine.arguments import Backend, Color, Mode, Options, Smooth
from pose_refine.files.images import Image, read_image
from pose_refine.nn import backends
from pose_refine.nn.predictor import Predictor
from pose_refine.photographs import Wanted, prepare, refined, written
from pose_refine.photographs import refine_many as refine_many_with
from pose_refine.poses import Poses, Refinement
from pose_refine.skeletons import AnySkeleton
from pose_refine.video.frames import Frames
from pose_refine.video.pipeline import refine_frames
from pose_refine.video.pipeline import written as written_frame
from pose_refine.video.settings import AHEAD, SURE, Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Refiner:
    """A refiner: `Refiner.from_pretrained()`. It keeps nothing of a call: threads may share one, and it can be pickled.

    Args:
        predictor: Runs the network; it loads weights when there is first a joint to refine.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def __repr__(self) -> str:
        return f"Refiner(device={str(self.device)!r}, dtype={self.dtype})"

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.predictor.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the network."""
        return self.predictor.dtype

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
            source: None or "base", "small" (0.6 of its time, less accurate): embedded, no network needed; a folder;
                "org/name" or "hf://org/name[@revision]" on the Hugging Face hub; or a file that `pose-refine export`
                wrote, its name ends in .onnx.
            revision: Branch, tag or commit on the hub.
            device: Where to run; by default cuda, else mps, else cpu.
            dtype: torch.float32 (the default), or torch.bfloat16 / float16 for autocast.
            backend: "torch", or "onnx" for ONNX Runtime (extra [onnx]; cpu or cuda, float32), which runs .onnx files
                in any case. It exports other sources anew each time, which takes seconds.
            flip: Whether another network looks at each crop's mirror image, without the pose: what it finds owes
                nothing to it. By default as the weights are made for ("base": yes, "small": no). False
                takes 0.6 of the time of "base", and costs most where the estimator is weak.

        Raises:
            FileNotFoundError: No such folder.
            ImportError: ONNX Runtime is asked for, and not there.
            ValueError: The weights are damaged, do not fit, or cannot be had from the hub; an unknown backend; `flip`
                for an exported file, which has its own.
        """
        place = backends.device_for(source, revision, backend, device, flip)
        load = partial(backends.load_source, source, revision, backend, place, flip)
        predictor = Predictor(load, device=place, dtype=dtype)
        predictor.model  # noqa: B018  # so that what is wrong with the source is said here
        return cls(predictor)

    @overload
    def refine(
        self, image: Image, poses: Poses, *, to: AnySkeleton | None = None, **options: "Unpack[Options]"
    ) -> Poses: ...

    @overload
    def refine(
        self, image: Image, poses: AnyArray, *, to: AnySkeleton | None = None, **options: "Unpack[Options]"
    ) -> Floats: ...

    @overload
    def refine(
        self, image: Image, poses: dict[str, Any], *, to: None = None, **options: "Unpack[Options]"
    ) -> dict[str, Any]: ...

    @overload
    def refine(self, image: Image, poses: list[Any], *, to: None = None, **options: "Unpack[Options]") -> list[Any]: ...

    @overload
    def refine(self, image: Image, poses: Any, *, to: AnySkeleton, **options: "Unpack[Options]") -> Floats: ...

    @overload
    def refine(self, image: Image, poses: Any, *, to: None = None, **options: "Unpack[Options]") -> Any: ...

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
        trust: float | None = None,
    ) -> Any:
        """Correct the poses of the people in one image.

        Args:
            image: uint8 (H, W, 3) array or tensor, a PIL image, or a path.
            poses: What an estimator gave for this image, Poses, or a path to JSON; docs/formats.md lists them.
            skeleton: Which joints these are, where the format and their number do not say.
            format: Name of the format (a key of `pose_refine.formats.FORMATS`); by default it is recognised.
            to: Skeleton to convert the result to; then an array (or Poses) comes back.
            color: Channel order of an array: "rgb" or "bgr".
            recover: Give missing joints of people with any joint a position; False leaves them missing.
            batch_size: At most so many people at once: bounds memory.
            trust: How far the poses are believed, 0 to 1: at 0 what the network finds counts alone, at 1
                hardly anything is moved. None is as the weights say: 0.5, or what `pose-refine fit` found best.

        Returns:
            The same kind of object, nothing of it shared with what was handed in that could be changed by it; arrays
            as float32 (N, K, 3) x, y, score (a (K, 3) stays one), a path as the JSON's content. Scores are
            P(joint within its OKS-0.85 radius).

        Raises:
            FileNotFoundError: A path that is not there.
            TypeError: An image or poses of a kind that is not known.
            ValueError: An image or poses that are not as they should be.
        """
        wanted = Wanted(skeleton, format, to, color, recover, batch_size, trust)
        photograph = prepare(*read_image(image, color), formats.load(poses), wanted)
        return written(photograph, refined(self.predictor.predict, [photograph], wanted)[0], wanted)

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
        trust: float | None = None,
    ) -> Refinement:
        """As `refine`, but returns what was changed and how sure it is; arguments and errors as there."""
        wanted = Wanted(skeleton, format, to, color, recover, batch_size, trust)
        photograph = prepare(*read_image(image, color), formats.load(poses), wanted)
        return refined(self.predictor.predict, [photograph], wanted)[0]

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
        trust: float | None = None,
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
        wanted = Wanted(skeleton, format, to, color, recover, batch_size, trust)
        return refine_many_with(self.predictor.predict, images, poses, wanted, progress)

    def refine_video(
        self,
        frames: Frames,
        poses: Any,
        *,
        ids: Iterable[Sequence[Any] | None] | None = None,
        fps: float | None = None,
        mode: Mode = "map",
        threshold: float = SURE,
        smooth: Smooth | None = None,
        ahead: int = AHEAD,
        passes: int = 1,
        first: int = 0,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
        trust: float | None = None,
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
                People without are linked to those in the frames before, and get 1, 2, ...; so are
                people with an identity that occurs twice in a frame.
            fps: Frames a second, for One Euro and to tell when people are forgotten (after a second); by default what
                the video file says, else 30.
            mode: "map" keeps all joints, with their scores; "mota" drops those below `threshold`, as trackers need it.
            threshold: Probability; higher drops more joints, and fewer of them right ones.
            smooth: "zero_phase" filters forwards and backwards, "one_euro" uses the frames before only; fast motion and
                joints that are sure are moved least. None: wrong joints come back, right ones are not filtered.
            ahead: Frames after each that may tell of it; less is less delay, and worse. 0 for a live camera.
            passes: Of the network over each person; 2 helps weak estimators, at twice the cost.
            first: What the first frame is called in the names of documents and files that number frames of a video.
            skeleton: Which joints these are, where the format and their number do not say.
            format: Name of the format; by default it is recognised.
            to: Skeleton to convert the result to; then arrays (or Poses) come back.
            color: Channel order of arrays: "rgb" or "bgr".
            recover: Give missing joints of people with any joint a position; False leaves them missing.
            batch_size: At most so many people at once.
            trust: How far the poses are believed, 0 to 1, see `refine`.
            progress: Show a progress bar on stderr.

        Yields:
            For each frame the same kind of object as came for it, None for None. New identities are in it where the
            format has a place for them: Poses, OpenPose, COCO, PoseTrack, AlphaPose; `analyze_video` tells them always.

        Raises:
            FileNotFoundError: A path that is not there.
            TypeError: Frames or poses of a kind that is not known.
            ValueError: Frames, poses or ids that are not as they should be; poses for more frames than there are, or
                for fewer: then all frames that have both have been yielded.
        """
        wanted = Settings(skeleton, format, to, fps, mode, threshold, smooth, ahead, passes, recover, batch_size, trust)
        results = refine_frames(self.predictor, frames, poses, ids, wanted, color=color, first=first, progress=progress)
        return (written_frame(frame, refined, wanted) for frame, refined in results)

    def analyze_video(
        self,
        frames: Frames,
        poses: Any,
        *,
        ids: Iterable[Sequence[Any] | None] | None = None,
        fps: float | None = None,
        mode: Mode = "map",
        threshold: float = SURE,
        smooth: Smooth | None = None,
        ahead: int = AHEAD,
        passes: int = 1,
        first: int = 0,
        skeleton: AnySkeleton | None = None,
        format: str | None = None,
        to: AnySkeleton | None = None,
        color: Color = "rgb",
        recover: bool = True,
        batch_size: int = 64,
        trust: float | None = None,
        progress: bool = False,
    ) -> Iterator[Refinement]:
        """As `refine_video`, but yields what was changed and how sure it is, with identities: `.poses.ids`."""
        wanted = Settings(skeleton, format, to, fps, mode, threshold, smooth, ahead, passes, recover, batch_size, trust)
        results = refine_frames(self.predictor, frames, poses, ids, wanted, color=color, first=first, progress=progress)
        return (refined for _, refined in results)
