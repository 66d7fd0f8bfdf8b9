"""Frames of a video on their way, and the network's looks at them."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_refine._types import AnyArray, Bytes, Floats
from pose_refine.crops.batches import Scene
from pose_refine.nn.predictor import AGREED, Predictor
from pose_refine.prepared import PreparedPoses
from pose_refine.skeletons import NETWORK

JOINTS = len(NETWORK.joints)
Pair = tuple[Bytes | None, str, Any]  # an image or None, the order of its channels, what was given for it
Asked = tuple["Frame", Scene, AnyArray]  # a frame, and whom to show of it, and how


@dataclass
class Frame:
    """One frame on its way.

    Attributes:
        index: Its number, from 0.
        image: uint8 (H, W, 3), None where it does not decode.
        order: Of the channels.
        given: What came for it, of any format; None for nothing.
        prepared: Its poses.
        ids: (N,) identities.
        new: (N,) whether they are ours.
        tracks: (R,) what tells the tracks of the people who have a joint apart.
        shape: Height and width of the image.
        known: (R, 19, 2) the joints that came, as the network knows them.
        found: (R, 19, 3) the network's joints x, y, score; NaN where it has not looked.
        result: (R, 19, 3) what time made of that.
    """

    index: int
    image: Bytes | None
    order: str
    given: Any
    prepared: PreparedPoses
    ids: list[Any]
    shape: tuple[int, int]
    new: list[bool] = field(default_factory=list)
    tracks: list[Hashable] = field(default_factory=list)
    known: Floats = field(default_factory=lambda: np.empty((0, JOINTS, 2), np.float32))
    found: Floats = field(default_factory=lambda: np.empty((0, JOINTS, 3), np.float32))
    result: Floats = field(default_factory=lambda: np.empty((0, JOINTS, 3), np.float32))

    def best(self) -> Floats:
        """(R, 19, 2) what was found, or else what came."""
        return np.where(np.isnan(self.found[..., :2]), self.known, self.found[..., :2])


@dataclass(frozen=True)
class FramePredictor:
    """The network's answers, remembered where a run goes on after an interruption.

    Attributes:
        predictor: Runs the network.
        batch_size: At most so many people at once.
        known: Answers of an earlier run by frame and look, "12 first", as nested lists.
        tell: Called with the name and content of each new answer.
    """

    predictor: Predictor
    batch_size: int
    known: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[str, Floats], None] | None = None

    def predict(self, asked: Sequence[Asked], name: str) -> list[Floats]:
        """What `Predictor.predict` says of the people shown, (R, 19, 5), one array for each of `asked`."""
        out = [self._remembered(f"{frame.index} {name}", len(rows)) for frame, _, rows in asked]
        new = [n for n, found in enumerate(out) if found is None]
        scenes = [asked[n][1:] for n in new]
        for n, found in zip(new, self.predictor.predict(scenes, self.batch_size), strict=True):
            out[n] = found
            if self.tell:
                self.tell(f"{asked[n][0].index} {name}", found)
        return [found for found in out if found is not None]

    def _remembered(self, name: str, count: int) -> Floats | None:
        if name not in self.known:
            return None
        return np.array(self.known[name], dtype=np.float32).reshape(count, JOINTS, AGREED.stop)
