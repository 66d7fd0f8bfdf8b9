"""Videos of before and after: which encoder, and what is said where browsers will not play it."""

import sys
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from pose_refine import Poses
from pose_refine.commands._video_writer import VideoWriter
from pose_refine.prepared import compare

COUNT, SIZE = 4, (64, 96)


def write(path):
    nobody = Poses(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), "coco17")
    with VideoWriter(path, 30000 / 1001) as writer:
        for i in range(COUNT):
            writer.write(np.full((*SIZE, 3), (200, 40 * i, 0), np.uint8), compare(nobody, nobody))


def fourcc_and_frames(path):
    capture = cv2.VideoCapture(str(path))
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode()
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return code, frames


def test_browsers_play_it(tmp_path, caplog):
    pytest.importorskip("av")
    write(tmp_path / "v.mp4")
    code, frames = fourcc_and_frames(tmp_path / "v.mp4")
    assert code in ("h264", "avc1", "vp09", "VP90")
    assert len(frames) == COUNT
    assert frames[0].shape == (64, 194, 3)
    blue, green, red = frames[2][30, 30].astype(int)
    assert red > 150 > green > 40 > blue  # the order of colours
    assert "browsers" not in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


WITHOUT = {"no PyAV": None, "a PyAV without such encoders": SimpleNamespace(codecs_available={"mpeg4"})}


@pytest.mark.parametrize("name", WITHOUT)
def test_where_they_do_not_it_says_so(tmp_path, caplog, monkeypatch, name):
    fake = WITHOUT[name]
    module = None
    if fake is not None:
        module = ModuleType("av")
        module.codecs_available = fake.codecs_available
    monkeypatch.setitem(sys.modules, "av", module)
    write(tmp_path / "v.mp4")
    code, frames = fourcc_and_frames(tmp_path / "v.mp4")
    assert (code, len(frames)) == ("FMP4", COUNT)
    assert "browsers do not play" in caplog.text
    assert "pose-refine[video]" in caplog.text


def test_what_is_not_finished_is_not_there(tmp_path):
    nobody = Poses(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), "coco17")
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "v.mp4", 25) as writer:
        writer.write(np.zeros((*SIZE, 3), np.uint8), compare(nobody, nobody))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
