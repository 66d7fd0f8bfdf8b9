"""Drawn people as a user has them: a folder of images, labels, and what an estimator says, both as COCO's files."""

import cv2
import numpy as np

from fakes.stickman import stickman
from pose_refine.skeletons import NETWORK

HEIGHT, TALL, AREA = 120, 90, 2000  # pixels of images and people; people's area, squared pixels


def drawn(folder, count, middles, rng, *, width=HEIGHT):
    """Writes so many images into the new folder; the poses in them by image id, one at each of the `middles` (x)."""
    folder.mkdir()
    poses = {}
    for i in range(1, count + 1):
        image = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (width, HEIGHT))
        poses[i] = [stickman(TALL, (x, 65), arms=rng.uniform(-1, 1, 4)) for x in middles]
        for pose in poses[i]:
            draw(image, pose)
        assert cv2.imwrite(str(folder / name_of(i)), image)
    return poses


def draw(image, pose):
    places = dict(zip(NETWORK.joints, pose.round().astype(int).tolist(), strict=True))
    for a, b in NETWORK.limbs:
        cv2.line(image, places[a], places[b], (60, 90, 160), 5)


def name_of(image):
    return f"{image:06d}.png"


def entry(pose, third, **more):
    """A pose (19, 2) as COCO has it, 17 joints; `third` is what stands beside x and y."""
    flat = np.concatenate([pose[:17], np.broadcast_to(third, (17, 1))], 1).round(2)
    return {"category_id": 1, "keypoints": flat.ravel().tolist(), **more}


def labels_of(poses):
    """COCO annotations of poses by image."""
    everybody = [(i, pose) for i, people in poses.items() for pose in people]
    facts = {"num_keypoints": 17, "area": AREA, "bbox": [0, 0, 60, TALL], "iscrowd": 0}
    people = [entry(pose, 2, id=n, image_id=i, **facts) for n, (i, pose) in enumerate(everybody, 1)]
    images = [{"id": i, "file_name": name_of(i)} for i in poses]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}


def results_of(poses, rng, off=3.0):
    """COCO results: the same people in the same order, joints that many pixels off."""
    return [
        entry(pose + rng.normal(0, off, pose.shape), rng.random((17, 1)), image_id=i, score=0.9)
        for i, people in poses.items()
        for pose in people
    ]
