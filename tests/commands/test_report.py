"""The page from files, as a user makes it."""

import json
import shutil

import cv2
import pytest

from pose_refine.cli import main


@pytest.fixture
def refined(coco, command):
    """Frames, their poses as a folder and as one file, before and after refining."""
    given = coco(3)
    assert command("folder", given / "images", given / "poses", "-o", given / "out") == 0
    assert command("folder", given / "images", given / "poses.json", "-o", given / "out.json") == 0
    return given


def report(folder, *arguments):
    return main(["report", *(str(folder / a) for a in arguments), "-o", str(folder / "page.html")])


@pytest.mark.parametrize(
    "kind", [("images", "poses", "out"), ("images", "poses.json", "out.json")], ids=["folder", "document"]
)
def test_every_person_is_on_the_page(refined, kind, caplog):
    assert report(refined, *kind) == 0
    page = (refined / "page.html").read_text()
    assert page.count("<article") == 3
    assert page.count("data:image/webp") == 6
    assert "id [-1]" not in page  # OpenPose's way to say that there is none
    assert "3 people in 3 images" in caplog.text
    assert report(refined, *kind) == 1
    assert "--overwrite" in caplog.text


def test_one_image(refined):
    name = f"{1:012d}"
    assert report(refined, f"images/{name}.png", f"poses/{name}_keypoints.json", f"out/{name}_keypoints.json") == 0
    assert (refined / "page.html").read_text().count("<article") == 1


def test_what_does_not_fit_together_is_told_and_left_out(refined, caplog):
    names = [f"{i:012d}_keypoints.json" for i in range(3)]
    (refined / "out" / names[0]).write_text(json.dumps({"people": []}))
    (refined / "out" / names[1]).write_text("{")
    shutil.copy(refined / "poses" / names[2], refined / "poses" / "another.json")
    assert report(refined, "images", "poses", "out") == 1
    assert (refined / "page.html").read_text().count("<article") == 1
    for words in (
        "the same people before and after, got 1 body25 and 0",
        "not a JSON file",
        "only in one",
        "another.json",
    ):
        assert words in caplog.text


def test_a_video(refined, caplog):
    frames = [cv2.imread(str(path)) for path in sorted((refined / "images").iterdir())]
    writer = cv2.VideoWriter(str(refined / "v.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    (refined / "out" / f"{2:012d}_keypoints.json").unlink()
    assert report(refined, "v.mp4", "poses", "out") == 1  # it tells of the frame that lacks its poses
    page = (refined / "page.html").read_text()
    assert page.count("<article") == 2
    assert "v.mp4, frame 1" in page
    assert f"{2:012d}_keypoints.json" in caplog.text


def test_without_anybody_no_page_is_written(refined, caplog):
    for folder in ("poses", "out"):
        for path in (refined / folder).glob("*.json"):
            path.write_text(json.dumps({"people": []}))
    assert report(refined, "images", "poses", "out") == 1
    assert "nobody in 3 images, before or after: no page is written" in caplog.text
    assert not (refined / "page.html").exists()


BAD = {
    "no images": (("none", "poses", "out"), "no such file or folder"),
    "folder and file": (("images", "poses", "out.json"), "two folders or two files"),
    "nothing in common": (("images", "poses", "images"), "no name in common"),
    "one image's poses": (
        ("images", f"poses/{0:012d}_keypoints.json", f"out/{0:012d}_keypoints.json"),
        "IMAGES must be",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_writes_nothing(refined, caplog, name):
    paths, words = BAD[name]
    assert report(refined, *paths) == 1
    assert words in caplog.text
    assert not (refined / "page.html").exists()


def test_annotations_that_name_no_images(refined, caplog):
    (refined / "names.json").write_text(json.dumps({"annotations": []}))
    files = [str(refined / name) for name in ("images", "poses.json", "out.json")]
    more = ["--annotations", str(refined / "names.json"), "-o", str(refined / "page.html")]
    assert main(["report", *files, *more]) == 1
    assert "expected COCO annotations: an 'images' list" in caplog.text
