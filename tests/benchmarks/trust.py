"""What trust= does: recall and harm of every estimator at five values of it.

    python tests/benchmarks/trust.py --data ../shared/data --backend onnx --readme

Writes tests/benchmarks/trust.json, and with --readme the table of docs/trust.md. An interrupted run goes on where it
was.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import tables
from figures import Compared
from quality import machine
from runs import DevSet, read_coco_dev, refined, run_all
from tqdm import tqdm
from writing import PARTIAL, Progress, rounded

from pose_refine import Refiner
from pose_refine.nn import weights

TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def measure(refiner: Refiner, dev: DevSet, estimator: str, trust: float) -> dict[str, float]:
    """The figures of one estimator's poses, believed so far."""
    poses = dev.predicted(dev.people.estimators.index(estimator))
    after = run_all(dev.people, poses, refined(refiner, trust=trust))
    return Compared(dev, poses, after, np.isfinite(poses[..., 0]).any(0)).only()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--backend", default="torch", help="torch or onnx: the same answers, faster on CPUs")
    parser.add_argument("--limit", type=int, default=100, help="look at so many images (default: %(default)s)")
    parser.add_argument("-o", "--out", type=Path, default=tables.TRUST, help="default: %(default)s")
    parser.add_argument("--readme", action="store_true", help="also write the table of docs/trust.md")
    arguments = parser.parse_args()
    refiner = Refiner.from_pretrained(device="cpu", backend=arguments.backend)
    dev = read_coco_dev(arguments.data, "dev", arguments.limit)
    out = {"sha256": weights.read_config(weights.find(None)).sha256, "machine": machine(), "limit": arguments.limit}
    progress, found = Progress(arguments.out, out), {}
    for e in tqdm(dev.people.estimators):
        found[e] = {
            str(t): progress.measured(f"{e} {t}", partial(measure, refiner, dev, e, t))
            for t in tqdm(TRUSTS, leave=False)
        }
    result = {**out, "estimators": found}
    arguments.out.write_text(json.dumps(rounded(result), indent=1) + "\n")
    arguments.out.with_suffix(PARTIAL).unlink()
    print(tables.trust_page(result))
    if arguments.readme:
        tables.write()


if __name__ == "__main__":
    sys.exit(main())
