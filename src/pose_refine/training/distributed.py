"""Training on several processes, as torchrun starts them, that computes what one process computes.

All processes draw the same batch and hold the same weights. Each cuts and learns from its part of the batch; its losses
are sums over that part divided by the joints of the whole batch, so that gradients are summed, not averaged. Process 0
alone reads and writes the folder of the run. Where torchrun did not start us there is one process, and all this does
nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the others wait while process 0 watches held-out people


@contextmanager
def processes(device: str) -> Iterator[str]:
    """Join the processes that torchrun started; gloo on CPUs, NCCL on CUDA.

    Yields:
        The device of this process: of "cuda", the GPU that is its own.
    """
    if "WORLD_SIZE" not in os.environ:
        yield device
        return
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield device
        dist.barrier()  # nobody leaves while process 0 still watches or writes
    finally:
        dist.destroy_process_group()


def first() -> bool:
    """Whether this is process 0, which reads, writes and reports."""
    return not dist.is_initialized() or dist.get_rank() == 0


def part(count: int) -> slice:
    """Which of `count` crops are this process's.

    Raises:
        ValueError: There are not enough for all processes.
    """
    if not dist.is_initialized():
        return slice(count)
    rank, world = dist.get_rank(), dist.get_world_size()
    if count < world:
        raise ValueError(f"batch: expected at least one crop for each of {world} processes, got {count}")
    return slice(count * rank // world, count * (rank + 1) // world)


def total(value: Tensor) -> Tensor:
    """The sum of `value` over the processes; `value` itself where there is one. No gradient."""
    value = value.detach()
    if dist.is_initialized():
        value = value.clone()
        dist.all_reduce(value)
    return value


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace each gradient by its sum over the processes, in one exchange."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    together = total(torch.cat([g.flatten() for g in gradients]))
    place = 0
    for gradient in gradients:
        gradient.copy_(together[place : place + gradient.numel()].view_as(gradient))
        place += gradient.numel()


def from_first(value: T) -> T:
    """What process 0 has, for all."""
    if not dist.is_initialized():
        return value
    held = [value]
    dist.broadcast_object_list(held)
    return held[0]
