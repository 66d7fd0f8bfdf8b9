"""Refine what transformers' ViTPose finds. pip install transformers pillow; python refine_vitpose.py photo.jpg"""

import sys

import numpy as np
from PIL import Image
from transformers import AutoProcessor, VitPoseForPoseEstimation

from pose_refine import refine

MODEL = "usyd-community/vitpose-base-simple"


def main(path):
    image = Image.open(path).convert("RGB")
    boxes = [np.array([[0, 0, *image.size]], np.float32)]  # x, y, width, height: a detector's, where there are several
    processor, model = AutoProcessor.from_pretrained(MODEL), VitPoseForPoseEstimation.from_pretrained(MODEL)
    outputs = model.requires_grad_(False)(**processor(image, boxes=boxes, return_tensors="pt"))
    print(refine(np.array(image), processor.post_process_pose_estimation(outputs, boxes=boxes)[0]))


if __name__ == "__main__":
    main(sys.argv[1])
