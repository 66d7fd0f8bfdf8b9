"""The engine: crops and poses in, joints out, in batches, wherever the model runs."""

import logging
import os
import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.batches import CropBatch, Scene, batches
from pose_refine.crops.geometry import to_image
from pose_refine.crops.on_device import upload
from pose_refine.nn import backends
from pose_refine.nn.evidence import Prompt
from pose_refine.nn.model import Model
from pose_refine.nn.onnx_model import OnnxModel
from pose_refine.skeletons import NETWORK

RESULT, AGREED = slice(3), slice(3, 5)  # columns of what it says of a joint
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
log = logging.getLogger(__name__)
_predictors: "WeakSet[Predictor]" = WeakSet()  # all that a fork would copy
_of_parents: list[OnnxModel] = []  # never freed, see `Predictor.forked`


class Predictor:
    """A model on its device. It keeps nothing of a call: threads may share one, it can be pickled, and forked.

    Args:
        load: Gives the model, on the CPU, or an OnnxModel for `device`; called once, when it is first needed.
        device: Where to run it; by default cuda, else mps, else cpu.
        dtype: Of the network: torch.float32 (the default), or bfloat16 / float16 by autocast: faster where the device
            has instructions for it, and not the same answers.

    Raises:
        ValueError: Another dtype, or a device that is not there.
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
        _predictors.add(self)

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
        _predictors.add(self)

    def _on_device(self, model: Model | OnnxModel) -> Model | OnnxModel:
        if isinstance(model, Model):
            return model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
        return model

    def forked(self) -> None:
        """Make a process's copy of its parent's predictor usable; called as it starts.

        A lock may have been copied locked. Of ONNX Runtime's threads only the memory is here: it is loaded anew, and
        the copy is kept, as its end would wait for them.
        """
        self._lock = threading.Lock()
        if isinstance(self._loaded, OnnxModel):
            _of_parents.append(self._loaded)
            self._loaded = None

    @property
    def model(self) -> Model | OnnxModel:
        """The model, loaded when it is first asked for."""
        backends.mind_fork()
        with self._lock:  # two threads must not load it twice
            if self._loaded is None:
                model = self._load()
                if isinstance(model, OnnxModel) and self.dtype != torch.float32:
                    raise ValueError(f"dtype: ONNX Runtime computes in torch.float32, got {self.dtype}")
                self._loaded = self._on_device(model)
            return self._loaded

    def predict(self, shown: Sequence[tuple[Scene, AnyArray]], batch_size: int) -> list[Floats]:
        """What `run` says of people (R,) of each scene, (R, 19, 5), in batches. Only the last step waits."""
        counts = [len(rows) for _, rows in shown]
        if not any(counts):  # needs no weights
            return [np.empty((0, len(NETWORK.joints), AGREED.stop), np.float32) for _ in shown]
        found = [self.run(batch) for batch in batches(shown, self.fitting(batch_size))]
        return np.split(torch.cat(found).cpu().numpy(), np.cumsum(counts)[:-1])

    def fitting(self, most: int) -> int:
        """How many people at once, where at most so many are wanted."""
        return backends.batch_of(self.model, self.device, most)

    def run(self, batch: CropBatch) -> Tensor:
        """What the model says of one batch, (B, 19, 5): the RESULT x, y in image pixels, and its score; and where the
        network's answers are AGREED that the joint is, x, y, however far the pose is believed: there a closer look is
        taken. Where the device's memory does not hold a batch, it is its halves.

        Raises:
            torch.cuda.OutOfMemoryError: Not even one person fits.
        """
        try:
            return self._ask(batch)
        except torch.cuda.OutOfMemoryError:
            people = len(batch)
            if people == 1:
                raise
        torch.cuda.empty_cache()  # out of the handler, whose traceback holds the tensors
        log.warning("out of memory with %d people at once: going on with half as many; see batch_size", people)
        halves = (batch.of(slice(people // 2)), batch.of(slice(people // 2, None)))
        return torch.cat([self.run(half) for half in halves])

    @torch.inference_mode()
    def _ask(self, batch: CropBatch) -> Tensor:
        model = self.model
        place = torch.device("cpu") if isinstance(model, OnnxModel) else self.device
        prompt = Prompt(*(upload(getattr(batch, name), place) for name in Prompt._fields))
        with backends.own_precision(place):
            found, score, agreed = model(batch.crops(place), prompt, self.dtype)
            matrices = upload(batch.matrices, place)
            return torch.cat([to_image(found, matrices), score[..., None], to_image(agreed, matrices)], -1)


def _in_child() -> None:
    """Before any thread of a forked process can run."""
    for predictor in _predictors:
        predictor.forked()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
