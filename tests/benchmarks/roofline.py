"""How near the networks come to what their device can do: a roofline, layer by layer (Williams et al., CACM 2009).

    python tests/benchmarks/roofline.py --device cuda --dtype bfloat16 --people 64

A layer takes at least its operations over the rate of a large matrix product, and at least its bytes (input, weights
and output, once each) over the rate of a large copy; both rates are measured in the same run. What is between the
convolutions counts as if it cost nothing.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from speed import bare
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.benchmark import Timer
from writing import table

from pose_refine.nn.backends import keep_memory
from pose_refine.nn.network import Network, NetworkConfig

SIDE = 4096  # of the matrices
COPIED = 1 << 26  # numbers
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.conv2d.default)  # with gradients, and without


def seconds(call: Callable[[], object]) -> float:
    """The median of a second's calls, waiting for the device."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=1).median)


def rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Operations and bytes a second."""
    side = SIDE if device.type == "cuda" else SIDE // 4
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    numbers = torch.randn(COPIED, device=device).to(dtype)
    copy = torch.empty_like(numbers)
    moved = 2 * numbers.numel() * numbers.element_size()
    return 2 * side**3 / seconds(lambda: a @ b), moved / seconds(lambda: copy.copy_(numbers))


def filled(network: nn.Module) -> nn.Module:
    """Training starts from zeros, which `Convolutions` would not count."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter)
    return network


class Convolutions(TorchDispatchMode):
    """Notes (operations, numbers moved) of every convolution; what a kernel has of zeros is not worked on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = operation(*args, **(kwargs or {}))
        if operation in CONVOLUTIONS:
            given, weight = args[:2]
            taps = int(weight[0].count_nonzero())
            moved = given.numel() + int(weight.count_nonzero()) + out.numel()
            self.found.append((2 * out.numel() * taps, moved))
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default="cpu", help="default: %(default)s")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16; default: %(default)s")
    parser.add_argument("--people", type=int, default=4, help="at once; default: %(default)s")
    arguments = parser.parse_args()
    device, dtype = arguments.device, getattr(torch, arguments.dtype)
    keep_memory()
    operations, moved = rates(device, dtype)
    print(f"{operations / 1e12:.3f} T operations, {moved / 1e9:.1f} GB a second; {torch.get_num_threads()} CPU threads")
    network = filled(Network(NetworkConfig())).eval().to(device, memory_format=torch.channels_last)
    look = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)(
        bare(network, arguments.people, 2, arguments.people)
    )
    with Convolutions() as counted:
        look()
    floor = sum(max(o / operations, n * dtype.itemsize / moved) for o, n in counted.found)
    spent, each = seconds(look), 1e3 / arguments.people
    total = [sum(column) / arguments.people for column in zip(*counted.found, strict=True)]
    share = f"{100 * floor / spent:.0f} %"
    rows = [["both networks", total[0] / 1e9, total[1] * dtype.itemsize / 1e6, floor * each, spent * each, share]]
    head = ["a look", "G operations a person", "MB a person", "floor, ms a person", "measured", "share"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
