"""Refine what MMPose's inferencer finds. pip install mmpose; python refine_mmpose.py photo.jpg"""

import json
import sys
from pathlib import Path

from mmpose.apis import MMPoseInferencer

from pose_refine import refine


def main(path):
    result = next(MMPoseInferencer("human")(path))
    refined = refine(path, result)
    (people,) = refined["predictions"]
    Path("refined.json").write_text(json.dumps(people, default=float))


if __name__ == "__main__":
    main(sys.argv[1])
