"""Video: what one frame cannot know, the frames around it may.

A fit through the frames around tells where each joint should be (smoothing.robust_fit). Every second frame is refined
as a photograph; in those between, the fit through these is the pose that the network is shown instead of the
estimator's: it is right more often when it is told what time knows, and a frame costs no more than a photograph. (With
two passes, both are done at every frame.) People whom the fit contradicts most are looked at again; joints that jump
even so come back to it. A few frames are held at a time, whatever the length of the video.
"""

import logging
from collections.abc import Hashable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_refine import formats
from pose_refine._types import AnyArray, Floats
from pose_refine.arguments import Color, believed
from pose_refine.crops.batches import Picture, Scene, closer_looks
from pose_refine.crops.geometry import where_to_cut
from pose_refine.files.ahead import said_of, until_error
from pose_refine.formats.common.identities import told_apart, tracks_of, write_ids
from pose_refine.nn.predictor import AGREED, RESULT, Predictor
from pose_refine.poses import Poses, Refinement, identity
from pose_refine.prepared import compare, finish, hand_back, prepare_poses
from pose_refine.skeletons import NETWORK, RIVALS, AnySkeleton, get_skeleton, known_joints, like_a_body
from pose_refine.video.frames import END, Frames, frame_rate, pair
from pose_refine.video.linking import Linker, parts
from pose_refine.video.settings import AHEAD, Settings
from pose_refine.video.shots import shots
from pose_refine.video.smoothing import OneEuro, robust_fit, steady, unit_of, width_of
from pose_refine.video.stages import JOINTS, Asked, Frame, FramePredictor, Pair

log = logging.getLogger("pose_refine")
USUAL_FPS = 30.0  # where nobody says
KEY = 2  # every so many frames one is refined as a photograph
UNKNOWN_SHAPE = (1 << 14, 1 << 14)  # of broken frames before the first good one
WORTH = 0.3  # a fit that is less sure is no hint
CONTRADICTED = 2.0  # OKS units: a joint this far from the fit is worth a second look


def refine_frames(
    predictor: Predictor,
    frames: Frames,
    poses: Any,
    ids: Iterable[Sequence[Any] | None] | None,
    settings: Settings,
    *,
    color: Color,
    first: int,
    progress: bool,
) -> Iterator[tuple[Frame, Refinement]]:
    """What `Refiner.refine_video` and `analyze_video` yield, before it is written; see there.

    What is wrong with the arguments themselves is told here, not when the first frame is asked for.
    """
    rate = settings.fps or frame_rate(frames)
    pairs = pair(frames, poses, color, first)
    total = len(frames) if isinstance(frames, Sized) and not isinstance(frames, str) else None
    results = analyze_frames(FramePredictor(predictor, settings.batch_size), pairs, ids, replace(settings, fps=rate))
    return iter(tqdm(results, desc="refine", unit="frame", total=total, disable=not progress))


def analyze_frames(
    predictor: FramePredictor, pairs: Iterable[Pair], ids: Iterable[Sequence[Any] | None] | None, settings: Settings
) -> Iterator[tuple[Frame, Refinement]]:
    """Refine the frames of a video; see `Refiner.refine_video`."""
    fps, errors = settings.fps or USUAL_FPS, list[Exception]()
    frames = link(first_looks(predictor, until_error(read(pairs, ids, settings), errors), settings), fps)
    settled = settle(predictor, frames, settings)
    for frame in one_euro(settled, fps) if settings.smooth == "one_euro" else settled:
        yield frame, finished(frame, settings)
    if errors:
        raise errors[0]


def read(pairs: Iterable[Pair], ids: Iterable[Sequence[Any] | None] | None, settings: Settings) -> Iterator[Frame]:
    """Frames with their poses and the identities that are known.

    Raises:
        ValueError: Poses of a frame that are not as they should be, or identities that are not one a person.
    """
    named = iter(ids) if ids is not None else None
    shape, index, skeleton = UNKNOWN_SHAPE, -1, None
    for index, (image, order, given) in enumerate(pairs):
        if image is not None:
            shape = image.shape[0], image.shape[1]
        try:
            given = formats.load(given)
            poses = poses_of(given, shape, settings, skeleton)
            skeleton = poses.skeleton if given is not None and poses.present.any() else skeleton
            known = tracks_of(given, poses) if named is None else check_ids(next(named), len(poses))
            prepared = prepare_poses(poses, settings.to, shape)
        except StopIteration:
            raise ValueError(f"ids for {index} frames, but there are more") from None
        except (ValueError, TypeError) as error:
            raise said_of(f"frame {index}", error) from error
        yield Frame(index, image, order, given, prepared, known, shape)
    if named is not None and next(named, END) is not END:
        raise ValueError(f"ids for more frames than the {index + 1} that there are")


def poses_of(given: Any, shape: tuple[int, int], settings: Settings, before: AnySkeleton | None = None) -> Poses:
    """A frame's poses; where limbs tell the skeleton, and tell too little, it is that of the frames `before`."""
    if given is not None:
        poses = formats.read(given, settings.skeleton, format=settings.format, shape=shape)
        rivals = settings.skeleton is None and before is not None and RIVALS.get(str(poses.skeleton)) == before
        if rivals and not isinstance(given, Poses) and like_a_body(poses.keypoints, str(before)) == before:
            return formats.read(given, before, format=settings.format, shape=shape)
        return poses
    name = settings.skeleton or "coco17"
    joints = len(get_skeleton(name).joints)
    return Poses(np.empty((0, joints, 2), np.float32), np.empty((0, joints), np.float32), name, [])


def check_ids(ids: Sequence[Any] | None, count: int) -> list[Any]:
    """Raises ValueError where `ids` are not one a person."""
    found = [None] * count if ids is None else [identity(i) for i in ids]
    if len(found) != count:
        raise ValueError(f"ids: expected {count}, one a person, got {len(found)}")
    return found


def first_looks(predictor: FramePredictor, frames: Iterable[Frame], settings: Settings) -> Iterator[Frame]:
    """Key frames as photographs; several at once, so that batches fill."""
    for chunk in chunks(frames, KEY * (settings.ahead // KEY) or 1):
        asked: list[Asked] = []
        for frame in chunk:
            people = len(frame.prepared.rows)
            frame.found = np.full((people, JOINTS, 3), np.nan, np.float32)
            if people:
                frame.known, shown, matrices = frame.prepared.where_to_cut(frame.shape)
                if frame.image is not None and (settings.passes == 2 or frame.index % KEY == 0):
                    scene = scene_of(frame, frame.known, shown, matrices, settings)
                    asked.append((frame, scene, np.arange(people)))
        answers = predictor.predict(asked, "first")
        for (frame, *_), found in zip(asked, answers, strict=True):
            frame.found = found[..., RESULT]
        look_closer(predictor, asked, [found[..., AGREED] for found in answers])
        yield from chunk


def scene_of(frame: Frame, initial: Floats, shown: Floats, matrices: Floats, settings: Settings) -> Scene:
    """What the network is to see of a frame's people; arguments as of `Scene`."""
    assert frame.image is not None  # nobody is shown of a frame without one
    picture, trust = Picture(frame.image, frame.order), believed(settings.trust)
    return Scene(picture, initial, shown, matrices, frame.prepared.mpii, trust)


def look_closer(predictor: FramePredictor, asked: list[Asked], agreed: list[Floats]) -> None:
    """As at photographs, at those whose poses were far off from what is agreed upon, (R, 19, 2) of each."""
    again = closer_looks([scene for _, scene, _ in asked], agreed)
    far = [(asked[n][0], scene, rows) for n, scene, rows in again]
    for (frame, _, rows), found in zip(far, predictor.predict(far, "closer"), strict=True):
        frame.found = frame.found.copy()
        frame.found[rows] = found[..., RESULT]


def chunks(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    chunk: list[Frame] = []
    for frame in frames:
        chunk.append(frame)
        if len(chunk) == size:
            yield chunk
            chunk = []
    yield chunk


def link(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """Identities for people without, and tracks, which end with their shot.

    An identity that occurs twice in a frame tells nobody apart, and is no identity from then on.
    """
    linker, doubted, last = Linker(fps), set[str](), 0
    for shot, frame in shots(frames):
        if shot > last:
            linker.forget()
        before, last = len(doubted), shot
        frame.ids = told_apart(frame.ids, doubted)
        if doubted and not before:
            log.warning(
                "frame %d: id %s occurs more than once in it; people who are called so are linked as if they had none",
                frame.index,
                min(doubted),
            )
        frame.new = [i is None for i in frame.ids]
        poses = np.full((len(frame.ids), JOINTS, 2), np.nan, np.float32)
        poses[frame.prepared.rows] = frame.best()
        frame.ids = linker.link(frame.index, poses, frame.ids, doubted)
        # ours and a tracker's may be spelt alike, and one person's may be another's in the next shot
        frame.tracks = [(shot, frame.new[row], repr(frame.ids[row])) for row in frame.prepared.rows]
        yield frame


def windows(frames: Iterable[Frame], ahead: int) -> Iterator[tuple[list[Frame], slice]]:
    """Some frames to settle, as a slice, among those before and after that tell of them."""
    held: list[Frame] = []
    start, step = 0, max(1, ahead)
    for frame in frames:
        held.append(frame)
        if len(held) - start == step + ahead:
            yield held, slice(start, start + step)
            start += step
            del held[: max(0, start - AHEAD)]
            start = min(start, AHEAD)
    if start < len(held):
        yield held, slice(start, len(held))


def settle(predictor: FramePredictor, frames: Iterable[Frame], settings: Settings) -> Iterator[Frame]:
    """What the frames around tell: looks with hints, joints that come back, and smoothing without delay."""
    budget, width = 0.0, width_of(settings.fps or USUAL_FPS)
    for held, now in windows(frames, settings.ahead):
        tracks = Tracks(held, width)
        look_with_hints(predictor, tracks, now, settings)
        budget += settings.again * sum(len(frame.tracks) for frame in held[now])
        budget -= look_again(predictor, tracks, now, int(budget), settings) if budget >= 1 else 0
        tracks.steady(now, settings.smooth == "zero_phase")
        for frame in held[now]:
            yield frame
            frame.image = None  # it is large


def torn(frames: Sequence[Frame]) -> list[list[Hashable]]:
    """The names of each frame's tracks, and of which of their `linking.parts` it is."""
    where: dict[Hashable, list[tuple[int, int]]] = {}
    for t, frame in enumerate(frames):
        for row, name in enumerate(frame.tracks):
            where.setdefault(name, []).append((t, row))
    best = [frame.best() for frame in frames]
    names: list[list[Hashable]] = [list(frame.tracks) for frame in frames]
    for name, places in where.items():
        for (t, row), part in zip(places, parts(np.stack([best[t][row] for t, row in places])), strict=True):
            names[t][row] = (name, part)
    return names


class Tracks:
    """The people of some frames, one column each.

    Args:
        frames: (T,) the frames.
        width: Of the fits through them, see `robust_fit`.

    Attributes:
        frames: (T,) the frames.
        columns: (T,) lists, for each row of a frame's `found` its column.
    """

    def __init__(self, frames: list[Frame], width: float) -> None:
        self.frames, self._width = frames, width
        names: dict[Hashable, int] = {}
        self.columns = [[names.setdefault(name, len(names)) for name in tracks] for tracks in torn(frames)]
        self._count = len(names)

    def fit(self) -> tuple[Floats, AnyArray, AnyArray, Floats]:
        """The network's joints (T, P, 19, 3); the fit through them (T, P, 19, 2), how sure it is (T, P, 19); and the
        OKS unit in pixels (T, P, 19), the same for all frames."""
        found = np.full((len(self.frames), self._count, JOINTS, 3), np.nan, np.float32)
        for row, frame, columns in zip(found, self.frames, self.columns, strict=True):
            row[columns] = frame.found
        there = np.any(~np.isnan(found[..., 0]), -1, keepdims=True)
        units = np.where(there, unit_of(found[..., :2]), np.nan)
        units[0, ~there[..., 0].any(0)] = 1  # looked at nowhere
        unit = np.broadcast_to(np.nanmedian(units, 0), units.shape)
        flat = (len(found), self._count * JOINTS)
        points, scores = found[..., :2].reshape(*flat, 2), found[..., 2].reshape(flat)
        place, sure = robust_fit(points, scores, unit.reshape(flat), self._width)
        return found, place.reshape(*found.shape[:3], 2), sure.reshape(found.shape[:3]), unit

    def steady(self, now: slice, smooth: bool) -> None:
        """Frames' results, from what was found and the fit through it."""
        found, place, sure, unit = self.fit()
        places, scores = steady(found[now, ..., :2], found[now, ..., 2], place[now], sure[now], unit[now], smooth)
        for joints, score, frame, columns in zip(places, scores, self.frames[now], self.columns[now], strict=True):
            frame.result = np.concatenate([joints, score[..., None]], -1)[columns]


def look_with_hints(predictor: FramePredictor, tracks: Tracks, now: slice, settings: Settings) -> None:
    """Look with hints at the frames that are no key frames, or at all."""
    _, place, sure, _ = tracks.fit()
    place[sure < WORTH] = np.nan
    asked, everywhere = [], settings.passes == 2
    for hints, frame, columns in zip(place[now], tracks.frames[now], tracks.columns[now], strict=True):
        if frame.image is not None and columns and (everywhere or frame.index % KEY):
            asked.append(with_hints(frame, hints[columns], np.arange(len(columns)), settings))
    for (frame, *_), found in zip(asked, predictor.predict(asked, "hinted"), strict=True):
        frame.found = found[..., RESULT]


def look_again(predictor: FramePredictor, tracks: Tracks, now: slice, most: int, settings: Settings) -> int:
    """Look again, with hints, at those people whom the frames around contradict in the most joints.

    Returns:
        How many people that were, at most `most`.
    """
    found, place, sure, unit = tracks.fit()
    far = np.linalg.norm(found[..., :2] - place, axis=-1) / unit > CONTRADICTED  # NaN is not
    count = np.sum(far & (sure > found[..., 2]), -1)
    places = [
        (-count[t, column], t, row)
        for t in range(len(tracks.frames))[now]
        for row, column in enumerate(tracks.columns[t])
        if count[t, column] and tracks.frames[t].image is not None
    ]
    chosen: dict[int, list[int]] = {}
    for _, t, row in sorted(places)[:most]:
        chosen.setdefault(t, []).append(row)
    place[sure < WORTH] = np.nan
    asked = [
        with_hints(tracks.frames[t], place[t, tracks.columns[t]], np.array(rows), settings)
        for t, rows in chosen.items()
    ]
    for (frame, _, rows), new in zip(asked, predictor.predict(asked, "again"), strict=True):
        frame.found = frame.found.copy()
        frame.found[rows] = new[..., RESULT]
    return min(most, len(places))


def with_hints(frame: Frame, hints: AnyArray, rows: AnyArray, settings: Settings) -> Asked:
    """To show the network `rows` of a frame with hints (R, 19, 2) as their poses; without a hint, what is known."""
    known = np.where(np.isnan(hints), frame.best(), hints).astype(np.float32)
    lost = np.all(np.isnan(known), (1, 2))  # only joints that the network does not know: as in a photograph
    _, shown, matrices = where_to_cut(np.where(lost[:, None, None], 0, known), NETWORK, frame.shape)
    shown[lost] = np.nan
    if lost.any():
        matrices[lost] = frame.prepared.where_to_cut(frame.shape)[2][lost]
    return frame, scene_of(frame, known, shown, matrices, settings), rows


def one_euro(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """Causal smoothing; a track that was away for a frame starts anew."""
    filters: dict[Hashable, OneEuro] = {}
    for frame in frames:
        filters = {name: filters.get(name) or OneEuro(fps) for name in frame.tracks}
        smooth = [filters[name](joints) for name, joints in zip(frame.tracks, frame.result, strict=True)]
        frame.result = np.array(smooth, dtype=np.float32).reshape(frame.result.shape)
        yield frame


def finished(frame: Frame, settings: Settings) -> Refinement:
    """What became of a frame's poses."""
    refined = finish(frame.prepared, frame.result if len(frame.tracks) else None, settings.recover)
    keypoints, initial = refined.poses.keypoints, refined.initial
    if settings.mode == "mota" and frame.image is not None:  # else the scores are the estimator's
        unsure = np.asarray(refined.poses.scores < settings.threshold) & known_joints(refined.poses.skeleton)
        keypoints = np.where(unsure[..., None], np.float32(np.nan), keypoints)
    return compare(
        Poses(initial.keypoints, initial.scores, initial.skeleton, frame.ids),
        Poses(keypoints, refined.poses.scores, initial.skeleton, frame.ids),
    )


def written(frame: Frame, refined: Refinement, settings: Settings) -> Any:
    """The result as the kind of object that came, with identities where they are ours and it has a place for them."""
    if frame.given is None:
        return None
    poses, plain = refined.poses, settings.to is None and not isinstance(frame.given, Poses)
    out = hand_back(poses, frame.given, settings.to, format=settings.format, shape=frame.shape)
    if plain and any(frame.new):
        write_ids(out, [i if new else None for i, new in zip(frame.ids, frame.new, strict=True)])
    return out
