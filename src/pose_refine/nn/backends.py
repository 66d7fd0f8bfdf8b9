"""What runs the model, and where: torch, or ONNX Runtime; and what fits there."""

import ctypes
import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeGuard, get_args

import torch

from pose_refine.arguments import Backend
from pose_refine.nn import onnx_model, weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import largest_layer
from pose_refine.nn.onnx_model import OnnxModel

BACKENDS = get_args(Backend)
# Bytes: so large may a batch make the largest of a network's layers on CPUs, or a crop a core, if more. Larger ones
# glibc hands back to the system, to be faulted in anew each time (DEFAULT_MMAP_THRESHOLD_MAX, mallopt(3)), if it is
# not told to keep them.
LARGEST_LAYER, LARGEST_KEPT = 32 << 20, 96 << 20
ONNX_BATCH = 4  # people at once, for each thread of ONNX Runtime
Load = Callable[[], Model | OnnxModel]
_largest_layer = LARGEST_LAYER if platform.libc_ver()[0] == "glibc" else LARGEST_KEPT
_process = os.getpid()


def keep_memory() -> None:
    """Ask glibc to keep freed memory for the next batch, instead of handing activations back to the system; batches on
    CPUs may then be larger.

    Faulting them in anew costs up to an eighth of the time there (tests/benchmarks/experiments.md). It is for processes
    that are this project's own: it holds for all that a process allocates with malloc.
    """
    global _largest_layer
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        _largest_layer = LARGEST_KEPT
    except (OSError, AttributeError):
        pass  # another libc: slower, and right


def mind_fork() -> None:
    """To be called before torch computes: in a process that was forked, it computes on one thread from now on.

    A fork copies the memory of OpenMP's threads but not the threads, and the child would wait for them for ever. One
    thread is what torch's DataLoader gives its workers, too; who sets more after the first call, keeps them.
    """
    global _process
    if _process != os.getpid():
        _process = os.getpid()
        torch.set_num_threads(1)


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


def is_exported(source: str | os.PathLike[str] | None) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it names a file that `pose-refine export` wrote."""
    return isinstance(source, (str, os.PathLike)) and os.fspath(source).endswith(onnx_model.SUFFIX)


def locate(source: str | os.PathLike[str] | None) -> tuple[str | Path, str]:
    """A source that stays what it is, also where a branch of the hub moves on; and what tells its answers from others':
    the SHA-256 of its weights, and the name that says how many views there are.

    Raises:
        FileNotFoundError: They are not there.
        ValueError: The hub does not have them, or cannot be reached; their config is damaged.
    """
    if is_exported(source):
        return Path(source), hashlib.sha256(Path(source).read_bytes()).hexdigest()
    folder = weights.find(source)
    sha256 = weights.read_config(folder).sha256
    if isinstance(source, str) and source in weights.NAMES and source != weights.DEFAULT:
        return source, f"{source} {sha256}"
    return folder, sha256


def device_for(
    source: str | os.PathLike[str] | None,
    revision: str | None = None,
    backend: str = "torch",
    device: str | torch.device | None = None,
    flip: bool | None = None,
) -> torch.device:
    """Where a source will run; arguments as of `Refiner.from_pretrained`, and checked.

    Raises:
        ImportError: ONNX Runtime is to run it, and is not installed.
        ValueError: Another backend, a device that is not there, or a revision or `flip` for a file.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    exported = is_exported(source)
    if exported and flip is not None:
        raise ValueError(f"flip: {source!r} was exported with or without it; export it anew")
    if exported and revision is not None:
        raise ValueError(f"revision: only weights on the hub have revisions, {source!r} is a file")
    if device is None and (exported or backend == "onnx"):
        has_cuda = onnx_model.PROVIDERS["cuda"] in onnx_model.runtime().get_available_providers()
        device = None if has_cuda else "cpu"
    return usable_device(device)


def load_source(
    source: str | os.PathLike[str] | None,
    revision: str | None,
    backend: str,
    device: torch.device,
    flip: bool | None,
) -> Model | OnnxModel:
    """Load a source for the device that `device_for` says: an OnnxModel there, or a Model, on the CPU.

    Raises:
        FileNotFoundError: No such file or folder.
        ImportError: ONNX Runtime, or what exports for it, is not installed.
        ValueError: Damaged, or not to be had from the hub; ONNX Runtime cannot use the device.
    """
    if is_exported(source):
        return OnnxModel(Path(source).read_bytes(), device, os.fspath(source))
    model, config = weights.load_source(source, revision, flip)
    return model if backend == "torch" else OnnxModel(onnx_model.to_onnx(model, config), device)


def batch_of(model: Model | OnnxModel, device: torch.device, most: int) -> int:
    """How many people to look at once, at most `most`; of a model that has several views of a crop, each counts."""
    if isinstance(model, OnnxModel):
        return min(most, ONNX_BATCH * model.parts) if device.type == "cpu" else most
    crops = model.views
    if device.type != "cpu":
        return max(1, most // crops)
    fit = _largest_layer // (4 * largest_layer(model.network.config))
    return min(most, max(1, fit // crops, torch.get_num_threads() // crops))


def own_precision(device: torch.device) -> AbstractContextManager[object]:
    """A caller's autocast does not reach in."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()
