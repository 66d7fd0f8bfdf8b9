"""Poses of the people in one image, and what refining changed."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose_refine._types import AnyArray, Floats, Shape
from pose_refine.skeletons import AnySkeleton, convert, get_skeleton, joint_name, known_as

if TYPE_CHECKING:
    import supervision  # type: ignore[import-not-found,import-untyped,unused-ignore]


# The methods that know formats import them when they are called: every format is built upon this module.
@dataclass(frozen=True, eq=False, repr=False)
class Poses:
    """The people of one image: a sequence of them, so that `poses[0]`, `poses[1:3]` and `poses[mask]` are Poses, too.

    Attributes:
        keypoints: (N, K, 2) float32 x, y in image pixels, an integer being a pixel's centre; NaN where missing.
        scores: (N, K) float32, whatever the source gave; after refining P(joint within its OKS-0.85 radius).
        skeleton: What the K joints are: a name, e.g. "coco17", or a Skeleton of your own.
        ids: One identity a person, or None; always a list of its own.

    Raises:
        TypeError: Keypoints or scores that are no arrays; neither a skeleton's name nor a Skeleton.
        ValueError: Shapes that do not fit together or the skeleton, values that are not numbers, infinite values; no
            such skeleton.

    Examples:
        >>> poses = Poses(np.zeros((1, 17, 2)), np.ones((1, 17)), "coco17")
        >>> poses
        Poses(1 person, coco17, 17 of 17 joints, scores 1.00 to 1.00)
        >>> poses.joint("left_wrist")
        array([[0., 0., 1.]], dtype=float32)
        >>> poses.to("mpii16")[poses.scores.mean(1) > 0.5]
        Poses(1 person, mpii16, 14 of 16 joints, scores 1.00 to 1.00)
    """

    keypoints: Floats
    scores: Floats
    skeleton: AnySkeleton
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
        object.__setattr__(self, "skeleton", known_as(self.skeleton))
        object.__setattr__(self, "keypoints", keypoints)
        object.__setattr__(self, "scores", scores)
        if self.ids is not None:
            own = self.ids.tolist() if isinstance(self.ids, np.ndarray) else list(self.ids)
            object.__setattr__(self, "ids", own)

    @classmethod
    def from_any(
        cls, poses: Any, *, skeleton: AnySkeleton | None = None, format: str | None = None, shape: Shape | None = None
    ) -> "Poses":
        """What an estimator gave, or a path to JSON or .npy, as Poses.

        Args:
            poses: Any format that `refine` takes.
            skeleton: Which joints these are, where the format and their number do not say.
            format: Name of the format; by default it is recognised.
            shape: Height and width of the image, for formats with coordinates in [0, 1].

        Raises:
            FileNotFoundError: A path that is not there.
            TypeError: No format that is known.
            ValueError: A known format that is not as it should be, or not the one or the skeleton that was named.
        """
        from pose_refine import formats

        return formats.read(formats.load(poses), skeleton, format=format, shape=shape)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __repr__(self) -> str:
        people = f"{len(self)} {'person' if len(self) == 1 else 'people'}"
        known = self.scores[~np.isnan(self.scores)]
        scores = f"scores {known.min():.2f} to {known.max():.2f}" if known.size else "no scores"
        ids = "" if self.ids is None else f", ids {self.ids!s:.60}"
        return f"Poses({people}, {self.skeleton}, {self.present.sum()} of {self.scores.size} joints, {scores}{ids})"

    def __getitem__(self, people: int | slice | Sequence[int] | AnyArray) -> "Poses":
        """Some of the people, by number, slice, a list of numbers or a mask (N,).

        Raises:
            IndexError: There are no such people.
            TypeError: More than people are asked for.
        """
        if isinstance(people, tuple):
            raise TypeError(f"poses[...] are people; expected a number, a slice or a mask, got {people!r}")
        rows = np.atleast_1d(np.arange(len(self))[people])
        if rows.ndim > 1:
            raise TypeError(f"poses[...] are people; expected a number, a slice or a mask (N,), got {people!r}")
        ids = None if self.ids is None else [self.ids[row] for row in rows]
        return Poses(self.keypoints[rows], self.scores[rows], self.skeleton, ids)

    def __iter__(self) -> "Iterator[Poses]":
        """One person after the other, as Poses of one."""
        return (self[row] for row in range(len(self)))

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        """For numpy, which would else take apart persons of persons."""
        return self.to_array().astype(dtype or np.float32, copy=False)

    def to_array(self) -> Floats:
        """(N, K, 3) float32 x, y, score; NaN where missing or not known."""
        return np.concatenate([self.keypoints, self.scores[..., None]], -1)

    def joint(self, name: str) -> Floats:
        """(N, 3) x, y, score of one joint of everybody, NaN where missing.

        Args:
            name: As the skeleton calls it; "LWrist" and "left wrist" are "left_wrist".

        Raises:
            ValueError: The skeleton has no such joint.
        """
        joints = get_skeleton(self.skeleton).joints
        known = name if name in joints else joint_name(name)
        if known not in joints:
            raise ValueError(f"no joint {name!r} in {self.skeleton}; it has {', '.join(joints)}")
        return self.to_array()[:, joints.index(known)]

    def to(self, skeleton: AnySkeleton) -> "Poses":
        """The same people in another skeleton: joints by name, the middles of others (neck, pelvis) computed; those
        that are not known are missing.

        Raises:
            TypeError: Neither a skeleton's name nor a Skeleton.
            ValueError: No such skeleton.
        """
        values = convert(self.to_array(), get_skeleton(self.skeleton), get_skeleton(skeleton))
        return Poses(values[..., :2], values[..., 2], skeleton, self.ids)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: "skeleton", "joints" (their names), "keypoints", "scores" and "ids"; None where a joint
        is missing or a score not known."""
        places = [[[float(v) for v in xy] if xy[0] == xy[0] else None for xy in own] for own in self.keypoints]
        scores = [[float(s) if s == s else None for s in own] for own in self.scores]
        names = get_skeleton(self.skeleton)
        ids = None if self.ids is None else [identity(i) for i in self.ids]
        return {"skeleton": names.name, "joints": list(names.joints), "keypoints": places, "scores": scores, "ids": ids}

    def as_coco(self, *, image_id: int | str | None, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO results, as pycocotools loads them: a dict a person, with "track_id" where there is an identity.

        A joint whose score is not known gets 1: 0 would say that it is missing. A person's "score" is the mean of the
        joints that are there.
        """
        from pose_refine.formats import coco

        return coco.new(self, image_id, category_id)

    def as_openpose(self) -> dict[str, Any]:
        """OpenPose's JSON of one frame, in its own skeletons (body25, coco18, mpi15); others become body25."""
        from pose_refine.formats import openpose

        return openpose.new(self)

    def as_supervision(self) -> "supervision.KeyPoints":
        """supervision's KeyPoints; identities are in its `data["ids"]`.

        Raises:
            ImportError: supervision is not installed.
        """
        from pose_refine.formats import supervision

        return supervision.new(self)


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


def identity(value: Any) -> Any:
    """What tells somebody apart, as plain Python; None where formats and trackers say that nobody is known.

    Numbers of numpy and torch become Python's, a list of one its element, a whole float an int; -1, NaN and what is
    empty tell nobody.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return identity(value[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    empty = value is None or (isinstance(value, (str, list, tuple)) and not value) or value != value
    if empty or value == -1:
        return None
    return value if isinstance(value, Hashable) else repr(value)


def as_floats(values: AnyArray, name: str) -> Floats:
    """A float32 copy; NaN where a masked array is masked.

    Raises:
        TypeError: Not an array.
        ValueError: Not numbers, or infinite ones.
    """
    if not isinstance(values, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array, got {type(values).__name__}")
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected numbers, got dtype {values.dtype}")
    if isinstance(values, np.ma.MaskedArray):  # what lies under the mask is nobody's number
        values = np.ma.filled(values.astype(np.float64), np.nan)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and is named as such below
        floats = values.astype(np.float32)
    if np.isinf(floats).any():
        raise ValueError(f"{name}: expected finite numbers or NaN for a missing joint, got Inf")
    return floats
