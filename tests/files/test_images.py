import cv2
import numpy as np
import pytest
import torch
from fakes.pil import Image

from pose_refine.files.images import read_image

GOOD = np.zeros((4, 5, 3), np.uint8)
BAD = {
    "float": (GOOD.astype(np.float32), ValueError, "uint8"),
    "grey": (GOOD[..., 0], ValueError, "grey"),
    "grey with one channel": (GOOD[..., :1], ValueError, "grey"),
    "rgba": (np.zeros((4, 5, 4), np.uint8), ValueError, "alpha"),
    "channels first": (np.zeros((3, 4, 5), np.uint8), ValueError, "transpose"),
    "no pixels": (np.zeros((0, 5, 3), np.uint8), ValueError, "at least one pixel"),
    "a batch": (GOOD[None], ValueError, r"\(H, W, 3\)"),
    "one row": (np.zeros(3, np.uint8), ValueError, r"\(H, W, 3\)"),
    "int64": (GOOD.astype(np.int64), ValueError, "uint8"),
    "float tensor": (torch.zeros(4, 5, 3), ValueError, "uint8"),
    "a list": (GOOD.tolist(), TypeError, "list"),
    "grey of PIL": (Image(GOOD[..., 0], "L"), ValueError, r"'L' \(grey\); use image.convert\('RGB'\)"),
    "rgba of PIL": (Image(np.zeros((4, 5, 4), np.uint8), "RGBA"), ValueError, "'RGBA' .*alpha"),
    "a palette of PIL": (Image(GOOD[..., 0], "P"), ValueError, "'P' .*convert"),
    "no pixels of PIL": (Image(GOOD[:0]), ValueError, "at least one pixel"),
    "PIL's class": (Image, TypeError, "type"),
    "nothing": (None, TypeError, "NoneType"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_what_was_expected(name):
    image, error, words = BAD[name]
    with pytest.raises(error, match=words):
        read_image(image, "rgb")


def test_array_is_not_copied_and_keeps_its_order():
    array, order = read_image(GOOD, "bgr")
    assert array is GOOD
    assert order == "bgr"


def test_tensor():
    tensor = torch.arange(60, dtype=torch.uint8).reshape(4, 5, 3)
    assert np.array_equal(read_image(tensor, "rgb")[0], tensor.numpy())


def test_unknown_color():
    with pytest.raises(ValueError, match="'hsv'"):
        read_image(GOOD, "hsv")


def test_file_is_read_in_its_own_order(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 255  # blue, for OpenCV
    cv2.imwrite(str(tmp_path / "blue.png"), image)
    array, order = read_image(tmp_path / "blue.png", "rgb")
    assert order == "bgr"
    assert np.array_equal(array, image)


def test_exif_orientation_is_applied(tmp_path):
    jpeg = cv2.imencode(".jpg", np.zeros((40, 80, 3), np.uint8))[1].tobytes()
    # APP1 with one IFD0 entry: Orientation (0x0112) = 6, "turn 90 degrees clockwise to show" (EXIF 2.3, 4.6.4)
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:])
    assert read_image(tmp_path / "turned.jpg", "rgb")[0].shape == (80, 40, 3)


@pytest.mark.parametrize("content", [b"", b"not an image"], ids=["empty", "text"])
def test_file_that_is_no_image(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.png"):
        read_image(tmp_path / "x.png", "rgb")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        read_image(tmp_path / "none.png", "rgb")
    with pytest.raises(ValueError, match="not an image"):
        read_image(tmp_path, "rgb")


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_pil_says_itself_what_its_channels_are(color):
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    array, order = read_image(Image(pixels), color)
    assert order == "rgb"
    assert np.array_equal(array, pixels)


def test_the_true_pil():
    pil = pytest.importorskip("PIL.Image")
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    image = pil.fromarray(pixels)
    assert np.array_equal(read_image(image, "rgb")[0], pixels)
    for mode in ("L", "RGBA", "P", "CMYK"):
        with pytest.raises(ValueError, match=f"got '{mode}'"):
            read_image(image.convert(mode), "rgb")


def test_a_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match="is a folder, not an image"):
        read_image(tmp_path, "rgb")
