"""Refine supervision's KeyPoints. pip install supervision ultralytics; python refine_supervision.py photo.jpg"""

import sys

import cv2
import supervision as sv
from ultralytics import YOLO

from pose_refine import refine


def main(path):
    image = cv2.imread(path)  # BGR
    key_points = sv.KeyPoints.from_ultralytics(YOLO("yolo11n-pose.pt")(image)[0])
    refined = refine(image, key_points, color="bgr")
    picture = sv.EdgeAnnotator(thickness=2).annotate(image.copy(), refined)
    cv2.imwrite("refined.jpg", picture)


if __name__ == "__main__":
    main(sys.argv[1])
