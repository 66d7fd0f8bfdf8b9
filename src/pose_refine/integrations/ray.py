"""Refining tables of images and poses in Ray Data, on as many machines as its cluster has. Needs the extra [ray].

Ray spreads the rows, restarts actors that die and gives their rows to others; `RefineBatch` is what its actors run.
"""

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from pose_refine.files.pose_files import encode_poses, parse_poses
from pose_refine.nn.backends import keep_memory
from pose_refine.refiner import Refiner

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("image", "poses")


class RefineBatch:
    """What an actor of `Dataset.map_batches` does; it loads the weights once.

        actors = ray.data.ActorPoolStrategy(size=8)
        dataset.map_batches(RefineBatch, batch_format="pandas", batch_size=64, compute=actors, num_cpus=0.5)

    with `num_gpus=1` for an actor on a GPU, and these arguments in `fn_constructor_kwargs={...}`. Actors must not take
    all of Ray's CPU cores: reading and writing need one, or the job waits for ever.

    Args:
        source: Weights, as `Refiner.from_pretrained` takes them; by default the embedded ones.
        skeleton: Which joints the poses have, where they do not say.
        format: Name of the format of JSON text; by default it is recognised.
        recover: Give missing joints of people with any joint a position; False leaves them missing.
        trust: How far the poses are believed, 0 to 1, see `Refiner.refine`.
        flip: See `Refiner.from_pretrained`.
        device: Where to run; by default the GPU that Ray gave the actor, else the CPU.
        threads: Of torch and OpenCV, in the actor's process. More than 1 needs as many `num_cpus`. Its malloc is told
            to keep freed memory, too.

    Raises:
        ImportError: Ray is to say the device, and is not installed.
    """

    def __init__(
        self,
        source: str | None = None,
        *,
        skeleton: str | None = None,
        format: str | None = None,
        recover: bool = True,
        trust: float | None = None,
        device: str | None = None,
        flip: bool | None = None,
        threads: int = 1,
    ) -> None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        keep_memory()
        self.options: dict[str, Any] = {"skeleton": skeleton, "format": format, "recover": recover, "trust": trust}
        self.refiner = Refiner.from_pretrained(source, device=device or _given_device(), flip=flip)

    def __call__(self, batch: "pd.DataFrame") -> "pd.DataFrame":
        """Refine a batch of rows.

        Args:
            batch: `image`, a path that this machine can read; `poses` of its people: JSON text of any format that
                `refine` takes, or numbers (N, K, 3), (N, K, 2) or (K, 3) as nested lists or an array; other columns.

        Returns:
            The same rows in the same order, `poses` refined, of the kind that came (numbers as x, y, score), and one
            more column: `error`, "" or why the row could not be refined; its poses are as they came.

        Raises:
            RuntimeError: The device or the machine fails, not the row: the job must not go on as if all rows were bad.
            ValueError: A column is missing, or `error` is there already.
        """
        if missing := [name for name in NEEDED if name not in batch]:
            raise ValueError(f"expected columns {NEEDED}, {missing} missing in {list(batch)}")
        if "error" in batch:
            raise ValueError("column 'error' is there already, and would be lost; rename or drop it first")
        rows = [self._refine(*row) for row in zip(batch["image"], batch["poses"], strict=True)]
        poses, errors = np.empty(len(rows), dtype=object), [error for _, error in rows]
        for i, (refined, _) in enumerate(rows):  # an assignment of lists of one length would make a matrix of them
            poses[i] = refined
        return batch.assign(poses=poses, error=np.array(errors, dtype=object))

    def _refine(self, image: Any, poses: Any) -> tuple[Any, str]:
        """Refined poses and "", or the poses and what is wrong."""
        try:
            if isinstance(poses, str):
                given = parse_poses(poses.encode(), "poses")
                refined = self.refiner.refine(image, given, **self.options)
                return encode_poses(refined, like=poses.encode()).decode(), ""
            array = _array(poses)
            if not array.size:  # an image with nobody on it
                return _plain(poses), ""
            refined = self.refiner.refine(image, array, **{**self.options, "format": None})
            return (refined if _is_array(poses) else refined.tolist()), ""
        except RecursionError as error:  # a RuntimeError, but the row's
            return _plain(poses), f"RecursionError: {error}"
        except (RuntimeError, MemoryError):
            raise
        except Exception as error:  # whatever is wrong with one row must not end a job of a million
            return _plain(poses), f"{type(error).__name__}: {error}"


def _given_device() -> str:
    """Not whether torch sees a GPU: on a machine with GPUs, actors that were given none see all of them."""
    try:
        import ray
    except ImportError as error:
        raise ImportError('needs Ray Data: pip install "pose-refine[ray]"; or say device=') from error
    return "cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu"


def _is_array(poses: Any) -> bool:
    """Whether a cell is an array of numbers: of a tensor column, not of one of nested lists."""
    return isinstance(poses, np.ndarray) and poses.dtype != object


def _array(poses: Any) -> Any:
    """Nested lists, as pandas has them, as an array; None inside is NaN."""
    if not isinstance(poses, (list, tuple, np.ndarray)):
        raise TypeError(f"poses: expected JSON text or numbers (N, K, 3), got {type(poses).__name__}")
    return poses if _is_array(poses) else np.array(_plain(poses), dtype=np.float32)


def _plain(poses: Any) -> Any:
    """Nested lists without the arrays that pandas makes of them; other cells as they are."""
    if _is_array(poses) or not isinstance(poses, (list, tuple, np.ndarray)):
        return poses
    return [inner.tolist() if _is_array(inner) else _plain(inner) for inner in poses]
