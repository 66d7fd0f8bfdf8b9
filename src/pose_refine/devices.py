"""Where the network runs, and what fits there."""

import logging
from collections.abc import Callable

import numpy as np
import torch

from pose_refine._types import Floats
from pose_refine.crops import Views

log = logging.getLogger(__name__)


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


def within_memory(look: Callable[[Views], Floats], views: Views) -> Floats:
    """`look` at a batch; where the device's memory does not hold it, at its halves.

    Raises:
        torch.cuda.OutOfMemoryError: Not even one person fits.
    """
    try:
        return look(views)
    except torch.cuda.OutOfMemoryError:
        people = len(views.crops)
        if people == 1:
            raise
    torch.cuda.empty_cache()  # out of the handler, whose traceback holds the tensors
    log.warning("out of memory with %d people at once: going on with half as many; see batch_size", people)
    halves = (views.of(slice(people // 2)), views.of(slice(people // 2, None)))
    return np.concatenate([within_memory(look, half) for half in halves])
