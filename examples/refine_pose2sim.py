"""Refine a trial of Pose2Sim's: videos/CAMERA.mp4 and pose/CAMERA_json/ to pose_refined/CAMERA_json/, camera by camera.

python refine_pose2sim.py TRIAL. Then rename pose_refined to pose, and triangulate.
"""

import sys
from pathlib import Path

from pose_refine.cli import main as pose_refine


def main(trial):
    out = Path(trial, "pose_refined")
    out.mkdir(exist_ok=True)
    codes = [
        pose_refine(["video", str(v), str(Path(trial, "pose", f"{v.stem}_json")), "-o", str(out / f"{v.stem}_json")])
        for v in sorted(Path(trial, "videos").glob("*.mp4"))
    ]
    return max(codes, default=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
