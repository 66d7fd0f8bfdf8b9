"""Refine a numpy array of keypoints, whatever estimator it came from."""

import json
from importlib.resources import files

import cv2
import numpy as np

from pose_refine import refine
from pose_refine.skeletons import COCO_JOINTS

DEMO = files("pose_refine") / "demo"


def main():
    image = cv2.imread(str(DEMO / "astronaut.jpg"))
    results = json.loads((DEMO / "movenet_lightning.json").read_text())
    estimate = np.array([person["keypoints"] for person in results]).reshape(-1, 17, 3)  # x, y, score

    refined = refine(image, estimate, color="bgr")  # OpenCV reads BGR

    for name, (x0, y0, _), (x, y, sure) in zip(COCO_JOINTS, estimate[0], refined[0], strict=True):
        print(f"{name:15} ({x0:5.1f}, {y0:5.1f}) -> ({x:5.1f}, {y:5.1f}), {sure:.0%} sure")


if __name__ == "__main__":
    main()
