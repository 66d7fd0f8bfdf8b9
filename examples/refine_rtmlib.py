"""Refine what rtmlib finds. pip install rtmlib onnxruntime; python refine_rtmlib.py photo.jpg"""

import sys

import cv2
from rtmlib import Body, draw_skeleton

from pose_refine import refine


def main(path):
    image = cv2.imread(path)  # BGR
    keypoints, scores = Body(mode="balanced", backend="onnxruntime", device="cpu")(image)
    keypoints, scores = refine(image, (keypoints, scores), color="bgr")
    cv2.imwrite("refined.jpg", draw_skeleton(image.copy(), keypoints, scores, kpt_thr=0.2))


if __name__ == "__main__":
    main(sys.argv[1])
