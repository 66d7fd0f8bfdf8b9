"""Refine what torchvision's Keypoint R-CNN finds. pip install torchvision; python refine_torchvision.py photo.jpg"""

import sys

import torch
from torchvision.io import decode_image
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from pose_refine import refine


def main(path):
    image = decode_image(path, mode="RGB")
    with torch.inference_mode():
        (output,) = keypointrcnn_resnet50_fpn(weights="DEFAULT").eval()([image / 255])
    sure = {name: values[output["scores"] > 0.7] for name, values in output.items()}
    print(refine(image.permute(1, 2, 0), sure)["keypoints"])


if __name__ == "__main__":
    main(sys.argv[1])
