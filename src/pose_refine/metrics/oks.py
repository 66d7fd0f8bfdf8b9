"""Object keypoint similarity: how near a pose is to the truth, by the person's size and by how precisely annotators
place each joint; and COCO's average precision on top of it, computed by pycocotools.

Definition: COCO's keypoint evaluation, https://cocodataset.org/#keypoints-eval; M. R. Ronchi and P. Perona,
Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation, ICCV 2017.
"""

import contextlib
import io
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Doubles, Floats
from pose_refine.metrics.pckh import there
from pose_refine.skeletons import NETWORK, SIGMAS, get_skeleton

RIGHT, WRONG = 0.85, 0.5  # keypoint similarity from which on a joint counts as right, below which it is wrong
THRESHOLDS = np.arange(0.5, 0.951, 0.05)  # of object keypoint similarity
MEASURES = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR", "AR50", "AR75", "AR medium", "AR large")


def sigmas_of(skeleton: str) -> Floats:
    """Keypoint constants (K,) of a skeleton's joints, by name: COCO's, and for necks and head tops a shoulder's, as
    CrowdPose has it.

    Raises:
        ValueError: A joint whose constant is not known.
    """
    known = {**dict(zip(NETWORK.joints, SIGMAS, strict=True)), "neck": SIGMAS[NETWORK.joints.index("upper_neck")]}
    joints = get_skeleton(skeleton).joints
    if unknown := [name for name in joints if name not in known]:
        raise ValueError(f"no OKS constant is known for {', '.join(unknown[:5])} of {skeleton}; pass sigmas=")
    return np.array([known[name] for name in joints], dtype=np.float32)


def similarity(poses: AnyArray, truth: AnyArray, areas: AnyArray, sigmas: AnyArray = SIGMAS) -> AnyArray:
    """Keypoint similarity of each joint, exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        poses: (N, K, 2 or more) x, y of the predicted joints.
        truth: (N, K, 2 or more) of the same people's labels.
        areas: (N,) square pixels that each person covers.
        sigmas: (K,) keypoint constants; by default of the network's 19 joints, see `sigmas_of`.

    Returns:
        (N, K) in [0, 1]; 0 where either is NaN.
    """
    squared = ((poses[..., :2] - truth[..., :2]) ** 2).sum(-1)
    similar: AnyArray = np.nan_to_num(np.exp(-squared / (2 * areas[:, None] * (2 * sigmas) ** 2)))
    return similar


def oks(poses: AnyArray, truth: AnyArray, areas: AnyArray, sigmas: AnyArray = SIGMAS) -> AnyArray:
    """Object keypoint similarity of people, (N,) in [0, 1]: the mean over labelled joints, NaN where none is.

    A labelled joint that was not predicted counts as 0. Arguments as of `similarity`.
    """
    labelled = there(truth)
    with np.errstate(invalid="ignore"):
        mean: AnyArray = (similarity(poses, truth, areas, sigmas) * labelled).sum(1) / labelled.sum(1)
    return mean


def oks_recall(poses: AnyArray, truth: AnyArray, areas: AnyArray, joints: AnyArray, sigmas: AnyArray = SIGMAS) -> float:
    """Percent of people above an OKS threshold, mean over .50:.05:.95; each person has one prediction.

    Args:
        poses: (N, K, 2 or more) predicted joints.
        truth: (N, K, 2 or more) labels; people without any are left out.
        areas: (N,) square pixels.
        joints: (K,) True for joints that count.
        sigmas: (K,) keypoint constants.
    """
    counted = np.where((there(truth) & joints)[..., None], truth[..., :2], np.nan)
    found = oks(poses, counted, areas, sigmas)
    return float(100 * (found[~np.isnan(found), None] > THRESHOLDS).mean())


def oks_ap(
    poses: AnyArray,
    scores: AnyArray,
    images: Sequence[Hashable],
    truth: AnyArray,
    areas: AnyArray,
    truth_images: Sequence[Hashable],
    *,
    sigmas: AnyArray,
    boxes: AnyArray | None = None,
    crowd: AnyArray | None = None,
    counts: AnyArray | None = None,
) -> dict[str, float]:
    """COCO's average precision and recall of keypoints, by pycocotools.

    Args:
        poses: (N, K, 2) predicted people. A joint that was not predicted (NaN) counts as (0, 0), as in COCO's files.
        scores: (N,) one a person; only their order counts. At most 20 people an image are looked at, the best scored.
        images: N names of the images that they are in. Where nobody is labelled, all are mistakes.
        truth: (G, K, 2) labelled people, NaN where not labelled.
        areas: (G,) square pixels.
        truth_images: G names of the images that they are in.
        sigmas: (K,) keypoint constants, see `sigmas_of`.
        boxes: (G, 4) x0, y0, x1, y1. People without labelled joints and with a box are regions to ignore: predictions
            there are no mistakes. Without a box (None, NaN) they are left out.
        crowd: (G,) True for crowds: they are ignored, and may match many predictions.
        counts: (G,) how many joints are said to be labelled; people of whom it is 0 are regions to ignore. NaN, or
            None, where nothing is said: those that are.

    Returns:
        `MEASURES` to percent; NaN where there is nobody of that size.

    Raises:
        ImportError: pycocotools is not installed.
        ValueError: Shapes that do not fit, scores or areas that are not finite, nobody predicted or labelled.
    """
    _check(poses, scores, images, truth, areas, truth_images, sigmas)
    known = there(truth)
    boxes = np.full((len(truth), 4), np.nan) if boxes is None else np.asarray(boxes, dtype=np.float64)
    crowd = np.zeros(len(truth), dtype=bool) if crowd is None else crowd
    said = np.full(len(truth), np.nan) if counts is None else counts
    counts = np.where(np.isnan(said), known.sum(1), said)
    numbers = {name: i for i, name in enumerate(dict.fromkeys([*truth_images, *images]))}
    labels = [
        {"id": g + 1, "image_id": numbers[truth_images[g]], "category_id": 1, "area": float(areas[g]),
         "iscrowd": int(crowd[g]), "num_keypoints": int(counts[g]), "keypoints": _flat(truth[g], known[g]),
         "bbox": _width_height(boxes[g])}
        for g in range(len(truth)) if known[g].any() or not np.isnan(boxes[g]).any()
    ]  # fmt: skip
    results = [
        {"image_id": numbers[images[n]], "category_id": 1, "keypoints": _flat(pose, present), "score": float(scores[n])}
        for n, (pose, present) in enumerate(zip(poses, there(poses), strict=True))
    ]
    dataset = {"images": [{"id": i} for i in numbers.values()], "annotations": labels, "categories": [{"id": 1}]}
    stats = _coco_stats(dataset, results, np.asarray(sigmas, dtype=np.float64).round(6))
    percent = np.where(stats >= 0, 100 * stats, np.nan)
    return dict(zip(MEASURES, percent.tolist(), strict=True))


def _check(
    poses: AnyArray, scores: AnyArray, images: Sequence[Hashable], truth: AnyArray, areas: AnyArray,
    truth_images: Sequence[Hashable], sigmas: AnyArray,
) -> None:  # fmt: skip
    joints = len(sigmas)
    for name, array, people in (("poses", poses, images), ("truth", truth, truth_images)):
        if array.shape != (len(people), joints, 2):
            raise ValueError(f"{name}: expected shape ({len(people)}, {joints}, 2), got {array.shape}")
    for name, array, people in (("scores", scores, images), ("areas", areas, truth_images)):
        if array.shape != (len(people),) or not np.isfinite(array).all():
            raise ValueError(f"{name}: expected {len(people)} finite numbers, one a person, got {array!r:.80}")
    if not len(poses) or not len(truth):
        raise ValueError(f"expected people, got {len(poses)} predicted and {len(truth)} labelled")


def _flat(joints: AnyArray, present: AnyArray) -> list[float]:
    """x0, y0, v0, ... with v 2, and 0, 0, 0 where missing."""
    values = np.concatenate([joints, np.full((len(joints), 1), 2.0)], 1)
    return [float(v) for v in np.where(present[:, None], values, 0).reshape(-1)]


def _width_height(box: Doubles) -> list[float]:
    """A box as COCO writes it; zeros where there is none, for people whose box is not looked at."""
    if np.isnan(box).any():
        return [0.0, 0.0, 0.0, 0.0]
    return [float(v) for v in (*box[:2], *(box[2:] - box[:2]))]


def _coco_stats(dataset: dict[str, Any], results: list[dict[str, Any]], sigmas: Doubles) -> NDArray[np.float64]:
    """(10,) shares in the order of MEASURES, -1 where undefined. pycocotools prints what it does: swallowed here."""
    try:
        from pycocotools.coco import COCO  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from pycocotools.cocoeval import COCOeval  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError('OKS AP needs pycocotools: pip install "pose-refine[eval]"') from error
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats: NDArray[np.float64] = evaluation.stats
    return stats
