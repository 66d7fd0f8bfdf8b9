"""What robustness.py does to poses and images: pure functions on arrays, NaN where a joint is missing."""

import cv2
import numpy as np

from pose_refine.skeletons import COCO_JOINTS, SIGMAS

LIMBS = ("elbow", "wrist", "knee", "ankle")
# (4, 2) columns of the limbs' left and right joints
PAIRS = np.array([[COCO_JOINTS.index(f"{side}_{limb}") for side in ("left", "right")] for limb in LIMBS])
CORNER = 1.0  # x and y of a joint that somebody wrote as "not found"


def drawn_joints(present: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(P, K) so many of each person's joints that are `present` (P, K); with the same seed, fewer are among more."""
    order = np.where(present, rng.random(present.shape), np.inf).argsort(1).argsort(1)
    return present & (order < count)


def at_corner(poses: np.ndarray) -> np.ndarray:
    """(P, K, 2): everything at (1, 1)."""
    return np.full((*poses.shape[:2], 2), CORNER, np.float32)


def anywhere(shapes: np.ndarray, joints: int, rng: np.random.Generator) -> np.ndarray:
    """(P, K, 2) uniformly drawn places of images whose heights and widths are (P, 2)."""
    return (rng.random((len(shapes), joints, 2)) * (shapes[:, None, ::-1] - 1)).astype(np.float32)


def on_another(poses: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(P, K, 2) the joints of a drawn other person with a pose (P, K, C) in the same image (P,); NaN without one."""
    out = np.full((*poses.shape[:2], 2), np.nan, np.float32)
    for row, candidates in enumerate(companions(poses, image)):
        if len(candidates):
            out[row] = poses[rng.choice(candidates), :, :2]
    return out


def on_nearest(poses: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(P, K, 2) the joints of the nearest other person with a pose in the same image, by the poses' middles."""
    out = np.full((*poses.shape[:2], 2), np.nan, np.float32)
    for row, candidates in enumerate(companions(poses, image)):
        if len(candidates):
            middles = np.nanmean(poses[candidates, :, :2], 1)
            gap = np.linalg.norm(middles - np.nanmean(poses[row, :, :2], 0), axis=-1)
            out[row] = poses[candidates[gap.argmin()], :, :2]
    return out


def companions(poses: np.ndarray, image: np.ndarray) -> list[np.ndarray]:
    """For each person with a pose the rows of the others with one in the same image; nobody for the rest."""
    some = ~np.isnan(poses[..., 0]).all(1)
    rows = np.arange(len(poses))
    return [np.flatnonzero(some & (image == image[r]) & (rows != r) & some[r]) for r in rows]


def half_of_each_image(joints: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(P, K) half of the joints (K,) that an estimator knows, the same for all people of an image: who are each other's
    nearest exchange theirs."""
    images, where = np.unique(image, return_inverse=True)
    known = np.broadcast_to(joints, (len(images), len(joints)))
    return drawn_joints(known, int(joints.sum()) // 2, rng)[where]


def replaced(poses: np.ndarray, places: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (P, K, 3) with the joints `which` (P, K) at `places` (P, K, 2), their scores kept, where there is a place;
    and which they are."""
    moved = which & ~np.isnan(places[..., 0]) & ~np.isnan(poses[..., 0])
    out = poses.copy()
    out[moved, :2] = places[moved]
    return out, moved


def without(poses: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Poses (P, K, 3) with the joints `which` (P, K) missing."""
    return np.where(which[..., None], np.float32(np.nan), poses)


def turned(points: np.ndarray, shape: tuple[int, int], quarters: int) -> np.ndarray:
    """Points (..., 2 or more: x, y, ...) of an image (height, width) in the image that np.rot90 makes of it."""
    out, (height, width) = points.copy(), shape
    for _ in range(quarters % 4):
        out[..., 0], out[..., 1] = out[..., 1].copy(), width - 1 - out[..., 0]
        height, width = width, height
    return out


def resized(points: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Points (..., 2 or more) of an image in the image resized by `scale` (2,), x and y; centres stay centres."""
    out = points.copy()
    out[..., :2] = (out[..., :2] + 0.5) * scale - 0.5
    return out.astype(np.float32)


def shrunk(image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) at `scale` of its size, averaged, and by how much it was resized in x and y (2,)."""
    size = np.array([image.shape[1], image.shape[0]])
    new = np.maximum(1, np.rint(size * scale)).astype(int)
    return cv2.resize(image, new.tolist(), interpolation=cv2.INTER_AREA), new / size


def in_one_place(poses: np.ndarray, area: np.ndarray, similarity: float) -> np.ndarray:
    """(P, 4) whether left and right of PAIRS lie nearer to each other than the radius of that keypoint similarity, for
    poses (P, K, C >= 2) of people with areas (P,); False where one is missing."""
    left, right = poses[:, PAIRS[:, 0], :2], poses[:, PAIRS[:, 1], :2]
    radius = 2 * SIGMAS[PAIRS[:, 0]] * np.sqrt(-2 * np.log(similarity) * area)[:, None]
    return np.linalg.norm(left - right, axis=-1) < radius
