"""Refine what a pose model of Ultralytics finds. pip install ultralytics; python refine_ultralytics.py photo.jpg"""

import sys

from ultralytics import YOLO

from pose_refine import refine


def main(path):
    results = YOLO("yolo11n-pose.pt")(path)
    refined = [refine(result.orig_img, result, color="bgr") for result in results]  # Results, as before
    refined[0].save("refined.jpg")


if __name__ == "__main__":
    main(sys.argv[1])
