"""pose-refine video: the poses of a video's frames, with what the frames around each tell.

What the network says goes to a journal, a hidden file beside the result (or in its folder), as it is said. A run that
goes on after an interruption does all again but for the network, and so comes to the same result.
"""

import argparse
import logging
import os
import sys
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pose_refine import __version__, formats
from pose_refine._types import Bytes
from pose_refine.commands._common import (
    Commands,
    add_parser,
    add_refining_options,
    counted,
)
from pose_refine.commands._journal import Entry, Journal
from pose_refine.commands._matching import shown
from pose_refine.commands._pipeline import REDRAW, Tally, describe, fingerprint
from pose_refine.commands._video_writer import VideoWriter
from pose_refine.files.pose_files import (
    check_free,
    check_parent,
    digest,
    encode_poses,
    read_input,
    read_poses,
    remove_partials,
    write_whole,
)
from pose_refine.formats.common import documents
from pose_refine.nn.backends import locate
from pose_refine.poses import Refinement
from pose_refine.refiner import Refiner
from pose_refine.video.frames import frame_count, frame_rate, image_names, named_poses, read_frames, rotation
from pose_refine.video.pipeline import USUAL_FPS, analyze_frames, written
from pose_refine.video.settings import FILTERS, MODES, SURE, Settings
from pose_refine.video.stages import FramePredictor, Pair

log = logging.getLogger("pose_refine")
FITTED = 4  # frames, of which it is tried whether poses fit them turned or as stored
Named = dict[int, tuple[str, Any]]  # frame to the name of its poses, and these
EPILOG = """\
VIDEO is a file that OpenCV can read, or a folder of images in the order of their names. POSES is one of
  a folder   one file a frame: JSON as OpenPose writes it (--write_json), or any other format that `run` takes
  a file     the people of many frames: COCO results or annotations, PoseTrack, AlphaPose, MPII; a list of
             OpenPose's documents, one a frame; MMPose's {"frame_id", "instances"}

which frame poses belong to:
  in a folder of images, that of the same name (photo.json, photo_keypoints.json, photo.jpg.json: photo.jpg)
  in a video, the frame that the last number in their name counts, from 0 on, or from --first on
Poses of frames that are not there are told and left out. A frame that does not decode keeps its poses.

people: identities in POSES are kept. Without, people are linked from frame to frame and get 1, 2, ..., written where
the format has a place: OpenPose's person_id, PoseTrack's and COCO's track_id.

interrupted? Give the same command again: it goes on where it was, and the result is the same. Files that would be
replaced and are not what the interrupted run wrote there with these options need --overwrite; a finished result, too.

exit code: 0 all refined; 1 some were not, or bad input; 2 bad arguments; 130 interrupted

examples:
  openpose --video dance.mp4 --write_json dance/
  pose-refine video dance.mp4 dance/ -o dance_refined/ --viz before_after.mp4
  pose-refine video frames/ results.json -o refined.json --mode mota
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "video", "refine the poses of a video: steadier, identities kept", EPILOG)
    parser.add_argument("video", type=Path, metavar="VIDEO", help="video file, or folder of images")
    parser.add_argument("poses", type=Path, metavar="POSES", help="folder of JSON or .npy files, or one JSON file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder, or file, to write")
    parser.add_argument("--viz", type=Path, metavar="MP4", help="also draw before and after, side by side")
    filters = [name or "none" for name in FILTERS]
    parser.add_argument(
        "--smooth", choices=filters, default="zero_phase", help="filter against jitter (default: %(default)s)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="map",
        help="map: all joints, with scores; mota: drop those below --threshold (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold", type=float, default=SURE, metavar="P", help="probability for mota (default: %(default)s)"
    )
    parser.add_argument(
        "--passes",
        type=int,
        choices=(1, 2),
        default=1,
        help="2 helps weak estimators, and costs twice (default: %(default)s)",
    )
    parser.add_argument("--fps", type=float, help="frames a second (default: the file's, else 30)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first frame in names (default: %(default)s)"
    )
    parser.add_argument(
        "--unrotated",
        action="store_true",
        help="poses were made on the frames as they are stored, not turned as the video's metadata say",
    )
    add_refining_options(parser)
    parser.set_defaults(function=video)


def video(arguments: argparse.Namespace) -> int:
    """Refine a video; tell in one line what became of everything."""
    names = names_of(arguments.video)
    poses = named_poses(arguments.poses, names, arguments.first, arguments.category)
    check_numbers(arguments, names, poses)
    settings = settings_of(arguments)
    source, sha256 = locate(arguments.weights)
    output = arguments.output.absolute()
    journal = Journal(output.with_name(f".{output.name}.pose_refine.jsonl"), options_of(arguments, settings, sha256))
    check_parent(output)
    tally = Tally(frames=len(poses))
    try:
        with journal:
            check_outputs(arguments, settings, journal, poses)
            refiner = Refiner.from_pretrained(source, device=arguments.device, flip=arguments.flip)
            check_rotation(refiner, arguments, poses)
            work(refiner, arguments, settings, poses, journal, tally)
            journal.remove()
    except KeyboardInterrupt:
        log.error("interrupted: %s\nThe same command goes on from here.", tally)
        return 130
    log.info("%s -> %s", tally, arguments.output)
    return int(tally.failed + tally.left_out > 0)


def check_numbers(arguments: argparse.Namespace, names: list[str] | None, poses: Named) -> None:
    """Tell of poses that are numbered from 1: none for the first frame, and one for the frame after the last."""
    count = None if names is not None else frame_count(arguments.video)
    if count and min(poses) == 1 and max(poses) == count:
        log.warning(
            "poses are numbered from %d to %d, the video's %d frames from %d: numbered from 1? Then give --first %d",
            min(poses) + arguments.first,
            max(poses) + arguments.first,
            count,
            arguments.first,
            arguments.first + 1,
        )


def check_rotation(refiner: Refiner, arguments: argparse.Namespace, poses: Named) -> None:
    """Tell of a video that is shown turned and whose poses fit its frames as stored: twice as well, or more."""
    if arguments.video.is_dir() or arguments.unrotated or not rotation(arguments.video):
        return
    turned, stored = (fit(refiner, arguments, poses, rotated) for rotated in (True, False))
    if turned < stored / 2:
        log.warning(
            "%s is to be shown turned by %d degrees, but the poses fit its frames as they are stored (mean score %.2f, "
            "turned %.2f): made on these? Then give --unrotated",
            arguments.video,
            rotation(arguments.video),
            stored,
            turned,
        )


def fit(refiner: Refiner, arguments: argparse.Namespace, poses: Named, rotated: bool) -> float:
    """Mean score that the first frames' joints get."""
    scores = []
    with closing(read_frames(arguments.video, rotated=rotated)) as frames:
        for index, (image, order) in zip(range(FITTED), frames, strict=False):
            given = read_given(poses.get(index, ("", None))[1], arguments, image, Tally())
            if image is not None and given is not None:
                refined = refiner.analyze(
                    image, given, color=order, skeleton=arguments.skeleton, format=arguments.format, recover=False
                ).poses
                scores.append(refined.scores[refined.present])
    found = np.concatenate(scores) if scores else np.zeros(0)
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def names_of(video: Path) -> list[str] | None:
    """The images' names where VIDEO is a folder; None for a video.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: Not a video.
    """
    if video.is_dir():
        return image_names(video)
    frame_count(video)  # so that what is wrong with it is said early
    return None


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings(
        skeleton=arguments.skeleton,
        format=arguments.format,
        fps=arguments.fps or frame_rate(arguments.video),
        mode=arguments.mode,
        threshold=arguments.threshold,
        passes=arguments.passes,
        smooth=None if arguments.smooth == "none" else arguments.smooth,
        recover=arguments.recover,
        trust=arguments.trust,
    )


def options_of(arguments: argparse.Namespace, settings: Settings, sha256: str) -> Entry:
    """What the network's answers depend on."""
    given = [fingerprint(path) for path in (arguments.video, arguments.poses)]
    for folder in (p for p in (arguments.video, arguments.poses) if p.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        given.append(digest(b"".join(os.fsencode(f"{path.name} {fingerprint(path)}") for path in files)))
    return {
        "version": __version__,
        "weights": sha256,
        "flip": arguments.flip,
        "given": given,
        "first": arguments.first,
        "category": arguments.category,
        "unrotated": arguments.unrotated,
        "passes": settings.passes,
        "skeleton": settings.skeleton,
        "format": settings.format,
        "fps": settings.fps,
        "trust": settings.trust,
    }


def finish_of(settings: Settings) -> Entry:
    """What the results depend on beside the network's answers."""
    names = ("mode", "threshold", "smooth", "recover")
    return {name: getattr(settings, name) for name in names}


def check_outputs(arguments: argparse.Namespace, settings: Settings, journal: Journal, poses: Named) -> None:
    """Refuse early what could not be written late.

    Raises:
        FileExistsError: Results are there that an interrupted run of this command did not write.
        ValueError: OUT is of another kind than POSES, or one of them.
    """
    output, folder = arguments.output, arguments.poses.is_dir()
    if output.resolve() in (arguments.poses.resolve(), arguments.video.resolve()):
        raise ValueError("OUT is POSES or VIDEO; expected another name")
    if output.exists() and output.is_dir() != folder:
        raise ValueError(f"POSES is a {'folder' if folder else 'file'}, so OUT must be one; {output} is not")
    if folder:
        there = [output / name for name, _ in poses.values() if (output / name).exists()]
        strange = not_written(there, journal, finish_of(settings))
        if strange and not arguments.overwrite:
            raise FileExistsError(f"{strange[0]} exists; use another folder, or --overwrite")
    else:
        check_free(output, arguments.overwrite)
    if arguments.viz:
        check_free(arguments.viz, arguments.overwrite)


def not_written(paths: list[Path], journal: Journal, finish: Entry) -> list[Path]:
    """Those that are not as an interrupted run of this command wrote them."""
    ours = {(entry["name"], entry["out"]) for entry in journal.entries if entry.get("finish") == finish}
    return [path for path in paths if (path.name, digest(path.read_bytes())) not in ours]


def work(
    refiner: Refiner,
    arguments: argparse.Namespace,
    settings: Settings,
    poses: Named,
    journal: Journal,
    tally: Tally,
) -> None:
    """Refine and write, frame by frame; a document at the end."""
    known = {entry["look"]: entry["joints"] for entry in journal.entries if "look" in entry}
    predictor = FramePredictor(
        refiner.predictor, settings.batch_size, known, lambda n, j: journal.append({"look": n, "joints": j.tolist()})
    )
    pairs = read_pairs(arguments, poses, tally)
    done: list[tuple[str, Any]] = []
    writer = VideoWriter(arguments.viz, settings.fps or USUAL_FPS) if arguments.viz else None
    if arguments.poses.is_dir():
        arguments.output.mkdir(exist_ok=True)
        remove_partials([arguments.output / name for name, _ in poses.values()])
    with closing(pairs), writer or nullcontext():
        for frame, refined in analyze_frames(predictor, pairs, None, settings):
            if writer:
                writer.write(None if frame.image is None else frame.image[:, :, ::-1], refined)  # files are BGR
            if frame.given is None:
                continue
            out = written(frame, refined, settings)
            name, given = poses[frame.index]
            if arguments.poses.is_dir():
                data = encode_poses(out, npy=name.lower().endswith(".npy"), like=given.read_bytes())
                journal.append({"name": name, "out": digest(data), "finish": finish_of(settings)})
                write_whole(arguments.output / name, data)
            else:
                done.append((name, out))
            count(tally, refined, frame.image is not None)
    if not arguments.poses.is_dir():
        data, document = read_input(arguments.poses)
        whole = documents.assemble(document, done, arguments.category)
        write_whole(arguments.output, encode_poses(whole, like=data))


def read_pairs(arguments: argparse.Namespace, poses: Named, tally: Tally) -> Generator[Pair, None, None]:
    """Every frame with its poses, and a progress bar; what cannot be read, or has no frame, is told and counted."""
    redraw = REDRAW[not sys.stderr.isatty()]
    index = -1
    with (
        logging_redirect_tqdm(),
        closing(read_frames(arguments.video, rotated=not arguments.unrotated)) as frames,
        tqdm(total=frame_count(arguments.video), unit="frame", file=sys.stderr, mininterval=redraw) as bar,
    ):
        for index, (image, order) in enumerate(frames):
            yield image, order, read_given(poses.get(index, ("", None))[1], arguments, image, tally)
            bar.update()
    late = [poses[i][0] for i in sorted(poses) if i > index]
    if late:
        tally.left_out = len(late)
        log.warning("left out, the video has only %d frames: poses of %s", index + 1, shown(late))


def read_given(given: Any, arguments: argparse.Namespace, image: Bytes | None, tally: Tally) -> Any:
    """The poses of a frame; None where they cannot be read, which is told and counted."""
    try:
        content = read_poses(given) if isinstance(given, Path) else given
        if arguments.category is not None and isinstance(given, Path) and documents.is_document(content):
            raise ValueError("--category is for POSES that is one file; in a folder, each file must be of people alone")
        if content is not None:
            shape = (1, 1) if image is None else (image.shape[0], image.shape[1])
            formats.read(content, arguments.skeleton, format=arguments.format, shape=shape)
    except (OSError, ValueError, TypeError) as error:
        log.error("%s: %s", given.name if isinstance(given, Path) else "a frame", describe(error))
        tally.failed += 1
        return None
    return content


def count(tally: Tally, refined: Refinement, good: bool) -> None:
    if not good:
        tally.failed += 1
        return
    tally.refined += 1
    tally.people += len(refined.poses)
    tally.joints.update(counted(refined))
