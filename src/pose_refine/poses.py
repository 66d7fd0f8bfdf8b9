"""Poses of the people in one image, and what refining changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats
from pose_refine.skeletons import get_skeleton


@dataclass(frozen=True, eq=False)
class Poses:
    """The people of one image.

    Attributes:
        keypoints: (N, K, 2) float32 x, y in image pixels, an integer being a pixel's centre; NaN where missing.
        scores: (N, K) float32, whatever the source gave; after refining P(joint within its OKS-0.85 radius).
        skeleton: Name of the skeleton that says what the K joints are, e.g. "coco17".
        ids: One identity a person, or None; always a list of its own.

    Raises:
        ValueError: Shapes that do not fit together or the skeleton, values that are not numbers, infinite values.

    Examples:
        >>> poses = Poses(np.zeros((1, 17, 2)), np.ones((1, 17)), "coco17")
        >>> len(poses)
        1
    """

    keypoints: Floats
    scores: Floats
    skeleton: str
    ids: Sequence[object] | None = None

    def __post_init__(self) -> None:
        joints = len(get_skeleton(self.skeleton).joints)
        keypoints = as_floats(self.keypoints, "keypoints")
        scores = as_floats(self.scores, "scores")
        if keypoints.ndim != 3 or keypoints.shape[1:] != (joints, 2):
            raise ValueError(f"keypoints: expected shape (N, {joints}, 2) for {self.skeleton}, got {keypoints.shape}")
        if scores.shape != keypoints.shape[:2]:
            raise ValueError(f"scores: expected shape {keypoints.shape[:2]}, got {scores.shape}")
        if self.ids is not None and len(self.ids) != len(keypoints):
            raise ValueError(f"ids: expected {len(keypoints)}, one a person, got {len(self.ids)}")
        keypoints[np.isnan(keypoints).any(-1)] = np.nan
        object.__setattr__(self, "keypoints", keypoints)
        object.__setattr__(self, "scores", scores)
        if self.ids is not None:
            own = self.ids.tolist() if isinstance(self.ids, np.ndarray) else list(self.ids)
            object.__setattr__(self, "ids", own)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __eq__(self, other: object) -> bool:
        """Whether all is the same, missing joints and unknown scores included."""
        if not isinstance(other, Poses):
            return NotImplemented
        arrays = (self.keypoints, other.keypoints), (self.scores, other.scores)
        same = all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)
        return same and self.skeleton == other.skeleton and self.ids == other.ids

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, K), True where there is a joint."""
        return ~np.isnan(self.keypoints[..., 0])


@dataclass(frozen=True, eq=False)
class Refinement:
    """What refining changed.

    Attributes:
        poses: The refined poses.
        initial: The poses that came in, in the same skeleton as `poses`.
        shift: (N, K) float32, image pixels that each joint moved; NaN where there was none before or is none after.
        verdict: (N, K) strings: "kept", "moved" (by more than 1 % of the person's box height), "recovered" (was
            missing), "missing" (still is).
    """

    poses: Poses
    initial: Poses
    shift: Floats
    verdict: NDArray[np.str_]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Refinement):
            return NotImplemented
        same = self.poses == other.poses and self.initial == other.initial
        return same and np.array_equal(self.shift, other.shift, equal_nan=True)  # which tell the verdict


def as_floats(values: AnyArray, name: str) -> Floats:
    """A float32 copy.

    Raises:
        TypeError: Not an array.
        ValueError: Not numbers, or infinite ones.
    """
    if not isinstance(values, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array, got {type(values).__name__}")
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected numbers, got dtype {values.dtype}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and is named as such below
        floats = values.astype(np.float32)
    if np.isinf(floats).any():
        raise ValueError(f"{name}: expected finite numbers or NaN for a missing joint, got Inf")
    return floats
