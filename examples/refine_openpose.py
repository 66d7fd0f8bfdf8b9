"""Refine an OpenPose JSON file; hands, face, ids and all else in it stay as they were."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np

from pose_refine import formats, refine
from pose_refine.skeletons import convert, get_skeleton

DEMO = files("pose_refine") / "demo"


def demo_document():
    """MoveNet's pose as OpenPose's COCO model would have written it; put your own file in its place."""
    poses = formats.read(json.loads((DEMO / "movenet_lightning.json").read_text()))
    body = convert(poses.to_array(), get_skeleton("coco17"), get_skeleton("coco18"))[0].astype(float)
    body[np.isnan(body).any(-1)] = 0  # OpenPose's way to say that a joint is missing
    person = {"person_id": [-1], "pose_keypoints_2d": body.round(3).ravel().tolist(), "face_keypoints_2d": []}
    return {"version": 1.3, "people": [person]}


def main():
    Path("astronaut_keypoints.json").write_text(json.dumps(demo_document()))

    refined = refine(str(DEMO / "astronaut.jpg"), "astronaut_keypoints.json")

    Path("astronaut_refined_keypoints.json").write_text(json.dumps(refined))
    print("astronaut_keypoints.json -> astronaut_refined_keypoints.json")


if __name__ == "__main__":
    main()
