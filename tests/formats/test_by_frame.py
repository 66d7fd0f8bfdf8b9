"""Documents of a whole video, or keyed by image, with one entry a frame."""

import copy
import json

import numpy as np
import pytest

from pose_refine import formats
from pose_refine.formats.common import documents
from pose_refine.video.frames import named_poses

FLAT = [10.0, 20.0, 0.5] * 18
ENTRY = {"keypoints": [[10.0, 20.0]] * 17, "keypoint_scores": [0.5] * 17}
OPENPOSE = [{"people": [{"pose_keypoints_2d": FLAT}]}, {"people": []}, {"people": [{"pose_keypoints_2d": FLAT}] * 2}]
MMPOSE = [
    {"frame_id": 4, "instances": [ENTRY]},
    {"frame_id": 5, "instances": []},
    {"frame_id": 6, "instances": [ENTRY] * 2},
]
ALPHAPOSE = {
    "a.jpg": {"version": "x", "bodies": [{"joints": FLAT}]},
    "b.jpg": {"bodies": []},
    "c.jpg": {"bodies": [{"joints": FLAT}] * 2},
}
DEMO = {"meta_info": {"dataset_name": "coco"}, "instance_info": MMPOSE}
KINDS = {  # document, names of its frames, and their indexes in a video whose first is called 4
    "OpenPose's documents in a list": (OPENPOSE, ["000000000000", "000000000001", "000000000002"], [0, 1, 2]),
    "MMPose's frames": (MMPOSE, ["000000000004", "000000000005", "000000000006"], [0, 1, 2]),
    "MMPose's demo": (DEMO, ["000000000004", "000000000005", "000000000006"], [0, 1, 2]),
    "AlphaPose by image, cmu": (ALPHAPOSE, ["a.jpg", "b.jpg", "c.jpg"], None),
    "AlphaPose by image, open": (dict(zip("abc", OPENPOSE, strict=True)), ["a", "b", "c"], None),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_they_are_taken_apart_and_put_together(name):
    document, names, _ = KINDS[name]
    before = copy.deepcopy(document)
    assert documents.is_document(document)
    frames = documents.frames(document)
    assert [n for n, _ in frames] == names
    poses = [formats.read(frame) for _, frame in frames]
    assert [len(p) for p in poses] == [1, 0, 2]
    moved = [formats.Poses(p.keypoints + np.float32(1), p.scores, p.skeleton, p.ids) for p in poses]
    written = [(n, formats.write(p, frame)) for (n, frame), p in zip(frames, moved, strict=True)]
    out = documents.assemble(document, written)
    assert type(out) is type(document)
    assert json.dumps(out) == json.dumps(document).replace("10.0, 20.0", "11.0, 21.0")
    assert documents.assemble(document, written[:1]) != document
    assert document == before
    with pytest.raises(ValueError, match="none of that name"):
        documents.assemble(document, [("z", frames[0][1])])


@pytest.mark.parametrize("name", [n for n, kind in KINDS.items() if kind[2]])
def test_a_videos_frames_are_found(name):
    document, names, indexes = KINDS[name]
    first = 4 if "MMPose" in name else 0
    for images in (None, ["x.png", "y.png", "z.png"]):
        assert {i: n for i, (n, _) in named_poses(document, images, first).items()} == dict(
            zip(indexes, names, strict=True)
        )


def test_one_that_is_keyed_by_image_is_found_by_name():
    assert list(named_poses(ALPHAPOSE, ["c.jpg", "b.jpg", "a.jpg"])) == [2, 1, 0]


def test_frames_that_occur_twice():
    with pytest.raises(ValueError, match="expected each 'frame_id' once"):
        documents.frames([MMPOSE[0], MMPOSE[0]])


def test_what_is_for_one_image_is_named_and_what_is_accepted_said():
    with pytest.raises(
        ValueError,
        match=r"recognised as format openpose, the people of one image; expected .*OpenPose's documents in a list",
    ):
        named_poses(OPENPOSE[0], None)
    with pytest.raises(ValueError, match="which no format is; expected"):
        named_poses({"joints3d": []}, None)
