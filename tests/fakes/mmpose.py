"""MMPose 1.x and MMEngine's data elements, which do not install everywhere."""

from collections import defaultdict
from copy import deepcopy

import numpy as np


class BaseDataElement:
    """Behaves as mmengine.structures.BaseDataElement where it counts: fields of data and of meta information.

    Schema: https://github.com/open-mmlab/mmengine/blob/main/mmengine/structures/base_data_element.py
    """

    def __init__(self, *, metainfo=None, **data):
        object.__setattr__(self, "_meta", deepcopy(metainfo or {}))
        object.__setattr__(self, "_data", {})
        for name, value in data.items():
            setattr(self, name, value)

    @property
    def metainfo(self):
        return dict(self._meta)

    def keys(self):
        return list(self._data)

    def clone(self):
        return type(self)(metainfo=self._meta, **self._data)

    def __contains__(self, name):
        return name in self._data or name in self._meta

    def __getattr__(self, name):
        for fields in ("_data", "_meta"):
            if name in self.__dict__.get(fields, {}):
                return self.__dict__[fields][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name, value):
        if name in self._meta:
            raise AttributeError(f"Cannot set {name} to be a field of data because {name} is already a metainfo field")
        self._data[name] = value


class InstanceData(BaseDataElement):
    """All fields of one length. https://github.com/open-mmlab/mmengine/blob/main/mmengine/structures/instance_data.py"""

    def __len__(self):
        return len(next(iter(self._data.values()))) if self._data else 0

    def __setattr__(self, name, value):
        if len(self):
            assert len(value) == len(self), f"The length of values {len(value)} is not consistent with {len(self)}"
        super().__setattr__(name, value)


class PoseDataSample(BaseDataElement):
    """https://github.com/open-mmlab/mmpose/blob/main/mmpose/structures/pose_data_sample.py"""

    def __setattr__(self, name, value):
        assert not name.endswith("_instances") or isinstance(value, InstanceData)
        super().__setattr__(name, value)


def topdown(keypoints, scores, dataset="coco", image=None):
    """One person's data sample as inference_topdown of MMPose 1.3.2 gave it: visible is the very array of the scores.

    `keypoints` (1, K, 2) and `scores` (1, K) are arrays.
    """
    boxes = np.array([[10.0, 20.0, 100.0, 200.0]] * len(keypoints))
    instances = InstanceData(
        keypoints=keypoints,
        keypoint_scores=scores,
        keypoints_visible=scores,
        bboxes=boxes,
        bbox_scores=np.ones(len(keypoints), np.float32),
    )
    meta = {"img_path": image, "ori_shape": (300, 400), "input_size": (192, 256), "dataset_name": dataset}
    return PoseDataSample(metainfo=meta, gt_instances=InstanceData(bboxes=boxes), pred_instances=instances)


def merge_data_samples(samples):
    """https://github.com/open-mmlab/mmpose/blob/main/mmpose/structures/utils.py"""
    if not samples:
        return PoseDataSample()
    names = samples[0].pred_instances.keys()
    fields = {n: np.concatenate([getattr(s.pred_instances, n) for s in samples]) for n in names}
    return PoseDataSample(metainfo=samples[0].metainfo, pred_instances=InstanceData(**fields))


def split_instances(instances):
    """https://github.com/open-mmlab/mmpose/blob/main/mmpose/structures/utils.py; the box is in a tuple there, too."""
    rows = zip(instances.keypoints, instances.keypoint_scores, instances.bboxes, instances.bbox_scores, strict=True)
    return [
        {"keypoints": k.tolist(), "keypoint_scores": s.tolist(), "bbox": (b.tolist(),), "bbox_score": c}
        for k, s, b, c in rows
    ]


def inferencer(sample, return_datasamples=False):
    """The result for one image: MMPose hands over a defaultdict, with the picture if it was asked for."""
    prediction = sample if return_datasamples else split_instances(sample.pred_instances)
    return defaultdict(list, visualization=[np.zeros((3, 4, 3), np.uint8)], predictions=[prediction])
