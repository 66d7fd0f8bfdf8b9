"""What `pose-refine folder` costs beside the network itself: reading, decoding, cutting, writing, keeping the journal.

    python tests/benchmarks/folder.py --data ../shared/data

A folder of OpenPose files is made of real photographs and what a real OpenPose found on them, the same ones again until
there are enough. One run of the command, in this process and with one thread for torch: its time from start to end,
loading the weights included, over the time inside the network's layers in the same run. CPU time counts all threads, so
that it does not matter how busy the machine is.
"""

import argparse
import json
import logging
import tempfile
import time
from functools import wraps
from pathlib import Path

import numpy as np
import torch

from pose_refine import Poses
from pose_refine.cli import main as pose_refine
from pose_refine.nn.network import Network
from pose_refine.skeletons import convert, get_skeleton
from pose_refine.training.data import People, read_coco

ESTIMATOR, SKELETON = "openpose_light_omz0001", "coco18"
LAYERS = ("context", "answers")  # what of the network the refiner calls


def write_frames(people: People, count: int, folder: Path) -> int:
    """`count` images (links) and OpenPose files of the same names; returns how many people are in them."""
    found = people.predicted[:, people.estimators.index(ESTIMATOR), :17]
    joints = convert(found, get_skeleton("coco17"), get_skeleton(SKELETON))
    for name in ("images", "poses"):
        (folder / name).mkdir()
    images, total = np.unique(people.image), 0
    for i in range(count):
        image = images[i % len(images)]
        together = joints[people.image == image]
        file = people.files[image].resolve()
        (folder / "images" / f"{i:012d}{file.suffix}").symlink_to(file)
        document = Poses(together[..., :2], together[..., 2], SKELETON).as_openpose()
        (folder / "poses" / f"{i:012d}_keypoints.json").write_text(json.dumps(document))
        total += len(together)
    return total


def timed(function, spent: np.ndarray):
    """`function`, adding the CPU time of its thread and the time on the clock to `spent` (2,)."""

    @wraps(function)
    def call(*arguments, **options):
        start = time.thread_time(), time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[:] += time.thread_time() - start[0], time.perf_counter() - start[1]

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--count", type=int, default=1000, help="files (default: %(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    predictions = arguments.data / "predictions" / "coco_dev"
    people = read_coco(arguments.data / "coco", "dev", predictions, least=1)
    inside = np.zeros(2)
    for name in LAYERS:
        setattr(Network, name, timed(getattr(Network, name), inside))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        total = write_frames(people, arguments.count, folder)
        start = time.process_time(), time.perf_counter()
        code = pose_refine(["folder", *(str(folder / n) for n in ("images", "poses")), "-o", str(folder / "out")])
        whole = np.array([time.process_time() - start[0], time.perf_counter() - start[1]])
    assert code == 0
    print(f"{arguments.count} files, {total} people")
    for what, all_of_it, network in zip(("CPU time", "clock"), whole, inside, strict=True):
        each = 1e3 * network / total
        print(
            f"{what}: {all_of_it:.1f} s, network {network:.1f} s ({each:.1f} ms a person): x {all_of_it / network:.2f}"
        )


if __name__ == "__main__":
    main()
