"""Refine the output of a Detectron2 keypoint model."""

from importlib.resources import files

import cv2
import torch

from pose_refine import refine

MODEL = "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml"


def refine_outputs(image_bgr, outputs):
    """The predictor's `outputs` with other pred_keypoints; Detectron2's predictors take BGR images."""
    return refine(image_bgr, outputs, color="bgr")


def main():
    try:
        from detectron2 import model_zoo
        from detectron2.engine import DefaultPredictor
    except ImportError:
        print("needs Detectron2: https://detectron2.readthedocs.io/en/latest/tutorials/install.html")
        return
    config = model_zoo.get_config(MODEL, trained=True)
    config.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.7
    image = cv2.imread(str(files("pose_refine") / "demo" / "astronaut.jpg"))
    outputs = DefaultPredictor(config)(image)
    refined = refine_outputs(image, outputs)
    print((refined["instances"].pred_keypoints - outputs["instances"].pred_keypoints).cpu())


if __name__ == "__main__":
    main()
