"""Threads, processes and coroutines that share a Refiner get the answers that they would get alone."""

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from fuzz.cases import CASES
from fuzz.quick import exported_refiner, picture, tiny_refiner

THREADS = 8
PROCESSES = 4 if CASES else 1
SCENES = [
    (picture(60 + n, 90 - n, n), np.random.default_rng(n).uniform(1, 60, (1 + n % 2, 17, 3)).astype(np.float32))
    for n in range(8 if CASES else 3)
]


@pytest.fixture(scope="module")
def refiner():
    return tiny_refiner()


@pytest.fixture(scope="module")
def alone(refiner):
    return [refiner.refine(*scene) for scene in SCENES]


def same(results, alone):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(results, alone, strict=True))


def test_threads(refiner, alone):
    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(refiner.refine, *scene) for _ in range(THREADS // 2) for scene in SCENES]
        results = [job.result() for job in asked]
    assert same(results, alone * (THREADS // 2))


def test_coroutines(refiner, alone):
    async def all_at_once():
        return await asyncio.gather(*(asyncio.to_thread(refiner.refine, *scene) for scene in SCENES * 2))

    assert same(asyncio.run(all_at_once()), alone * 2)


def answer(refiner, scenes, connection):
    connection.send([refiner.refine(*scene) for scene in scenes])


def from_processes(refiner, start, number=1, patience=120):
    """What processes make of the scenes; one that does not answer is ended: the test fails, and goes on."""
    context = multiprocessing.get_context(start)
    pipes = [context.Pipe(duplex=False) for _ in range(number)]
    processes = [context.Process(target=answer, args=(refiner, SCENES, writer)) for _, writer in pipes]
    try:
        for process in processes:
            process.start()
        answers = [reader.recv() if reader.poll(patience) else None for reader, _ in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    return answers


@pytest.fixture
def several_threads():
    """So that the parent has threads that a fork does not copy, also on a machine of one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_processes(refiner, start, backend, several_threads, tmp_path):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {start}")
    if backend == "onnx":
        refiner = exported_refiner(tmp_path)
    alone = [refiner.refine(*scene) for scene in SCENES]  # so that what is loaded, and its threads, are there
    for answers in from_processes(refiner, start, PROCESSES):
        assert answers is not None, "a process did not answer"
        for found, expected in zip(answers, alone, strict=True):  # a fork computes on one thread: other roundings
            np.testing.assert_allclose(found, expected, atol=1e-3)
