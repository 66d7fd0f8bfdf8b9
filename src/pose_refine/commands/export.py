"""pose-refine export: the weights and all that is computed with them as one ONNX file."""

import argparse
import logging
from pathlib import Path

from pose_refine.commands._common import Commands, add_flip_option, add_overwrite, add_parser
from pose_refine.files.pose_files import STREAM, check_free, write_whole
from pose_refine.nn import weights
from pose_refine.nn.onnx_model import SUFFIX, to_onnx

log = logging.getLogger("pose_refine")
EPILOG = """\
The file takes crops, the poses in them and those of people nearby, and gives keypoints and scores, for any number of
people. In Python, Refiner.from_pretrained("model.onnx") cuts the crops and runs it. Needs the extra [onnx].

  input      shape                    type
  crops      (people, 256, 192, 3)    uint8     RGB
  initial    (people, 19, 2)          float32   x, y in crop pixels, NaN where missing
  others     (people, 3, 19, 2)       float32   likewise, of up to three people nearby
  shown      (people, 19, 2)          float32   likewise, what the network sees: the initial pose; for a second, closer
                                                look at a pose that was far off, what the first agreed on
  detail     (people,)                float32   image pixels a crop pixel
  mpii       (people,)                bool      whether joints are meant as MPII's
  trust      (people,)                float32   how far the initial pose is believed, 0 to 1; NaN for the weights' own
  output
  keypoints  (people, 19, 2)          float32   x, y in crop pixels
  scores     (people, 19)             float32   probability that the joint is right
  agreed     (people, 19, 2)          float32   where the network's answers agree it is, in crop pixels, however far the
                                                initial pose is believed: what a closer look is cut by, and shown

examples:
  pose-refine export -o model.onnx               the weights that come with this package
  pose-refine export my_weights/ -o model.onnx   a folder; also a name, org/name, hf://org/name@revision
  pose-refine run photo.jpg poses.json -o refined.json --weights model.onnx
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "export", "write the model as an ONNX file", EPILOG)
    parser.add_argument(
        "weights", nargs="?", metavar="WEIGHTS", help="base, small, a folder or a hub repository (default: base)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="ONNX", help="the file to write")
    add_flip_option(parser)
    add_overwrite(parser)
    parser.set_defaults(function=export)


def export(arguments: argparse.Namespace) -> int:
    output = arguments.output
    if output != STREAM and output.suffix != SUFFIX:
        raise ValueError(f"-o: expected the name of a {SUFFIX} file, got {output}")
    check_free(output, arguments.overwrite)
    model, config = weights.load_source(arguments.weights, flip=arguments.flip)
    data = to_onnx(model, config)
    write_whole(output, data)
    log.info("weights %s, %.1f MB -> %s", config.name, len(data) / 1e6, output)
    return 0
