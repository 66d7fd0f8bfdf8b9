"""`folder` with one file that holds the people of many images."""

import json

import cv2
import pytest

COUNT = 4


@pytest.fixture
def given(coco):
    return coco(COUNT)


@pytest.fixture
def folder(given, command):
    """Runs `pose-refine folder given/images given/poses.json ...`."""
    return lambda *arguments: command("folder", given / "images", given / "poses.json", *arguments)


def people(path):
    return json.loads(path.read_text())


def hidden(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_every_person_is_refined_and_all_else_stays(folder, given, caplog):
    before = people(given / "poses.json")
    assert folder("-o", given / "out.json") == 0
    assert "4 of 4 frames refined" in caplog.text
    after = people(given / "out.json")
    for old, new in zip(before, after, strict=True):
        assert old["keypoints"] != new["keypoints"]
        assert {k: v for k, v in old.items() if k != "keypoints"} == {k: v for k, v in new.items() if k != "keypoints"}
    assert people(given / "poses.json") == before
    assert hidden(given) == []
    assert folder("-o", given / "out.json") == 1
    assert "--overwrite" in caplog.text


def test_in_place_keeps_the_original_and_refines_once(folder, given, caplog):
    before = (given / "poses.json").read_bytes()
    assert folder("--in-place") == 0
    refined = (given / "poses.json").read_bytes()
    assert refined != before == (given / "poses.json.backup").read_bytes()
    assert folder("--in-place") == 1
    assert "Refined already" in caplog.text
    assert (given / "poses.json").read_bytes() == refined
    assert (given / "poses.json.backup").read_bytes() == before


def test_images_that_are_not_there_are_told_and_their_people_stay(folder, given, caplog):
    (given / "images" / f"{2:012d}.png").unlink()
    before = people(given / "poses.json")
    assert folder("-o", given / "out.json") == 1
    assert f"{2:012d}.jpg" in caplog.text
    assert "3 of 4 frames refined" in caplog.text
    assert [old == new for old, new in zip(before, people(given / "out.json"), strict=True)] == [
        False,
        False,
        True,
        False,
    ]


def test_annotations_name_the_images(folder, given, caplog):
    images = [{"id": i, "file_name": f"street/{i}.jpg"} for i in range(COUNT)]
    for i in range(COUNT):
        (given / "images" / f"{i:012d}.png").rename(given / "images" / f"{i}.png")
    assert folder("-o", given / "out.json") == 1
    assert "no poses have an image" in caplog.text
    (given / "names.json").write_text(json.dumps({"images": images, "annotations": []}))
    assert folder("-o", given / "out.json", "--annotations", given / "names.json") == 0
    (given / "names.json").write_text("[]")
    assert folder("-o", given / "other.json", "--annotations", given / "names.json") == 1
    assert "expected COCO annotations" in caplog.text


def test_posetrack(given, command):
    points = [{"id": [k], "x": [10.0 + k], "y": [20.0 + 3 * k], "score": [0.5]} for k in range(15)]
    frames = [
        {"image": [{"name": f"{i:012d}.png"}], "annorect": [{"track_id": [i], "annopoints": [{"point": points}]}]}
        for i in range(2)
    ]
    (given / "track.json").write_text(json.dumps({"annolist": frames}))
    assert command("folder", given / "images", given / "track.json", "-o", given / "out.json") == 0
    after = people(given / "out.json")["annolist"]
    assert [frame["annorect"][0]["track_id"] for frame in after] == [[0], [1]]
    scores = [[p["score"][0] for p in frame["annorect"][0]["annopoints"][0]["point"]] for frame in after]
    assert all(0.5 not in row and len(row) == 15 for row in scores)


def test_what_is_no_document(given, command, caplog):
    path = given / "one.json"
    path.write_text(json.dumps({"people": []}))
    assert command("folder", given / "images", path, "-o", given / "out.json") == 1
    assert "for one image use: pose-refine run" in caplog.text
    assert not (given / "out.json").exists()


def test_an_unreadable_image_is_told_and_the_rest_is_refined(folder, given, caplog):
    path = given / "images" / f"{1:012d}.png"
    path.write_bytes(path.read_bytes()[:50])
    assert cv2.imread(str(path)) is None
    assert folder("-o", given / "out.json") == 1
    assert "3 of 4 frames refined" in caplog.text
    assert "1 failed" in caplog.text
