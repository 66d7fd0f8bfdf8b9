"""Refine the poses of many images on a Ray cluster, or on the cores of this machine: a table in, Parquet files out."""

import argparse
import shutil
from pathlib import Path

import ray

from pose_refine.on_ray import RefineBatch

EPILOG = """\
TABLE: Parquet or JSON lines (.jsonl, .json), one row an image; columns `image` (a path that every machine can read),
`poses` (JSON text of any format that refine() takes, or nested lists (N, K, 3)), and others, which are kept.
OUT: the same rows, poses refined, and `error`: "" or why a row was left as it was. The order of the rows is not kept.
A worker that dies is started anew and loses nothing. OUT is there when all is done; until then it is OUT.partial.
A GPU is shared by several actors, so that images are read while it works: --actors 4 --gpus-per-actor 0.25 for one.
"""


def main():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("table", type=Path, metavar="TABLE", help="file, or folder of files")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace what is in OUT")
    parser.add_argument("--actors", type=int, help="processes that refine (default: one a core)")
    parser.add_argument("--gpus-per-actor", type=float, default=0, help="default: %(default)s, a CPU core alone")
    parser.add_argument("--batch-rows", type=int, default=64, help="images handed over at once (default: %(default)s)")
    arguments = parser.parse_args()
    table, out = arguments.table.resolve(), arguments.output.resolve()
    if not table.exists() or table.is_relative_to(out):
        parser.error(f"TABLE {table} is not there, or lies in OUT")
    if out.exists() and not arguments.overwrite:
        parser.error(f"{out} exists; use --overwrite to replace it")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    ray.init(ignore_reinit_error=True)
    rows = (ray.data.read_json if table.suffix in (".json", ".jsonl") else ray.data.read_parquet)(str(table))
    actors = ray.data.ActorPoolStrategy(size=arguments.actors or int(ray.cluster_resources()["CPU"]))
    rows.map_batches(
        RefineBatch,
        compute=actors,
        batch_format="pandas",
        batch_size=arguments.batch_rows,
        num_cpus=0.5,  # of Ray's books: the other half is for reading and writing, which must not wait for the actors
        num_gpus=arguments.gpus_per_actor,
    ).write_parquet(str(partial))
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


if __name__ == "__main__":
    main()
