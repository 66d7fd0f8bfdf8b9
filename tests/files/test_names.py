"""Which names and ids mean the same image."""

import unicodedata

import pytest

from pose_refine.files.names import find_image, image_id, image_keys, index_images
from pose_refine.video.frames import poses_by_frame

IMAGES = [
    {"id": 139, "file_name": "val2017/000000000139.jpg"},
    {"id": 5, "file_name": "val2017/caf\u00e9.jpg"},
    {"id": 7, "file_name": "a/x.jpg"},
    {"id": 8, "file_name": "b/x.jpg"},
    {"id": 9},
]
CALLED = {  # what an image is called, and its id; None for no such image
    "its id": (139, 139),
    "its id as text": ("139", 139),
    "its id as a float": (139.0, 139),
    "its id as a float's text": ("139.0", 139),
    "its id with zeros": ("000000000139", 139),
    "its path": ("val2017/000000000139.jpg", 139),
    "its name": ("000000000139.jpg", 139),
    "another suffix": ("000000000139.png", 139),
    "another folder": ("images/000000000139.jpg", 139),
    "Windows' path": ("val2017\\000000000139.jpg", 139),
    "NFD": (unicodedata.normalize("NFD", "caf\u00e9.jpg"), 5),
    "a name of two": ("x.jpg", None),
    "a path of one of two": ("b/x.jpg", 8),
    "the id of one without a name": (9, 9),
    "nothing of the kind": ("y.jpg", None),
    "no such id": (6, None),
}


@pytest.mark.parametrize("name", CALLED)
def test_which_image_is_meant(name):
    called, wanted = CALLED[name]
    found = find_image(called, index_images(IMAGES))
    assert (found and found["id"]) == wanted


def test_images_are_told_apart_by_names_or_else_by_ids():
    assert set(image_keys(IMAGES[:4]).values()) == {
        "val2017/000000000139.jpg",
        "val2017/caf\u00e9.jpg",
        "a/x.jpg",
        "b/x.jpg",
    }
    assert image_keys(IMAGES) == {139: 139, 5: 5, 7: 7, 8: 8, 9: 9}
    assert image_keys([{"id": "1", "file_name": "a.jpg"}, {"id": 2, "file_name": "a.jpg"}]) == {1: 1, 2: 2}


def test_what_is_no_id():
    with pytest.raises(ValueError, match=r"expected an image's id or file name, got \[1\]"):
        image_id([1])
    with pytest.raises(ValueError, match="expected each id once, got '139' twice"):
        index_images([{"id": 139}, {"id": "139"}])
    with pytest.raises(ValueError, match="expected 'id' of each image"):
        index_images([{"file_name": "a.jpg"}])


def test_a_stem_of_two_images_is_not_taken_for_the_last(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match=r"poses of 'a\.json': not clear which image, 2 of them"):
        poses_by_frame(tmp_path, ["a.jpg", "a.png"])
    (tmp_path / "a.json").rename(tmp_path / "a.png.json")
    assert list(poses_by_frame(tmp_path, ["a.jpg", "a.png"])) == [1]


def test_names_in_another_normalisation_belong_together(tmp_path):
    name = unicodedata.normalize("NFD", "caf\u00e9_keypoints.json")
    (tmp_path / name).write_text("[]")
    assert list(poses_by_frame(tmp_path, ["a.jpg", "caf\u00e9.jpg"])) == [1]
