"""Refine what MediaPipe finds. pip install mediapipe; python refine_mediapipe.py photo.jpg pose_landmarker_full.task"""

import sys

import mediapipe as mp

from pose_refine import refine
from pose_refine.skeletons import SKELETONS


def main(path, model):
    image = mp.Image.create_from_file(path)
    with mp.tasks.vision.PoseLandmarker.create_from_model_path(model) as landmarker:
        result = landmarker.detect(image)
    refined = refine(image.numpy_view()[:, :, :3], result)
    for landmarks in refined.pose_landmarks:
        for name, mark in zip(SKELETONS["mediapipe33"].joints, landmarks, strict=True):
            print(f"{name:20} {mark.x:6.3f} {mark.y:6.3f} {mark.visibility:5.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
