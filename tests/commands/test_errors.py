"""What an estimator does wrong, from files, as a user asks for it."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pose_refine.cli import main
from pose_refine.skeletons import SKELETONS

COCO = SKELETONS["coco17"]
WRIST, OTHER = COCO.joints.index("left_wrist"), COCO.joints.index("right_wrist")


def standing(shift):
    return np.stack([100.0 + 20 * np.arange(17) + shift, 50.0 + 40 * (np.arange(17) % 5)], -1)


def labels(people):
    """COCO annotations: each person an (image, joints)."""
    found = [
        {"id": n + 1, "image_id": i, "category_id": 1, "keypoints": np.pad(j, ((0, 0), (0, 1)), constant_values=2)
         .ravel().tolist(), "num_keypoints": 17, "area": 2500, "bbox": [0, 0, 9, 9], "iscrowd": 0}
        for n, (i, j) in enumerate(people)
    ]  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.png"} for i in sorted({i for i, _ in people})]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "keypoints": list(COCO.joints)}]}


def results(people, score=0.5):
    return [
        {"image_id": i, "category_id": 1, "score": 0.9,
         "keypoints": np.pad(j, ((0, 0), (0, 1)), constant_values=score).ravel().tolist()}
        for i, j in people
    ]  # fmt: skip


@pytest.fixture
def files(tmp_path):
    """Three images of a person; one exact, one with its left wrist on the right one, one nowhere."""
    wrong = standing(0)
    wrong[WRIST] = wrong[OTHER]
    (tmp_path / "gt.json").write_text(json.dumps(labels([(1, standing(0)), (2, standing(0)), (3, standing(0))])))
    (tmp_path / "pr.json").write_text(json.dumps(results([(1, standing(1)), (2, wrong)])))
    return tmp_path


def errors(folder, *more):
    return main(
        ["errors", "--truth", str(folder / "gt.json"), "--predictions", str(folder / "pr.json"), *map(str, more)]
    )


class Page(HTMLParser):
    """Checks that what is opened is closed, and collects what would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.sources += [v for k, v in attributes if k in ("src", "href")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass


def test_table_and_words(files, capsys):
    assert errors(files) == 0
    out = capsys.readouterr().out
    assert "3 people in 3 images" in out
    assert "1 person was not found at all." in out
    assert "Inversion: 2.0 % are on the other side: left for right; most often left wrist 33.3 %." in out
    row = next(line for line in out.splitlines() if line.startswith("| left wrist "))
    assert row.split("|")[2:9] == [" 3 ", " 33.3 ", " 0.0 ", " 33.3 ", " 0.0 ", " 0.0 ", " 33.3 "]
    assert "| 0.50 to 0.50 | 34 | 0.50 |" in out


def test_json(files, capsys):
    assert errors(files, "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert errors(files, "--json", files / "out.json") == 0
    assert "| joint |" in capsys.readouterr().out
    assert json.loads((files / "out.json").read_text()) == alone
    assert (alone["people"], alone["images"], alone["found"], alone["extra"]) == (3, 3, 2, 0)
    wrist = next(joint for joint in alone["joints"] if joint["name"] == "left_wrist")
    assert wrist["shares"]["inversion"] == pytest.approx(100 / 3)
    assert wrist["bias"] == pytest.approx([1, 0])
    assert wrist["doubt"] == [None, None]
    assert alone["words"]


def test_page(files, caplog):
    title = "<script>alert(1)</script>"
    assert errors(files, "-o", files / "page.html", "--title", title) == 0
    text = (files / "page.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.sources == []
    assert "<script" not in text
    assert len(re.findall("<g><title>", text)) == 17
    assert "page.html" in caplog.text
    assert errors(files, "-o", files / "page.html") == 1
    assert "--overwrite" in caplog.text
    assert errors(files, "-o", files / "page.html", "--overwrite") == 0


def test_joints_that_the_estimator_does_not_know_are_left_out(files, capsys, caplog):
    """OpenPose's COCO model has a neck in the middle, and no upper neck; MPII's labels have one."""
    people = labels([(1, standing(0)[:16])])
    people["categories"][0]["keypoints"] = list(SKELETONS["mpii16"].joints)
    (files / "gt.json").write_text(json.dumps(people))
    (files / "pr.json").write_text(json.dumps(results([(1, standing(0))])))
    assert errors(files) == 0
    assert "left out, not in the predictions: upper_neck, head_top" in caplog.text
    assert "| upper neck" not in capsys.readouterr().out


def test_labels_without_areas_and_scores_that_are_none(files, capsys):
    people = labels([(1, standing(0))])
    del people["annotations"][0]["area"]
    (files / "gt.json").write_text(json.dumps(people))
    (files / "pr.json").write_text(json.dumps(results([(1, standing(0))], score=2.5)))
    assert errors(files) == 0
    assert "100.0 % are good" in capsys.readouterr().out


BAD = {
    "no predictions": ([], "expected predictions, got nobody"),
    "another image": (results([(9, standing(0))]), "are not in the labels"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_nothing_is_written(files, caplog, name):
    content, words = BAD[name]
    (files / "pr.json").write_text(json.dumps(content))
    assert errors(files, "-o", files / "page.html") == 1
    assert words in caplog.text
    assert not (files / "page.html").exists()


def test_one_file_for_two_outputs(files, caplog):
    assert errors(files, "-o", files / "x", "--json", files / "x") == 1
    assert "name the same file" in caplog.text
