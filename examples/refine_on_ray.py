"""Refine the poses of many images on a Ray cluster, or on the cores of this machine: a table in, Parquet files out."""

import argparse
import shutil
from pathlib import Path

import ray

from pose_refine.integrations.ray import RefineBatch

EPILOG = """\
TABLE: Parquet or JSON lines (.jsonl, .json), one row an image; columns `image` (a path that every machine can read),
`poses` (JSON text of any format that refine() takes, or nested lists (N, K, 3)), and others, which are kept.
OUT: the same rows, poses refined, and `error`: "" or why a row was left as it was. The order of the rows is not kept.
A worker that dies is started anew and loses nothing. OUT is there when all is done; until then it is OUT.partial.
A GPU is shared by several actors, so that images are read while it works: --actors 4 --gpus-per-actor 0.25 for one.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path, metavar="TABLE", help="file, or folder of Parquet files")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in OUT")
    parser.add_argument("--actors", type=int, help="processes that refine (default: as many as there is room for)")
    parser.add_argument("--gpus-per-actor", type=float, default=0, help="default: %(default)s, a CPU core alone")
    parser.add_argument("--batch-rows", type=int, default=64, help="images handed over at once (default: %(default)s)")
    arguments = parser.parse_args()
    table, out = arguments.table.resolve(), arguments.output.resolve()
    if not table.exists() or table.is_relative_to(out):
        parser.error(f"TABLE {table} is not there, or lies in OUT")
    if out.is_file() or (out.exists() and not arguments.overwrite):
        parser.error(f"{out} exists; use --overwrite to replace a folder")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    ray.init(ignore_reinit_error=True)
    rows = (ray.data.read_json if table.suffix in (".json", ".jsonl") else ray.data.read_parquet)(str(table))
    have, gpus = ray.cluster_resources(), arguments.gpus_per_actor
    most = int(have.get("GPU", 0) / gpus) if gpus else int(have["CPU"])
    if not 1 <= (arguments.actors or most) <= most:
        parser.error(f"--actors: expected 1 to {most}, as many as this cluster has room for")
    actors = ray.data.ActorPoolStrategy(size=arguments.actors or most)
    kinds = {"batch_format": "pandas", "batch_size": arguments.batch_rows}
    shares = {"num_cpus": 0.5, "num_gpus": gpus}  # the other half of a core is for reading, or that waits for ever
    rows.map_batches(RefineBatch, compute=actors, **kinds, **shares).write_parquet(str(partial))
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


if __name__ == "__main__":
    main()
