"""PP-TinyPose run again on the box of a pose: what anybody could do at no cost instead of refining.

    python tests/benchmarks/tinypose.py --data ../shared/data --model ../shared/trunks/tinypose_v1.onnx --limit 150

run by itself looks at ground-truth boxes of COCO, with and without flip test, and says how near it comes to the poses
that predictions/coco_SPLIT/MODEL.npz holds: a check of the alignment.

PP-TinyPose (PaddleDetection, configs/keypoint/tiny_pose, Apache-2.0) gives 17 heat maps at stride 4. Its crop is the
box x 1.25, widened to 3:4, so that the crop's width in the image falls on WIDTH pixels (not on WIDTH - 1, as with UDP):
cell c of a map is pixel 4 c of the crop. Peaks are read by DARK (Zhang et al., CVPR 2020).
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from pose_refine.metrics.oks import oks_recall, sigmas_of
from pose_refine.skeletons import SKELETONS

HEIGHT, WIDTH, STRIDE = 256, 192, 4
MARGIN = 1.25  # the crop over the box
SMALLEST = 8.0  # pixels: a pose of one joint has no extent
MEAN, DEVIATION = (np.array(v, np.float32) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))  # ImageNet's
BLUR = 3  # cells: DARK's Gaussian
FAINT = 1e-10  # what a logarithm is taken of at least
MIRROR = SKELETONS["coco17"].mirror


class TinyPose:
    """One PP-TinyPose, one crop at a time (the published graph takes one), on one thread.

    Args:
        path: The ONNX file.
        flip: Whether it looks at mirror images too.
    """

    def __init__(self, path: Path, *, flip: bool = True) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.flip = flip

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """(N, 17, 3) x, y in image pixels, score, of the people in boxes (N, 4) of an image (H, W, 3) RGB."""
        matrices = crop_maps(boxes)
        heat = np.stack([self.heat_maps(cut(image, matrix)) for matrix in matrices])
        cells, score = peaks(heat)
        places = STRIDE * cells * matrices[:, None, [0, 1], [0, 1]] + matrices[:, None, :, 2]
        return np.concatenate([places, score[..., None]], -1).astype(np.float32)

    def heat_maps(self, crop: np.ndarray) -> np.ndarray:
        """(17, HEIGHT / STRIDE, WIDTH / STRIDE) of a crop (HEIGHT, WIDTH, 3) RGB."""
        shown = ((crop / np.float32(255) - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
        heat = self._run(shown)
        return (heat + turned_back(self._run(shown[..., ::-1]))) / 2 if self.flip else heat

    def _run(self, shown: np.ndarray) -> np.ndarray:
        heat: np.ndarray = self.session.run(None, {"image": np.ascontiguousarray(shown)})[0][0]
        return heat


def boxes_of(poses: np.ndarray) -> np.ndarray:
    """(N, 4) x0, y0, x1, y1 of the joints that are there of poses (N, K, C >= 2), each with one at least."""
    return np.concatenate([np.nanmin(poses[..., :2], 1), np.nanmax(poses[..., :2], 1)], 1)


def crop_maps(boxes: np.ndarray) -> np.ndarray:
    """Affine maps (N, 2, 3) from crop pixels to image pixels, upright: boxes (N, 4) x MARGIN, widened to 3:4."""
    size = boxes[:, 2:] - boxes[:, :2]
    height = MARGIN * np.maximum(size[:, 1], size[:, 0] * HEIGHT / WIDTH).clip(SMALLEST)
    scale = (height / HEIGHT)[:, None, None] * np.eye(2)
    corner = (boxes[:, :2] + boxes[:, 2:]) / 2 - scale @ (WIDTH / 2, HEIGHT / 2)
    return np.concatenate([scale, corner[..., None]], 2)


def cut(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8, bilinear, black outside the image, as PaddleDetection cuts."""
    return cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def turned_back(heat: np.ndarray) -> np.ndarray:
    """Heat maps (17, h, w) of a mirror image as those of the image: sides exchanged, and shifted by one cell, because
    cell 0 of the mirror image is pixel 0 there, which is the last pixel here, not the last cell."""
    back = heat[MIRROR, :, ::-1].copy()
    back[..., 1:] = back[..., :-1].copy()
    return back


def peaks(heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DARK: the blurred map's logarithm is a parabola around its peak; its vertex, and the height of the peak.

    Args:
        heat: (N, K, h, w).

    Returns:
        (N, K, 2) x, y in cells, and (N, K) the highest value.
    """
    people, joints, height, width = heat.shape
    maps = heat.reshape(-1, height, width)
    best = maps.reshape(len(maps), -1).argmax(1)
    x, y = best % width, best // width
    smooth = np.log(np.maximum([blurred(m) for m in maps], FAINT))
    inner = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    moved = np.stack([x, y], -1).astype(np.float64)
    moved[inner] += to_vertex(smooth[inner], x[inner], y[inner])
    score = maps.reshape(len(maps), -1).max(1)
    return moved.reshape(people, joints, 2), score.reshape(people, joints)


def blurred(heat: np.ndarray) -> np.ndarray:
    """A map (h, w) blurred, nothing outside it, as high as before."""
    smooth = cv2.GaussianBlur(heat, (BLUR, BLUR), 0, borderType=cv2.BORDER_CONSTANT)
    return smooth * (heat.max() / max(smooth.max(), FAINT))


def to_vertex(logarithm: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """From cells x, y (M,) of maps (M, h, w), two cells or more inside, to their parabola's vertex: (M, 2) cells."""
    n = np.arange(len(x))

    def at(dx: int, dy: int) -> np.ndarray:
        return logarithm[n, y + dy, x + dx]

    slope = np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1) / 2
    xx, yy = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4, (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = xx * yy - xy**2
    step = np.stack([yy * slope[:, 0] - xy * slope[:, 1], xx * slope[:, 1] - xy * slope[:, 0]], -1)
    safe = np.where(determinant == 0, 1, determinant)[:, None]
    return np.where(determinant[:, None] == 0, 0, -step / safe)


def check(tinypose: TinyPose, data: Path, split: str, model: str, limit: int | None) -> None:
    """Recall of people on their ground-truth boxes, here and in the file of predictions."""
    truth = json.loads((data / "coco" / f"person_keypoints_{split}.json").read_text())
    files = {image["id"]: data / "coco" / split / image["file_name"] for image in truth["images"]}
    with np.load(data / "predictions" / f"coco_{split}" / f"{model}.npz") as z:
        known = dict(zip(z["ann_id"].tolist(), z["keypoints"][:, :17], strict=True))
    people = [a for a in truth["annotations"] if a["num_keypoints"] >= 8 and a["bbox"][3] >= 64 and a["id"] in known]
    people = people[:limit]
    stored = np.stack([known[a["id"]] for a in people])
    found = {"in the file": stored}
    for name, tinypose.flip in (("without flip", False), ("with flip", True)):
        found[name] = np.stack([on_own_box(tinypose, files, person) for person in tqdm(people, desc=name)])
    labels = np.array([a["keypoints"] for a in people], np.float32).reshape(-1, 17, 3)
    labels[labels[..., 2] == 0] = np.nan
    area, every = np.array([a["area"] for a in people]), np.ones(17, bool)
    for name, poses in found.items():
        recall = oks_recall(poses, labels[..., :2], area, every, sigmas_of("coco17"))
        gap = np.median(np.linalg.norm(poses[..., :2] - stored[..., :2], axis=-1))
        print(f"{name}: recall {recall:.1f} of {len(people)} people, median distance to the file {gap:.3f} px")


def on_own_box(tinypose: TinyPose, files: dict[int, Path], person: dict) -> np.ndarray:
    """(17, 3) of a COCO annotation, on its box."""
    left, top, width, height = person["bbox"]
    image = np.ascontiguousarray(cv2.imread(str(files[person["image_id"]]))[:, :, ::-1])
    return tinypose(image, np.array([[left, top, left + width, top + height]]))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with coco/ and predictions/")
    parser.add_argument("--model", type=Path, required=True, help="the ONNX file; named as its file of predictions")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--limit", type=int, help="at most so many people")
    arguments = parser.parse_args()
    model = TinyPose(arguments.model)
    check(model, arguments.data, arguments.split, arguments.model.stem, arguments.limit)


if __name__ == "__main__":
    main()
