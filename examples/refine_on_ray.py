"""Refine the poses of many images on a Ray cluster, or on the cores of this machine: a table in, Parquet files out."""

import argparse
import shutil
from pathlib import Path

import ray
from ray.data.checkpoint import CheckpointConfig

from pose_refine.on_ray import RefineBatch

EPILOG = """\
TABLE: Parquet or JSON lines (.jsonl, .json), one row an image; columns `image` (a path that every machine can read, in
no other row), `poses` (JSON text of any format that refine() takes, or nested lists (N, K, 3)), and others, kept.
OUT: the same rows, poses refined, and `error`: "" or why a row was left as it was. The order of the rows is not kept.
Every machine has to see TABLE, OUT and OUT.done under these paths.
Killed? The same command goes on: rows that are done are named in OUT.done until all are.
A GPU is shared by several actors, so that images are read while it works: --actors 4 --gpus-per-actor 0.25 for one.
"""


def main():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("table", type=Path, metavar="TABLE", help="file, or folder of files")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="begin anew, over what is in OUT")
    parser.add_argument("--actors", type=int, help="processes that refine (default and most: two fewer than cores)")
    parser.add_argument("--gpus-per-actor", type=float, default=0, help="default: %(default)s, a CPU core alone")
    parser.add_argument("--batch-rows", type=int, default=64, help="images handed over at once (default: %(default)s)")
    a = parser.parse_args()
    out, done = a.output.resolve(), a.output.resolve().with_name(f"{a.output.name}.done")
    if a.table.resolve().is_relative_to(out):
        parser.error(f"TABLE lies in OUT, {out}")
    if out.exists() and not done.exists() and not a.overwrite:
        parser.error(f"{out} exists; use --overwrite to replace it")
    ray.init(ignore_reinit_error=True)
    most = int(ray.cluster_resources()["CPU"]) - 2  # each takes one; one reads and writes, one finds what is done
    if not 1 <= (a.actors or most) <= most:
        parser.error(f"--actors: expected 1 to {most}, two fewer than the cores of the cluster, got {a.actors or most}")
    for folder in (out, done) if a.overwrite else ():
        shutil.rmtree(folder, ignore_errors=True)
    ray.data.DataContext.get_current().checkpoint_config = CheckpointConfig("image", str(done))
    json_lines = a.table.suffix in (".json", ".jsonl")
    rows = (ray.data.read_json if json_lines else ray.data.read_parquet)(str(a.table.resolve()))
    actors = ray.data.ActorPoolStrategy(size=a.actors or most)
    kinds = {"batch_format": "pandas", "batch_size": a.batch_rows, "num_gpus": a.gpus_per_actor}
    rows.map_batches(RefineBatch, compute=actors, **kinds).write_parquet(str(out))


if __name__ == "__main__":
    main()
