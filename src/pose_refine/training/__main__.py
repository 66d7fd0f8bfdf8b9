"""python -m pose_refine.training: train a refiner, and turn a run into a weights folder."""

import argparse
import logging
from pathlib import Path

import torch

from pose_refine.nn.backends import keep_memory
from pose_refine.training import distributed
from pose_refine.training.export import export, rescore
from pose_refine.training.loop import Settings, train

DESCRIPTION = """\
Train a refiner from PP-TinyPose's trunk ("train"), then fit its decision and scores on held-out people and write a
weights folder ("export").
"""
EPILOG = """\
example:
  python -m pose_refine.training train --data DATA --init tinypose_v1.onnx --init-alone tinypose_v2.onnx --out runs/base
  python -m pose_refine.training export --data DATA --run runs/base --name base --to weights/base
  torchrun --nproc-per-node 8 -m pose_refine.training train --batch 256 --data DATA ...  # eight GPUs, or processes

The data folder holds, as far as you have them:
  coco/person_keypoints_train.json, coco/train/         COCO keypoint format, images of at most --side pixels
  mpii/joints_train.npz, mpii/train/                    file_name (N,), keypoints (N, 16, 3) in MPII's order
  lsp_extended/joints_train.npz, lsp_extended/train/    file_name (N,), keypoints (N, 14, 3) in LSP's order
  jhmdb/train/joints.npz and frames                     file_name, keypoints (N, 15, 3), joint_names
  predictions/{coco,mpii,lsp,jhmdb}_train/ESTIMATOR.npz ann_id (N,), keypoints (N, 19, 3): x, y, score, NaN = none
One image in seventeen is held out; it is what the run is watched on, and what the scores are calibrated on.

A run is resumed from OUT/checkpoint.pt by the same command. A CPU core without AVX-512 trains some 6 crops a second at
256 x 192; --bf16 is for GPUs, and for CPUs that have instructions for it.

Started by torchrun, on one machine or several, the processes share each step's --batch and compute what one process
would: the same crops, losses and weights, up to rounding. The first alone reads and writes OUT. Each holds all images
in memory; on CUDA each takes the GPU of its local rank. On CPUs set OMP_NUM_THREADS to the cores for one process.
"""


def build_parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m pose_refine.training", description=DESCRIPTION, epilog=EPILOG, formatter_class=layout
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_train(commands.add_parser("train", help="train, or resume", epilog=EPILOG, formatter_class=layout))
    finish = commands.add_parser("export", help="calibrate on held-out people and write a weights folder")
    finish.add_argument("--data", type=Path, required=True, help="the folder that the run was trained on")
    finish.add_argument("--run", type=Path, required=True, help="the run's folder")
    finish.add_argument("--name", required=True, help="name of the weights")
    finish.add_argument("--to", type=Path, required=True, help="weights folder to write")
    finish.add_argument("--views", type=int, default=2, choices=(1, 2), help="of each crop (default: %(default)s)")
    finish.add_argument("--device", default=default_device(), help="default: %(default)s")
    scores = commands.add_parser("rescore", help="fit the scores of a weights folder anew; joints stay where they are")
    scores.add_argument("--data", type=Path, required=True, help="the folder that the weights were trained on")
    scores.add_argument("--weights", type=Path, required=True, dest="source", help="weights folder to read")
    scores.add_argument("--name", required=True, help="name of the weights")
    scores.add_argument("--to", type=Path, required=True, help="weights folder to write")
    scores.add_argument("--device", default=default_device(), help="default: %(default)s")
    return parser


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


OPTIONS = {  # options of "train" that are a number, and what they are; defaults are Settings'
    "width": "channels of the head at stride 4",
    "height": "pixels, at which a crop is looked at",
    "across": "pixels, its width there",
    "steps": "length of the schedule",
    "batch": "crops a step, of all processes together",
    "seed": "of all that is drawn",
    "side": "images are stored this large, pixels",
    "watch-every": "steps between checkpoints",
    "watch-people": "held-out people looked at then",
    "rate-fresh": "learning rate of new layers",
    "rate-trunk": "learning rate of PP-TinyPose's; 0 holds them",
    "kept": "share of --init beside --mix-with",
}


def add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with the training sets (see below)")
    add("--init", type=Path, required=True, help="PP-TinyPose (ONNX), or a weights folder to go on from")
    add("--init-alone", type=Path, help="another PP-TinyPose, for the part that is shown no pose (default: the same)")
    add("--mix-with", type=Path, nargs="+", default=(), metavar="ONNX", help="PP-TinyPose, to mix --init with")
    add("--out", type=Path, required=True, help="folder of the run; resumed if it holds a checkpoint")
    add("--device", default=default_device(), help="default: %(default)s")
    add("--without", nargs="+", default=(), metavar="ESTIMATOR", help="leave these predictions out")
    add("--bf16", action="store_true", help="the network in bfloat16, by autocast")
    for name, text in OPTIONS.items():
        default = getattr(Settings, name.replace("-", "_"))
        add(f"--{name}", type=type(default), default=default, help=f"{text} (default: %(default)s)")


def main() -> None:
    arguments = vars(build_parser().parse_args())
    command = arguments.pop("command")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_memory()
    if command == "train":
        with distributed.processes(arguments["device"]) as device:
            several = {name: tuple(arguments[name]) for name in ("without", "mix_with")}
            train(Settings(**{**arguments, **several, "device": device}))
    elif command == "export":
        export(**arguments)
    else:
        rescore(**arguments)


if __name__ == "__main__":
    main()
