"""Measure poses before and after refining, on arrays. For files: pose-refine evaluate --help."""

import numpy as np

from pose_refine import refine
from pose_refine.commands.demo import demo_input, exchanged
from pose_refine.metrics.oks import oks, sigmas_of


def main():
    image, poses = demo_input("astronaut", "movenet_lightning")
    truth = poses.keypoints  # a stand-in: put your labels here, (N, 17, 2), NaN where a joint is not labelled
    areas = np.full(len(truth), 60_000.0)  # square pixels that each person covers
    found = exchanged(poses)  # a stand-in for your estimator: left and right are exchanged
    before = np.concatenate([found.keypoints, found.scores[..., None]], -1)
    after = refine(image, before)
    for name, array in (("before", before), ("after", after)):
        print(name, "OKS:", oks(array, truth, areas, sigmas_of("coco17")).round(3))


if __name__ == "__main__":
    main()
