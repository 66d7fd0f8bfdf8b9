"""The moving picture of docs/video.md: one clip's poses as they came, refined frame by frame, and as a video.

    python tests/benchmarks/clip.py --data ../shared/data -o docs/video.gif

Of the footage nothing is shown: only poses are drawn. Needs OpenCV 4.11, which writes GIFs. Prints the figures of
video.py for this clip.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from video import JOINTS, figures, frame_by_frame, read_clips, with_time

from pose_refine import Refiner, viz
from pose_refine.poses import Poses

CLIP, ESTIMATOR = "golf__Golfswing_golf_f_cm_np1_fr_goo_0", "mobile_hourglass"
TITLES = ("as it came", "refine(), each frame", "refine_video()")
PAPER, INK, BAR, SCALE = 255, (60, 60, 60), 26, 2.0
FRAME_MS = 90


def panels(ways: list[np.ndarray], window: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """One picture a frame: the ways (T, 12, 2) beside each other."""
    low, high = window
    width, height = (SCALE * (high - low)).astype(int)
    pictures = []
    for frame in zip(*ways, strict=True):
        row = []
        for title, joints in zip(TITLES, frame, strict=True):
            pose = np.full((1, 19, 2), np.nan, np.float32)
            pose[0, JOINTS] = SCALE * (joints - low)
            paper = np.full((height, width, 3), PAPER, np.uint8)
            drawn = viz.draw(paper, Poses(pose, np.ones((1, 19), np.float32), "network19"))
            bar = np.full((BAR, width, 3), PAPER, np.uint8)
            cv2.putText(bar, title, (6, BAR - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
            row.append(np.concatenate([bar, drawn]))
        pictures.append(np.concatenate(row, 1))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with jhmdb/ and predictions/")
    parser.add_argument("--clip", default=CLIP, help="default: %(default)s")
    parser.add_argument("--estimator", default=ESTIMATOR, help="default: %(default)s")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the .gif")
    arguments = parser.parse_args()
    names = sorted(path.name for path in (arguments.data / "jhmdb/dev").iterdir() if path.is_dir())
    clip = read_clips(arguments.data, "dev", arguments.estimator)[names.index(arguments.clip)]
    refiner = Refiner.from_pretrained(device="cpu")
    ways = [
        clip["poses"][:, JOINTS],
        frame_by_frame(refiner, clip),
        with_time(refiner, clip, {}, smooth="zero_phase"),
    ]
    for title, way in zip(TITLES, ways, strict=True):
        print(title, {name: round(value, 1) for name, value in figures([clip], [way]).items()})
    shown = np.concatenate([way.reshape(-1, 2) for way in ways])
    low, high = np.nanpercentile(shown, 1, axis=0) - 15, np.nanpercentile(shown, 99, axis=0) + 15
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(picture[..., ::-1]) for picture in panels(ways, (low, high))]
    animation.durations = [FRAME_MS] * len(animation.frames)
    if not cv2.imwriteanimation(str(arguments.out), animation, [cv2.IMWRITE_GIF_QUALITY, 8]):
        raise SystemExit(f"OpenCV did not write {arguments.out}")


if __name__ == "__main__":
    main()
