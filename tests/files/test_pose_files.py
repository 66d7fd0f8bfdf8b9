import json

import numpy as np
import pytest

from pose_refine.files.pose_files import encode_picture, encode_poses, parse_poses, read_bytes

PERSON = {"person_id": [-1], "pose_keypoints_2d": [470.753, 0, 6.5e-05], "name": "Zo\u00eb"}
CONTENT = {"version": 1.3, "people": [PERSON]}

# How programs lay JSON out.
LAYOUTS = {
    "compact, as OpenPose": json.dumps(CONTENT, separators=(",", ":")),
    "Python's own": json.dumps(CONTENT),
    "with a line feed": json.dumps(CONTENT) + "\n",
    "by two": json.dumps(CONTENT, indent=2),
    "by four, with a line feed": json.dumps(CONTENT, indent=4) + "\n",
    "letters as they are": json.dumps(CONTENT, ensure_ascii=False),
    "NaN": '[{"keypoints":[1.5,NaN,0.5]}]',
    "a list": '[{"keypoints": [1, 2, 0.5]}]',
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_json_keeps_its_layout(name):
    data = LAYOUTS[name].encode()
    assert encode_poses(parse_poses(data, "x"), like=data) == data


@pytest.mark.parametrize("like", [b"", b'{"a":  1.30}', b"\x93NUMPY", b"no\nJSON"])
def test_other_layouts_become_pythons_own(like):
    assert encode_poses({"a": 1.3}, like=like) == b'{"a": 1.3}\n'


def test_arrays_are_nested_lists_or_npy():
    array = np.array([[[1.23456, np.nan, 0.5]]], np.float32)
    assert encode_poses(array) == b"[[[1.235, null, 0.5]]]\n"
    np.testing.assert_array_equal(parse_poses(encode_poses(array, npy=True), "x"), array)
    np.testing.assert_allclose(parse_poses(encode_poses(array), "x"), array, atol=1e-3)


LISTS = {
    "nobody": [],
    "COCO results": [{"keypoints": [1, 2, 0.5]}],
    "a triplet": [1, 2, 0.5],
    "rows of other lengths": [[[1, 2, 0.5], [3, 4]]],
    "too many columns": [[[1, 2, 3, 4]]],
    "truth": [[[True, False, True]]],
    "text": [[["1", "2", "3"]]],
    "too deep": [[[[1, 2, 3]]]],
    "beyond all floats": [[[10**400, 2, 3]]],
}


@pytest.mark.parametrize("name", LISTS)
def test_other_lists_stay_lists(name):
    assert parse_poses(json.dumps(LISTS[name]).encode(), "x") == LISTS[name]


def test_one_persons_joints_are_an_array_too():
    np.testing.assert_array_equal(parse_poses(b"[[1, 2], [null, null]]", "x"), [[1, 2], [np.nan, np.nan]])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_in_place_of_poses_is_told(suffix):
    image = encode_picture(np.zeros((2, 2, 3), np.uint8), suffix)
    with pytest.raises(ValueError, match="is it the image"):
        parse_poses(image, "photo")


def test_a_folder_of_poses_is_told_with_what_to_use(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is a folder, .* use refine_many, or `pose-refine folder`"):
        read_bytes(tmp_path)


@pytest.mark.parametrize(
    "damage", [b"(((", b"'" * 3, b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }"]
)
def test_a_damaged_npy_is_told(damage):
    """Its header is Python's, and its reader stumbles as Python's does."""
    header = damage.ljust(70) + b"\n"
    with pytest.raises(ValueError, match=r"x: not a \.npy file"):
        parse_poses(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"0" * 12, "x")
