"""Ultralytics' Results: attributes as a run with version 8.4 showed them."""

from functools import cached_property

import torch


class Keypoints:
    """`xy` and `conf` are views of `data`, cached as there."""

    def __init__(self, data, orig_shape):
        self.data, self.orig_shape = data, orig_shape

    @cached_property
    def xy(self):
        return self.data[..., :2]

    @cached_property
    def conf(self):
        return self.data[..., 2] if self.data.shape[2] == 3 else None


class Boxes:
    """Six columns, or seven with a track id."""

    def __init__(self, data):
        self.data = data

    @property
    def id(self):
        return self.data[:, 4] if self.data.shape[1] == 7 else None


class Results:
    """Of one image. Sources: https://docs.ultralytics.com/reference/engine/results/"""

    def __init__(self, keypoints, *, ids=None):
        columns = torch.zeros(0 if keypoints is None else len(keypoints), 6 if ids is None else 7)
        if ids is not None:
            columns[:, 4] = torch.tensor(ids)
        self.orig_shape = (512, 512)
        self.boxes, self.names, self.speed = Boxes(columns), {0: "person"}, {"inference": 1.0}
        self.keypoints = None if keypoints is None else Keypoints(keypoints, self.orig_shape)

    def __len__(self):
        return len(self.boxes.data)
