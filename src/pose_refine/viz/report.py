"""One HTML page on what refining changed: a before/after slider and a table for each person, the worst first.

The page needs nothing beside itself. Only what it shows is kept while it is made: at most `limit` people's pictures.
"""

import base64
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_refine._types import Bytes, Floats
from pose_refine.files.images import read_image
from pose_refine.files.opencv import told
from pose_refine.files.pose_files import write_whole
from pose_refine.poses import Poses, Refinement
from pose_refine.prepared import heights_of
from pose_refine.skeletons import get_skeleton
from pose_refine.viz.pages import number, render, spoken
from pose_refine.viz.pictures import GUESS, LEFT, MIDDLE, RIGHT, before_and_after

Card = dict[str, Any]  # what the template asks for of one person
VERDICTS = ("moved", "recovered", "missing", "kept")  # in the order of the page's tables
WIDEST, TALLEST = 360, 480  # pixels of a person's picture
LARGEST = 6.0  # times: smaller people are not blown up further
AROUND = 0.15  # of the pose's longer side: what is shown of its surroundings; at least
LEAST_AROUND = 0.04  # of the image's longer side
QUALITY = 75  # of WebP
BIN, BINS = 0.05, 2001  # shifts are counted in steps of 0.05 % of the person's height; the last bin is 100 % and more
NARROW = 0.75  # of a picture's height: a divider would show two halves of a person; both pictures, side by side, do not
BETWEEN = 8  # pixels between these
NO_IDS = (None, -1, [-1])  # the latter is OpenPose's, without tracking
UNKNOWN = 1e9  # ranks people without scores behind all others


class Rank(NamedTuple):
    """How bad a person is: who moved more is worse, then whose least score is lower, then who came earlier.

    Attributes:
        shift: Of all joints together, in percent of the person's height.
        doubt: The least score, negative.
        place: How many people came before, negative.
    """

    shift: float
    doubt: float
    place: int


@dataclass
class Joint:
    """What became of one joint of all people.

    Attributes:
        verdicts: How many people's got which.
        shifts: (BINS,) how many moved how far.
        scores: Sum of the scores after, and how many there are.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    shifts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @property
    def median_shift(self) -> float:
        """In percent of the person's height, kept joints included; NaN where there are none."""
        total = self.shifts.cumsum()
        return float(np.searchsorted(total, total[-1] / 2) * BIN) if total[-1] else float("nan")

    @property
    def moved(self) -> float:
        """Percent of those that were there before and after; NaN where there are none."""
        there = self.verdicts["moved"] + self.verdicts["kept"]
        return 100 * self.verdicts["moved"] / there if there else float("nan")

    @property
    def mean_score(self) -> float:
        """After; NaN where there are none."""
        return float(self.scores[0] / self.scores[1]) if self.scores[1] else float("nan")


@dataclass
class Totals:
    """What became of everybody.

    Attributes:
        images: Number of images.
        people: Number of people, those that the page has no room for included.
        joints: By name; of all skeletons that occur.
    """

    images: int = 0
    people: int = 0
    joints: dict[str, Joint] = field(default_factory=dict)

    def add(self, result: Refinement) -> None:
        """One more image."""
        self.images += 1
        self.people += len(result.poses)
        shares = shares_of(result)
        for k, name in enumerate(get_skeleton(result.poses.skeleton).joints):
            joint = self.joints.setdefault(name, Joint())
            joint.verdicts.update(result.verdict[:, k].tolist())
            moved, scores = (v[~np.isnan(v)] for v in (shares[:, k], result.poses.scores[:, k]))
            joint.shifts += np.bincount(np.minimum(moved / BIN, BINS - 1).astype(int), minlength=BINS)
            joint.scores += scores.sum(), len(scores)

    @property
    def verdicts(self) -> Counter[str]:
        """How many joints got which verdict."""
        return sum((joint.verdicts for joint in self.joints.values()), Counter())


def write_report(
    entries: Iterable[tuple[str, Bytes, Refinement]],
    path: Path | str,
    *,
    title: str = "Poses before and after",
    limit: int = 100,
) -> Totals:
    """Write one self-contained HTML page on what refining changed; replaces `path`.

    Args:
        entries: Name of an image, the image as (H, W, 3) uint8 RGB, and what became of its people. Gone through once;
            nothing of an entry is kept but what the page shows.
        path: The page to write.
        title: Its heading.
        limit: At most so many people get a picture and a table, those that changed most; all of them are counted.

    Returns:
        The figures of the page.

    Raises:
        ValueError: `limit` is not positive, an image is not as it should be, or there is nobody to show: no page is
            written then.
    """
    if limit < 1:
        raise ValueError(f"limit: expected at least 1, got {limit}")
    totals = Totals()
    worst: list[tuple[Rank, Card]] = []  # a heap; the least changed first
    for name, image, result in entries:
        read_image(image, "rgb")  # checks it
        ranks = ranks_of(result, totals.people)
        totals.add(result)
        for person, rank in enumerate(ranks):
            if len(worst) < limit:
                heapq.heappush(worst, (rank, card(name, image, result, person, rank)))
            elif rank > worst[0][0]:
                heapq.heapreplace(worst, (rank, card(name, image, result, person, rank)))
    if not totals.people:
        raise ValueError(f"nobody in {totals.images} images, before or after: no page is written")
    cards = [shown for _, shown in sorted(worst, reverse=True)]
    write_whole(Path(path), page(title, totals, cards).encode(errors="backslashreplace"))
    return totals


def shares_of(result: Refinement) -> NDArray[np.float64]:
    """(N, K) shifts in percent of the person's height; NaN where there is none."""
    shares: NDArray[np.float64] = result.shift * (100.0 / heights_of(result.poses)[:, None])
    return shares


def ranks_of(result: Refinement, first: int) -> list[Rank]:
    """How bad each person of an image is; `first` is how many people came before."""
    shifts = np.nan_to_num(shares_of(result)).sum(1).tolist()
    doubts = (-np.where(np.isnan(result.poses.scores), UNKNOWN, result.poses.scores).min(1)).tolist()
    return [Rank(shift, doubt, -first - i) for i, (shift, doubt) in enumerate(zip(shifts, doubts, strict=True))]


def cut_out(image: Bytes, points: Floats) -> tuple[Bytes, Floats, Floats]:
    """The part of an image with these points, at the page's size.

    Args:
        image: (H, W, 3).
        points: (P, 2) x, y; NaN where missing. What lies outside the image is not shown.

    Returns:
        The part (h, w, 3), and scale (2,) and offset (2,): a point is at scale * point + offset in it.
    """
    size = np.array(image.shape[1::-1])
    there = np.clip(points[~np.isnan(points).any(-1)], 0, size - 1)
    margin = max(AROUND * float(np.ptp(there, axis=0).max()), LEAST_AROUND * float(size.max()), 1.0)
    low = np.maximum(np.floor(there.min(0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(there.max(0) + margin) + 1, size).astype(int)
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    widest = (WIDEST - BETWEEN) / 2 if part.shape[1] < NARROW * part.shape[0] else WIDEST
    factor = min(widest / part.shape[1], TALLEST / part.shape[0], LARGEST)
    wanted = np.maximum(np.round(np.array(part.shape[1::-1]) * factor), 1).astype(int)
    resized = cv2.resize(part, wanted.tolist(), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    scale = (wanted / (high - low)).astype(np.float32)
    return resized.astype(np.uint8, copy=False), scale, (0.5 - low) * scale - np.float32(0.5)


def pictures(image: Bytes, result: Refinement, person: int) -> list[Bytes]:
    """One person before and after; none where there are no joints at all."""
    both = [result.initial, result.poses]
    points = np.concatenate([poses.keypoints[person] for poses in both])
    if np.isnan(points).all():
        return []
    part, scale, offset = cut_out(image, points)
    rows = slice(person, person + 1)
    before, after = (Poses(p.keypoints[rows] * scale + offset, p.scores[rows], p.skeleton) for p in both)
    return list(before_and_after(part, before, after))


def data_uri(picture: Bytes) -> str:
    with told("a person's picture"):
        _, data = cv2.imencode(".webp", np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()


def card(name: str, image: Bytes, result: Refinement, person: int, rank: Rank) -> Card:
    """What the page shows of one person."""
    who = f"person {person + 1} of {len(result.poses)}"
    known = result.poses.ids[person] if result.poses.ids is not None else None
    if known not in NO_IDS:
        who += f", id {known}"
    counts = Counter(result.verdict[person].tolist())
    return {
        "name": name,
        "who": who,
        "rank": rank,
        "verdicts": {v: counts[v] for v in VERDICTS if counts[v]},
        "furthest": furthest(result, person),
        "rows": joint_rows(result, person),
        **slider(pictures(image, result, person)),
    }


def slider(both: list[Bytes]) -> Card:
    """Two pictures with a divider between them; side by side where they are narrow."""
    if not both:
        return {"pictures": {}}
    height, width = both[0].shape[:2]
    narrow = width < NARROW * height
    return {
        "pictures": {when: data_uri(picture) for when, picture in zip(("before", "after"), both, strict=True)},
        "width": width,
        "height": height,
        "narrow": narrow,
        "widest": 2 * width + BETWEEN if narrow else width,
    }


def furthest(result: Refinement, person: int) -> str:
    """The largest moves in words."""
    shares, joints = shares_of(result)[person], get_skeleton(result.poses.skeleton).joints
    moved = [k for k in np.argsort(-np.nan_to_num(shares)) if result.verdict[person, k] == "moved"][:2]
    told = [f"{spoken(joints[k])} {result.shift[person, k]:.1f}\u00a0px ({shares[k]:.1f}\u00a0%)" for k in moved]
    return ", ".join(told) or "all joints"


def joint_rows(result: Refinement, person: int) -> list[tuple[str, str, list[str]]]:
    """What moved and how far: joint, verdict and figures; the furthest first, what was kept last."""
    shares, verdicts = shares_of(result)[person], result.verdict[person]
    order = sorted(range(len(verdicts)), key=lambda k: (VERDICTS.index(verdicts[k]), -np.nan_to_num(shares[k]).item()))
    joints = get_skeleton(result.poses.skeleton).joints
    rows = []
    for k in order:
        scores = [number(poses.scores[person, k]) for poses in (result.initial, result.poses)]
        cells = [number(result.shift[person, k], 1), number(shares[k], 1), *scores]
        rows.append((spoken(joints[k]), verdicts[k], cells))
    return rows


def page(title: str, totals: Totals, cards: list[Card]) -> str:
    """The whole page."""
    left, right, middle = ("#{:02x}{:02x}{:02x}".format(*color) for color in (LEFT, RIGHT, MIDDLE))
    return render(
        "report.html",
        title=title,
        tiles=tiles(totals),
        totals=totals,
        verdicts=VERDICTS,
        cards=cards,
        guess=GUESS,
        left=left,
        right=right,
        middle=middle,
    )


def tiles(totals: Totals) -> list[tuple[str, str, str]]:
    """The figures on top."""
    counts, joints = totals.verdicts, totals.verdicts.total()
    shares = {v: f" {100 * counts[v] / joints:.1f} %" if joints else "" for v in VERDICTS}
    figures = [("images", f"{totals.images:,}", ""), ("people", f"{totals.people:,}", "")]
    return figures + [(f"joints {v}", f"{counts[v]:,}", shares[v]) for v in VERDICTS]
