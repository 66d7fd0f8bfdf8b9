"""MMPose 1.x, one image: `PoseDataSample` (or a list of them, as inference_topdown gives, or bare `InstanceData`), the
Inferencer's result dict, and the JSON that the Inferencer ([{"keypoints", "keypoint_scores", ...}, ...]) and the demos
({"meta_info", "instance_info"}) write, or one frame of a video's ({"frame_id", "instances"}). Never imported:
attributes are enough.

Not taken are several images at once; what is written for a video documents.py takes apart. Boxes and their scores stay.
MMPose fills `keypoints_visible` with the scores where the model knows nothing better, and draws by it: then it follows
the scores. The data set's name or the joints' names tell the skeleton, or else their number.
Sources: https://mmpose.readthedocs.io/en/latest/user_guides/inference.html and
https://github.com/open-mmlab/mmpose/blob/main/mmpose/structures/utils.py (split_instances)
"""

from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch

from pose_refine._types import AnyArray
from pose_refine.formats.arrays import nobody
from pose_refine.formats.common import two_arrays as pairs
from pose_refine.formats.common.missing import MARKS
from pose_refine.formats.common.triplets import changed_triplets
from pose_refine.poses import Poses
from pose_refine.skeletons import AnySkeleton, get_skeleton, skeleton_of

Entry = dict[str, Any]
KEYS = {"keypoints", "keypoint_scores"}
SKELETON_BY_DATASET = {
    "coco": "coco17", "ochuman": "coco17", "Human-Art": "coco17", "coco_openpose": "coco18", "mpii": "mpii16",
    "mhp": "mpii16", "aic": "aic14", "crowdpose": "crowdpose14", "exlpose": "crowdpose14", "halpe26": "halpe26",
    "halpe": "halpe136", "posetrack18": "posetrack17", "coco_wholebody": "wholebody133", "ubody2d": "wholebody133",
    "h36m": "h36m17",
}  # fmt: skip
EXPECTED = "MMPose's data samples, or dicts with keypoints and keypoint_scores, of one image"


def matches(poses: Any) -> bool:
    if isinstance(poses, dict):
        return isinstance(poses.get(_key(poses)), list)
    many = isinstance(poses, list) and len(poses) > 0
    return _is_sample(poses) or (many and (all(map(_is_sample, poses)) or all(map(_is_entry, poses))))


def _key(poses: dict[str, Any]) -> str:
    """Where a dict has its people: the Inferencer's result, a demo's JSON, a video's frame."""
    return "predictions" if "visualization" in poses else "instances" if "instances" in poses else "instance_info"


def _is_sample(sample: Any) -> bool:
    """Whether it is one of MMEngine's data elements; it may lack predictions where there is nobody."""
    return all(hasattr(sample, name) for name in ("metainfo", "keys", "clone"))


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.keys() >= KEYS


def read(poses: Any, skeleton: AnySkeleton | None = None, shape: object = None) -> Poses:
    """Read the people of one image; `missing.py` says which joints are missing.

    Raises:
        ValueError: Several images, no keypoints, other shapes, or no telling which skeleton.
    """
    parts = _parts(poses)
    samples = all(map(_is_sample, parts))
    if not samples and not all(map(_is_entry, parts)):
        raise ValueError(f"MMPose: expected data samples or dicts with {sorted(KEYS)}, of one image's people")
    both = [_of_sample(p) for p in parts] if samples else [_of_entry(p) for p in parts]
    found = [_fitting(*b) for b in both if len(b[0])]
    counts = {k.shape[1] for k, _ in found}
    if len(counts) > 1:
        raise ValueError(f"MMPose: expected the same number of joints for all, got {sorted(counts)}")
    count = counts.pop() if counts else None
    name = skeleton or skeleton_name(_meta(poses, parts), count)
    if count is None:
        return nobody(name or "coco17")
    return pairs.read(np.concatenate([k for k, _ in found]), np.concatenate([s for _, s in found]), name)


def _parts(poses: Any) -> list[Any]:
    """The data samples or dicts of one image.

    Raises:
        ValueError: Several images.
    """
    if isinstance(poses, dict) and "visualization" in poses:
        images = poses["predictions"]
        if not images:
            return []
        if len(images) != 1:
            raise ValueError(f"MMPose: expected the predictions of one image, got {len(images)}")
        return images[0] if isinstance(images[0], list) else list(images)
    parts: list[Any] = poses[_key(poses)] if isinstance(poses, dict) else poses if isinstance(poses, list) else [poses]
    if any(isinstance(p, dict) and "instances" in p for p in parts):
        raise ValueError("MMPose: expected one image's people, got a video's frames; pass the 'instances' of one")
    names = {str(getattr(p, "img_path", None)) for p in parts}
    if len(names) > 1:
        raise ValueError(f"MMPose: expected data samples of one image, got {sorted(names)[:5]}")
    return parts


def _meta(poses: Any, parts: list[Any]) -> dict[str, Any]:
    """What is said of the joints: a demo's meta_info, or a sample's own."""
    said = poses.get("meta_info") if isinstance(poses, dict) else getattr(parts[0], "metainfo", None) if parts else None
    return said if isinstance(said, dict) else {}


def skeleton_name(meta: dict[str, Any], count: int | None) -> str | None:
    """The skeleton that the joints' names or the data set tell; None where nothing is said.

    Args:
        meta: Of the data set, with "dataset_name" and "keypoint_id2name" (indices may be strings, as in JSON).
        count: Number of joints, if there is anybody.

    Raises:
        ValueError: A data set whose joints are not known, or are not that many.
    """
    data_set, names = meta.get("dataset_name"), meta.get("keypoint_id2name") or {}
    in_order = [name for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    found = (skeleton_of(in_order) if names else None) or SKELETON_BY_DATASET.get(str(data_set))
    if data_set is not None and count is not None and (not found or len(get_skeleton(found).joints) != count):
        raise ValueError(f"MMPose: data set {data_set!r} with {count} joints is not known; pass skeleton=")
    return found


def _instances(sample: Any) -> Any:
    return getattr(sample, "pred_instances", sample)


def _of_sample(sample: Any) -> tuple[AnyArray, AnyArray]:
    """Keypoints (N, K, 2) and scores (N, K) of a data sample, or of bare instances; empty where nothing is said."""
    instances = _instances(sample)
    if not instances.keys():
        return np.empty((0, 0, 2), np.float32), np.empty((0, 0), np.float32)
    if not all(hasattr(instances, key) for key in KEYS):
        raise ValueError(f"MMPose: expected pred_instances with {sorted(KEYS)}: a pose model's output")
    return pairs.as_array(instances.keypoints), pairs.as_array(instances.keypoint_scores)


def _of_entry(entry: Entry) -> tuple[AnyArray, AnyArray]:
    """Keypoints (1, K, 2) and scores (1, K) of one person's dict."""
    try:
        keypoints, scores = (np.array([entry[key]], dtype=np.float64) for key in ("keypoints", "keypoint_scores"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"MMPose: expected keypoints [[x, y], ...] and their scores: {error}") from error
    return keypoints, scores


def _fitting(keypoints: AnyArray, scores: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Both, which some tool may have cut apart.

    Raises:
        ValueError: Other shapes than (N, K, 2) and (N, K).
    """
    if keypoints.ndim != 3 or keypoints.shape[2] != 2 or scores.shape != keypoints.shape[:2]:
        raise ValueError(f"MMPose: expected keypoints (N, K, 2), scores (N, K), got {keypoints.shape}, {scores.shape}")
    return keypoints, scores


def write(poses: Poses, like: Any, shape: object = None) -> Any:
    """A copy of `like` with the joints of `poses`, of the same dtypes and devices; other fields are shared."""
    before, parts = read(like, poses.skeleton), _parts(like)
    if all(map(_is_sample, parts)):
        out = _samples(poses, before, parts)
    else:
        out = [
            _entry(e, changed)
            for e, changed in zip(parts, changed_triplets(poses, before, MARKS["mmpose"]), strict=True)
        ]
    if isinstance(like, dict):
        key = _key(like)
        nested = key == "predictions" and any(isinstance(image, list) for image in like[key])
        whole = copy(like)
        whole[key] = [out] if nested else out
        return whole
    return out if isinstance(like, list) else out[0]


def _samples(after: Poses, before: Poses, samples: list[Any]) -> list[Any]:
    ends = np.cumsum([len(_of_sample(s)[0]) for s in samples])
    rows = [slice(end - len(_of_sample(s)[0]), end) for s, end in zip(samples, ends, strict=True)]
    return [_sample(s, after[r], before[r]) for s, r in zip(samples, rows, strict=True)]


def _sample(sample: Any, after: Poses, before: Poses) -> Any:
    """A copy of one data sample, or of bare instances."""
    given = _instances(sample)
    instances = given.clone()  # the public way to a copy that shares the fields
    if len(after):
        keypoints, scores = pairs.put(after, before, given.keypoints, given.keypoint_scores, MARKS["mmpose"])
        if "keypoints_visible" in given and _same(given.keypoints_visible, given.keypoint_scores):
            instances.keypoints_visible = scores
        instances.keypoints, instances.keypoint_scores = keypoints, scores
    if given is sample:
        return instances
    out = sample.clone()
    out.pred_instances = instances
    return out


def _same(values: AnyArray | torch.Tensor, others: AnyArray | torch.Tensor) -> bool:
    return np.array_equal(pairs.as_array(values), pairs.as_array(others), equal_nan=True)


def _entry(entry: Entry, changed: dict[int, list[float]]) -> Entry:
    out = deepcopy(entry)
    for index, (x, y, score) in changed.items():
        out["keypoints"][index], out["keypoint_scores"][index] = [x, y], score
    return out
