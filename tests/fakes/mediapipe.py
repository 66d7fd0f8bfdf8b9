"""MediaPipe's results, as runs with versions 1.2 (the tasks API) and 0.10.14 (the legacy solution) showed them."""

from collections import namedtuple
from dataclasses import dataclass


@dataclass
class NormalizedLandmark:
    """https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/python/components/containers/landmark.py"""

    x: float | None = None
    y: float | None = None
    z: float | None = None
    visibility: float | None = None
    presence: float | None = None
    name: str | None = None


@dataclass
class PoseLandmarkerResult:
    """https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker/python"""

    pose_landmarks: list
    pose_world_landmarks: list
    segmentation_masks: list | None = None


class NormalizedLandmarkList:
    """The legacy solution's protobuf."""

    def __init__(self, landmark):
        self.landmark = landmark


def solution_outputs(**streams):
    """What the legacy solution's process() returns: a named tuple's class, its fields set on the class itself.

    https://github.com/google-ai-edge/mediapipe/blob/v0.10.14/mediapipe/python/solution_base.py
    """
    outputs = namedtuple("SolutionOutputs", streams)
    for name, packet in streams.items():
        setattr(outputs, name, packet)
    return outputs
