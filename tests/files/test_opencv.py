"""Paths that OpenCV is handed, and the errors that it raises."""

import json
import os
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from pose_refine import refine
from pose_refine.files import opencv
from pose_refine.files.images import read_image
from pose_refine.video import frames

ODD = "caf\udce9"  # Latin-1's bytes, as a file system may hold them
POSIX = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")


def png(width, height):
    """A file whose header claims this size, and which has no more."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@POSIX
def test_names_that_are_not_utf8(tmp_path):
    folder = tmp_path / ODD
    folder.mkdir()
    image = np.full((48, 64, 3), 90, np.uint8)
    (folder / f"{ODD}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    assert frames.image_names(folder) == [f"{ODD}.png"]
    assert np.array_equal(next(frames.read_frames(folder))[0], image)
    writer = opencv.writer(folder / f"{ODD}.mp4", "mp4v", 12, (64, 48))
    for _ in range(3):
        writer.write(image)
    writer.release()
    assert len(list(frames.read_frames(folder / f"{ODD}.mp4"))) == 3
    assert frames.frame_rate(folder / f"{ODD}.mp4") == 12


def test_a_name_with_a_zero_byte():
    with pytest.raises(ValueError, match="zero byte"):
        opencv.path_for_opencv("a\0b.png")
    assert opencv.path_for_opencv("a.png") == os.fsencode("a.png")


@pytest.mark.parametrize("size", [(40000, 40000), (2**20 - 1, 2**20 - 1), (2**31 - 1, 1)])
def test_more_pixels_than_opencv_takes(tmp_path, size):
    path = tmp_path / "large.png"
    path.write_bytes(png(*size))
    with pytest.raises(ValueError, match=r"large\.png: (OpenCV refuses it .*2\^30|not an image file)"):
        read_image(path, "rgb")
    with pytest.raises(ValueError, match=r"large\.png"):
        refine(path, np.zeros((1, 17, 3)))
    assert [image for image, _ in frames.read_frames([path])] == [None]


@pytest.mark.parametrize("kind", ["folder", "report", "video"])
def test_such_an_image_does_not_end_a_job(tmp_path, kind, pose, photo, caplog):
    from pose_refine.cli import main

    poses = {"people": [{"pose_keypoints_2d": np.zeros(75).tolist()}]}  # nobody to refine: no network is needed
    for name in ("images", "poses"):
        (tmp_path / name).mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "poses" / f"{name}.json").write_text(json.dumps(poses))
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "images" / "b.png").write_bytes(png(40000, 40000))
    more = {"folder": ["-o", "out"], "video": ["-o", "out"], "report": ["poses", "-o", "page.html"]}[kind]
    given = [tmp_path / "images", tmp_path / "poses", *(tmp_path / m if m[0] != "-" else m for m in more)]
    assert main([kind, *map(str, given)]) == 1
    assert "b.png: OpenCV refuses it" in caplog.text
    done = {"folder": ["a.json", "c.json"], "video": ["a.json", "b.json", "c.json"]}
    if kind in done:
        assert sorted(p.name for p in (tmp_path / "out").glob("*.json")) == done[kind]
    else:
        assert (tmp_path / "page.html").is_file()


def test_whatever_else_opencv_raises_is_a_value_error():
    with pytest.raises(ValueError, match=r"the picture: OpenCV refuses it"), opencv.told("the picture"):
        cv2.resize(np.zeros((0, 0, 3), np.uint8), (4, 4))
