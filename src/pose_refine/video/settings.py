"""What a video is refined with."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from pose_refine.arguments import Mode, Smooth, believed, integer
from pose_refine.skeletons import AnySkeleton

MODES = get_args(Mode)
FILTERS = (None, *get_args(Smooth))
AHEAD = 8  # frames
LOOKS_AGAIN = 0.05  # of the people: what the second looks may cost
SURE = 0.7  # PoseRefiner's threshold for tracking (Fieraru et al. 2018)


@dataclass(frozen=True)
class Settings:
    """What `Refiner.refine_video` takes beside frames and poses; see there."""

    skeleton: AnySkeleton | None = None
    format: str | None = None
    to: AnySkeleton | None = None
    fps: float | None = None
    mode: Mode = "map"
    threshold: float = SURE
    smooth: Smooth | None = None
    ahead: int = AHEAD
    passes: int = 1
    recover: bool = True
    batch_size: int = 64
    trust: float | None = None
    again: float = LOOKS_AGAIN

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {self.mode!r}")
        if self.smooth not in FILTERS:
            raise ValueError(f"smooth must be one of {FILTERS}, got {self.smooth!r}")
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise ValueError(f"fps: expected frames a second, more than 0, got {self.fps!r}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold: expected a probability, got {self.threshold!r}")
        if self.passes not in (1, 2):
            raise ValueError(f"passes must be 1 or 2, got {self.passes!r}")
        believed(self.trust)
        for name, least in (("ahead", 0), ("batch_size", 1)):
            object.__setattr__(self, name, integer(name, getattr(self, name), least))
