"""Threads, processes and coroutines that share a Refiner get the answers that they would get alone."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from fuzz.cases import CASES
from fuzz.quick import picture, tiny_refiner

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


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes(refiner, alone, start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {start}")
    refiner.refine(*SCENES[0])  # so that what is loaded travels
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context(start)) as pool:
        jobs = [pool.submit(refiner.refine, *scene) for scene in SCENES]
        assert same([job.result(timeout=300) for job in jobs], alone)
