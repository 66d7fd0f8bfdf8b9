"""supervision's KeyPoints, new and old: fields as a run with version 0.29 showed them."""

import warnings
from dataclasses import dataclass, field

import numpy as np


@dataclass
class KeyPoints:
    """Since 0.29. Source: https://supervision.roboflow.com/latest/keypoint/core/"""

    xy: np.ndarray
    class_id: np.ndarray | None = None
    keypoint_confidence: np.ndarray | None = None
    detection_confidence: np.ndarray | None = None
    visible: np.ndarray | None = None
    data: dict = field(default_factory=dict)

    @property
    def confidence(self):
        warnings.warn("'KeyPoints.confidence' is deprecated since 0.29.0", DeprecationWarning, stacklevel=2)
        return self.keypoint_confidence


@dataclass
class OldKeyPoints:
    """Before 0.29."""

    xy: np.ndarray
    class_id: np.ndarray | None = None
    confidence: np.ndarray | None = None
    data: dict = field(default_factory=dict)
