"""OpenPose's Python API, which has to be built."""

import numpy as np


class Datum:
    """The fields of a Datum that say something of poses, as a plain object that can be copied.

    Schema: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/python/openpose/openpose_python.cpp
    """

    def __init__(self, keypoints=None, ids=None):
        self.poseKeypoints = keypoints
        self.poseIds = ids
        self.poseScores = np.ones(2, np.float32)
        self.handKeypoints = [np.ones((1, 21, 3), np.float32)] * 2
        self.faceKeypoints = np.ones((1, 70, 3), np.float32)


class BoundDatum(Datum):
    """As pybind11 binds it: copy.copy of one of its objects was seen to raise this TypeError."""

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'pyopenpose.Datum' object")
