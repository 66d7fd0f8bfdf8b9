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
    points = [{"id": [k], "x": [10.0 + k], "y": [20.0 + 3 * k], "score": [0.25]} for k in range(15)]
    frames = [
        {"image": [{"name": f"{i:012d}.png"}], "annorect": [{"track_id": [i], "annopoints": [{"point": points}]}]}
        for i in range(2)
    ]
    (given / "track.json").write_text(json.dumps({"annolist": frames}))
    assert command("folder", given / "images", given / "track.json", "-o", given / "out.json") == 0
    after = people(given / "out.json")["annolist"]
    assert [frame["annorect"][0]["track_id"] for frame in after] == [[0], [1]]
    scores = [[p["score"][0] for p in frame["annorect"][0]["annopoints"][0]["point"]] for frame in after]
    assert all(0.25 not in row and len(row) == 15 for row in scores)


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


@pytest.mark.parametrize("kind", ["a list", "by image"])
def test_one_document_of_a_video_is_refined_as_its_files_are(given, command, kind):
    files = sorted((given / "poses").iterdir())
    frames = [json.loads(path.read_text()) for path in files]
    whole = frames if kind == "a list" else {f"{path.name[:12]}.png": f for path, f in zip(files, frames, strict=True)}
    (given / "all.json").write_text(json.dumps(whole, indent=1))
    assert command("folder", given / "images", given / "all.json", "-o", given / "all_out.json") == 0
    assert command("folder", given / "images", given / "poses", "-o", given / "out") == 0
    wanted = [json.loads(path.read_text()) for path in sorted((given / "out").glob("*.json"))]
    text = (given / "all_out.json").read_text()
    assert text == json.dumps(wanted if kind == "a list" else dict(zip(whole, wanted, strict=True)), indent=1)
    if kind == "a list":
        (given / "short.json").write_text(json.dumps(frames[1:]))
        assert command("folder", given / "images", given / "short.json", "-o", given / "short_out.json") == 1


@pytest.mark.parametrize("category", [None, "cat"])
def test_only_one_category_is_refined(given, command, category):
    results = people(given / "poses.json")
    for i in (1, 2):
        results[i]["category_id"] = 17
    (given / "mixed.json").write_text(json.dumps(results))
    images = [{"id": str(i), "file_name": f"{i:012d}.png"} for i in range(COUNT)]
    categories = [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}]
    (given / "names.json").write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    more = ["--annotations", given / "names.json", *(["--category", category] if category else [])]
    assert command("folder", given / "images", given / "mixed.json", "-o", given / "out.json", *more) == 0
    out = people(given / "out.json")
    changed = [old["keypoints"] != new["keypoints"] for old, new in zip(results, out, strict=True)]
    assert changed == [i in (1, 2) if category else i in (0, 3) for i in range(COUNT)]


def test_what_is_not_a_document_is_named(given, command, caplog):
    file = sorted((given / "poses").iterdir())[0]
    assert command("folder", given / "images", file, "-o", given / "out.json") == 1
    assert "recognised as format openpose, the people of one image; expected" in caplog.text
