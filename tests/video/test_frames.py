"""Frames of videos and folders, and the poses that belong to them."""

import json
import logging

import cv2
import numpy as np
import pytest

from pose_refine.video.frames import by_number, frame_count, frame_rate, image_names, pair, poses_by_frame, read_frames

SIZE = 48, 64  # height, width
POSE = [10.0, 20.0, 0.9] * 17


def picture(shade):
    return np.full((*SIZE, 3), shade, np.uint8)


def write_video(path, count=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, SIZE[::-1])
    for i in range(count):
        writer.write(picture(40 * i % 240))
    writer.release()
    return path


def write_images(folder, names):
    folder.mkdir()
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture(40 * i))
    return folder


def coco(*numbers):
    return [{"image_id": n, "category_id": 1, "keypoints": POSE, "score": 1.0} for n in numbers]


def given(pairs):
    """Of each frame the image_id of the people, None where nothing was given."""
    return [None if poses is None else [p["image_id"] for p in poses] for _, _, poses in pairs]


def test_a_video_file(tmp_path):
    path = write_video(tmp_path / "in.mp4")
    frames = list(read_frames(path))
    assert [order for _, order in frames] == ["bgr"] * 5
    assert [round(float(image.mean()), -1) for image, _ in frames] == [0, 40, 80, 120, 160]
    assert frame_rate(path) == 12
    assert frame_count(path) == 5


def test_a_folder_in_the_order_of_numbers(tmp_path):
    folder = write_images(tmp_path / "frames", ["f10.png", "f9.png", "f1.jpg"])
    (folder / "notes.txt").write_text("no image")
    assert image_names(folder) == ["f1.jpg", "f9.png", "f10.png"]
    assert [round(float(image.mean())) for image, _ in read_frames(folder)] == [80, 40, 0]
    assert frame_rate(folder) is None
    assert frame_count(folder) == 3


def test_by_number():
    assert sorted(["a10b", "a9b", "a9a", "b1", "a"], key=by_number) == ["a", "a9a", "a9b", "a10b", "b1"]


def test_what_does_not_decode_is_told_and_none(tmp_path, caplog):
    folder = write_images(tmp_path / "frames", ["0.png", "1.png"])
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    with caplog.at_level(logging.WARNING):
        assert [image is None for image, _ in read_frames(folder)] == [False, True]
    assert "frame 1" in caplog.text
    assert [image is None for image, _ in read_frames([picture(0), None])] == [False, True]


class Capture:
    """What cv2.VideoCapture gives: a frame for a shade, failure for None, and nothing but failure at the end."""

    def __init__(self, *shades):
        self.shades, self.released = list(shades), False

    def get(self, _):
        return float(len(self.shades))

    def read(self):
        shade = self.shades.pop(0) if self.shades else None
        return (False, None) if shade is None else (True, picture(shade))

    def release(self):
        self.released = True


def test_a_broken_frame_in_a_video_is_none_and_the_others_keep_their_numbers(tmp_path, monkeypatch, caplog):
    capture = Capture(0, None, None, 30, 40, None)
    monkeypatch.setattr("pose_refine.video.frames.open_video", lambda path: capture)
    images = [image for image, _ in read_frames(tmp_path / "in.mp4")]
    assert [None if i is None else i[0, 0, 0] for i in images] == [0, None, None, 30, 40]
    assert "frame 1 does not decode" in caplog.text
    assert "5 of the 6 frames that the file claims" in caplog.text
    assert capture.released


BAD = {
    "no such file": ("none.mp4", FileNotFoundError, "no such video"),
    "not a video": ("text.mp4", ValueError, "not a video"),
    "an empty folder": ("empty", FileNotFoundError, "no images"),
    "a grey array": ([np.zeros((4, 4), np.uint8)], ValueError, "frame 0: image: a grey image"),
    "no images": ([3], TypeError, "got int"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames(tmp_path, name):
    frames, error, words = BAD[name]
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=words):
        list(read_frames(tmp_path / frames if isinstance(frames, str) else frames))


def test_a_reader_that_is_left_stops(tmp_path):
    reader = read_frames(write_video(tmp_path / "in.mp4", 50))
    next(reader)
    reader.close()  # its thread ends, and the file is let go


def test_poses_of_a_video_are_found_by_number(tmp_path):
    images = [picture(0)] * 4
    assert given(pair(images, coco(2, 0, 2))) == [[0], None, [2, 2], None]
    assert given(pair(images, coco(5, 4), first=4)) == [[4], [5], None, None]
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(coco(1)))
    assert given(pair(images, path)) == [None, [1], None, None]


def test_a_folder_of_poses(tmp_path):
    for name in ("clip_000000000002_keypoints.json", "clip_000000000000_keypoints.json"):
        (tmp_path / name).write_text(json.dumps(coco(int(name[5:17]))))
    assert given(pair([picture(0)] * 3, tmp_path)) == [[0], None, [2]]


def test_poses_of_images_are_found_by_name(tmp_path):
    names = ["a.png", "b.png", "c.d.png"]
    stems = ["b_keypoints.json", "a.png.json", "c.d.json"]
    poses = tmp_path / "poses"
    poses.mkdir()
    for name in stems:
        (poses / name).write_text(json.dumps(coco(7)))
    found = poses_by_frame(poses, names)
    assert {i: path.name for i, path in found.items()} == {1: stems[0], 0: stems[1], 2: stems[2]}
    assert sorted(poses_by_frame(poses, names[:2])) == [0, 1, 4]  # of an image that is not there: after the last


UNPAIRED = {
    "more poses than frames": ([[], [], []], "more frames than the 2"),
    "fewer poses than frames": ([[]], "give None for a frame without"),
    "a document with a later frame": (coco(0, 2, 3), "frame 2 and 1 more, but there are 2 frames"),
}


@pytest.mark.parametrize("name", UNPAIRED)
def test_poses_and_frames_that_do_not_fit_are_told_after_those_that_do(name):
    poses, words = UNPAIRED[name]
    pairs = pair([picture(0)] * 2, poses)
    for _ in range(1 if name.startswith("fewer") else 2):
        next(pairs)
    with pytest.raises(ValueError, match=words):
        next(pairs)


UNCLEAR = {
    "no number": ([{**coco(0)[0], "image_id": "left.jpg"}], None, 0, "no number"),
    "before the first": (coco(0), None, 1, "before frame 1, which is said to be the first"),
    "two of one frame": ([{**coco(0)[0], "image_id": n} for n in ("a1.jpg", "b1.jpg")], None, 0, "the same frame, 1"),
    "no such image": ([{**coco(0)[0], "image_id": "z.jpg"}], ["a.jpg"], 0, "no image has that name"),
    "nothing of the kind": ([{"a": 1}], None, 0, "expected"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_poses(name):
    poses, names, first, words = UNCLEAR[name]
    with pytest.raises(ValueError, match=words):
        poses_by_frame(poses, names, first)


def test_a_folder_without_poses(tmp_path):
    with pytest.raises(FileNotFoundError, match="no files of poses"):
        poses_by_frame(tmp_path, None)
