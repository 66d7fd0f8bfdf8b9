"""Where the network runs, and batches that its memory does not hold."""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from pose_refine.nn import backends
from pose_refine.nn.backends import batch_of, usable_device
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig


@pytest.mark.parametrize(
    ("config", "views", "people", "kept", "cores"),
    [
        # 1.5 MiB is a crop's largest layer, 0.9 that of a smaller one, 128 that of a huge one
        (NetworkConfig(), 3, 7, 21, 5),
        (NetworkConfig(), 2, 10, 32, 8),
        (NetworkConfig(), 1, 21, 64, 16),
        (NetworkConfig(width=32, coarse=32, size=(192, 160)), 1, 34, 64, 16),
        (NetworkConfig(size=(2048, 2048)), 2, 1, 1, 8),
    ],
)
def test_batches_on_cpus_suit_memory_and_cores(config, views, people, kept, cores, monkeypatch):
    with torch.device("meta"):
        model = Model(config, views=views)
    cpu = torch.device("cpu")
    monkeypatch.setattr(backends, "_largest_layer", backends.LARGEST_LAYER)
    monkeypatch.setattr(backends.ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *_: 1))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert batch_of(model, cpu, 64) == people
    assert batch_of(model, cpu, 1) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert batch_of(model, cpu, 64) == max(cores, people)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    backends.keep_memory()
    assert batch_of(model, cpu, 64) == kept


@pytest.mark.parametrize(("views", "most", "people"), [(1, 64, 64), (2, 64, 32), (2, 65, 32), (2, 1, 1)])
def test_batches_elsewhere_are_as_many_crops_as_people_are_allowed(views, most, people):
    with torch.device("meta"):
        model = Model(NetworkConfig(width=8), views=views)
    assert batch_of(model, torch.device("meta"), most) == people


def test_usable_device():
    assert usable_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device: cannot use 'abacus'"):
        usable_device("abacus")


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU that torch can use, for all that asks where to run."""
    usable = backends.usable_device
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(backends, "usable_device", lambda device: cuda if device in (None, "cuda") else usable(device))
    return cuda


PROVIDERS = {"cpu": ["CPUExecutionProvider"], "gpu": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


@pytest.mark.parametrize("has", PROVIDERS)
def test_onnx_runtime_runs_where_it_can(has, gpu, monkeypatch):
    ort = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(ort, "get_available_providers", lambda: PROVIDERS[has])
    chosen = gpu if has == "gpu" else torch.device("cpu")
    assert backends.device_for("model.onnx") == backends.device_for(None, backend="onnx") == chosen
    assert backends.device_for("model.onnx", device="cuda") == gpu  # and loading it tells what is wrong
    assert backends.device_for(None) == gpu


FAULTS = """
import resource, sys, torch
import pose_refine.refiner  # as every command has it
from pose_refine.nn.backends import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(48 << 20, dtype=torch.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_kept_memory_is_not_faulted_in_again():
    """48 MB, allocated and freed five times: the faults of the last time."""
    untold = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    plain, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, how], text=True, env=untold))
        for how in ("plain", "keep")
    )
    assert kept < plain / 2


def test_a_source_is_located_so_that_it_answers_alike():
    """Names are more than their folder: how many views there are. The default is what its folder is."""
    base, digest = backends.locate(None)
    assert backends.locate("base") == backends.locate(base) == (base, digest)
    assert backends.locate("small") == ("small", f"small {digest}")
