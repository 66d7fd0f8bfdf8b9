"""Load: many people in many frames through `pose-refine folder`, killed again and again; and memory over many calls.

    python tests/benchmarks/load.py folder --frames 20000 --people 50000 --kills 10
    python tests/benchmarks/load.py memory --calls 10000

`folder` compares the folder that was killed with one that nobody disturbed, byte for byte; looks in the journal whether
any frame was done twice; and samples the memory of the processes. The weights are an untrained tiny network's, made
here: what is tried is everything around it.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.weights import tiny_model

from pose_refine import Refiner
from pose_refine.nn import weights
from pose_refine.nn.predictor import Predictor

SIDE = 64  # pixels of a frame
JOURNAL = ".pose_refine.jsonl"


def tiny():
    return tiny_model(width=1, coarse=1, size=(32, 32))


def write_frames(folder: Path, frames: int, people: int) -> None:
    """Images of noise (links to ten of them), and OpenPose files with people / frames people each, give or take one."""
    rng = np.random.default_rng(0)
    for part in ("images", "poses"):
        (folder / part).mkdir()
    for n in range(10):
        cv2.imwrite(str(folder / f"{n}.png"), rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    for n in range(frames):
        (folder / "images" / f"{n:06d}.png").symlink_to(folder / f"{n % 10}.png")
        count = people * (n + 1) // frames - people * n // frames
        values = rng.uniform(1, SIDE - 1, (count, 75)).round(3).tolist()
        document = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": v} for v in values]}
        (folder / "poses" / f"{n:06d}_keypoints.json").write_text(json.dumps(document))


def start(folder: Path, out: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pose_refine", "folder", "images", "poses", "-o", out]
    command += ["--weights", "weights", "--device", "cpu"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)


def memory_of(process: int) -> float:
    """Resident MiB of a process; 0 where it is over."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 2**20


def entries(out: Path) -> list[str]:
    """Names in the journal, in order; half lines left out."""
    names = []
    for line in (out / JOURNAL).read_bytes().splitlines() if (out / JOURNAL).exists() else ():
        try:
            names.append(json.loads(line).get("name"))
        except ValueError:
            continue
    return [name for name in names if name]


def watched(process: subprocess.Popen, out: Path, stop_at: int | None) -> list[tuple[int, float]]:
    """(frames done, MiB) until it ends, or is killed once so many are done."""
    samples = []
    while process.poll() is None:
        done = len(entries(out))
        samples.append((done, memory_of(process.pid)))
        if stop_at is not None and done >= stop_at:
            time.sleep(random.random() / 20)
            process.kill()
            process.wait()
        time.sleep(0.2)
    return samples


def contents(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.glob("*.json")}


def folder(arguments: argparse.Namespace) -> int:
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        weights.save(tiny(), "tiny", place / "weights")
        write_frames(place, arguments.frames, arguments.people)
        begun = time.perf_counter()
        process = start(place, "whole")
        samples = watched(process, place / "whole", None)
        took, code = time.perf_counter() - begun, process.returncode
        kills, killed = sorted(random.sample(range(1, arguments.frames), arguments.kills)), 0
        for stop in kills:
            process = start(place, "killed")
            watched(process, place / "killed", stop)
            killed += process.returncode < 0
        process = start(place, "killed")
        process.wait()
        whole, rest = contents(place / "whole"), contents(place / "killed")
        twice = {n: c for n, c in Counter(entries(place / "killed")).items() if c > 1}
        halves = len(list((place / "killed").glob(".*.partial")))
    busy = [m for done, m in samples if done > arguments.frames // 10 and m]
    quarter = max(1, len(busy) // 4)
    print(f"{arguments.frames} frames, {arguments.people} people: {took:.0f} s undisturbed, exit {code}")
    print(f"killed {killed} times of {len(kills)}; last run's exit {process.returncode}")
    print(f"results {len(rest)} of {len(whole)}, the same bytes: {rest == whole}; half-written files left: {halves}")
    print(f"written down twice (killed between journal and file, so done once): {len(twice)}")
    first, last = np.mean(busy[:quarter]), np.mean(busy[-quarter:])
    print(f"memory, first and last quarter after a tenth: {first:.0f} and {last:.0f} MiB, at most {max(busy):.0f}")
    return int(rest != whole or len(whole) != arguments.frames or len(twice) > len(kills) or halves > 0)


def memory(arguments: argparse.Namespace) -> int:
    refiner, rng = Refiner(Predictor(tiny, device="cpu")), np.random.default_rng(0)
    images = [rng.integers(0, 256, (SIDE, SIDE + n, 3), dtype=np.uint8) for n in range(10)]
    before = 0.0
    for n in range(arguments.calls + arguments.calls // 10):
        if n == arguments.calls // 10:
            before = memory_of(os.getpid())
        refiner.refine(images[n % 10], rng.uniform(1, SIDE, (1, 17, 3)).astype(np.float32))
    after = memory_of(os.getpid())
    print(f"{arguments.calls} calls: {before:.1f} MiB before, {after:.1f} MiB after: {after - before:+.1f} MiB")
    return int(after - before > 20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    load = commands.add_parser("folder")
    load.add_argument("--frames", type=int, default=20000)
    load.add_argument("--people", type=int, default=50000)
    load.add_argument("--kills", type=int, default=10)
    load.add_argument("--seed", type=int, default=0)
    load.set_defaults(run=folder)
    calls = commands.add_parser("memory")
    calls.add_argument("--calls", type=int, default=10000)
    calls.set_defaults(run=memory)
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
