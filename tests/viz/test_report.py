"""The page: what it says, in what order, and that it needs nothing else and can be used."""

from html.parser import HTMLParser

import browser
import cv2
import numpy as np
import pytest

from pose_refine import Poses
from pose_refine.prepared import compare
from pose_refine.viz.report import write_report

VOID = {"img", "input", "meta", "link", "br", "hr", "meter"}


class Page(HTMLParser):
    """Checks that what is opened is closed, and collects what would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.cards = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.sources += [given[k] for k in ("src", "href") if k in given]
        if tag == "article":
            self.cards.append(given)
        if tag not in VOID - {"meter"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def entry(photo, pose, moves, name="photo.jpg"):
    """One image with as many people as `moves`: how far each one's left wrist moved, NaN for a recovered one."""
    people = np.repeat(np.nan_to_num(pose, nan=300), len(moves), 0)
    before = people.copy()
    before[:, 9, 0] += np.array(moves, np.float32)
    poses = [Poses(p[..., :2], p[..., 2], "coco17") for p in (before, people)]
    return name, photo, compare(*poses)


def page_of(tmp_path, entries, **options):
    path = tmp_path / "page.html"
    totals = write_report(iter(entries), path, **options)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return totals, page, path


def test_figures_and_order(tmp_path, photo, pose):
    totals, page, path = page_of(tmp_path, [entry(photo, pose, [0, 90]), entry(photo, pose, [np.nan, 40], "b.jpg")])
    assert (totals.images, totals.people) == (2, 4)
    assert totals.verdicts == {"kept": 4 * 17 - 3, "moved": 2, "recovered": 1}
    assert totals.joints["left_wrist"].verdicts == {"kept": 1, "moved": 2, "recovered": 1}
    shifts = [float(card["data-shift"]) for card in page.cards]
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[0] > shifts[1] > 0 == shifts[3]
    assert "left wrist 90.0" in path.read_text()


def test_nothing_is_fetched(tmp_path, photo, pose):
    _, page, _ = page_of(tmp_path, [entry(photo, pose, [9])])
    assert page.sources
    assert all(source.startswith("data:") for source in page.sources)


def test_only_the_worst_are_shown_and_all_are_counted(tmp_path, photo, pose):
    moves = [5, 80, 10, 60, 0]
    totals, page, path = page_of(tmp_path, [entry(photo, pose, moves)], limit=2)
    assert totals.people == 5
    assert [card["data-place"] for card in page.cards] == ["-1", "-3"]
    assert "3 others are counted above" in path.read_text()
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        write_report([], path, limit=0)


def test_names_are_text(tmp_path, photo, pose):
    name = '<script>alert("x")</script>.jpg'
    _, page, path = page_of(tmp_path, [entry(photo, pose, [9], name)], title=name)
    assert "<script>alert" not in path.read_text()
    assert len(page.cards) == 1


def test_nobody_and_people_without_joints(tmp_path, photo):
    nobody = Poses(np.full((1, 17, 2), np.nan, np.float32), np.zeros((1, 17), np.float32), "coco17")
    totals, _, path = page_of(tmp_path, [("a.jpg", photo, compare(nobody, nobody))])
    assert totals.verdicts == {"missing": 17}
    assert "No joints, before or after" in path.read_text()


def test_without_anybody_no_page_is_written(tmp_path, photo):
    nobody = Poses(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), "coco17")
    for entries, count in (([], 0), ([("a.jpg", photo, compare(nobody, nobody))] * 2, 2)):
        with pytest.raises(ValueError, match=f"nobody in {count} images, before or after: no page is written"):
            write_report(entries, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("squeezed", "apart"), [(1.0, False), (0.3, True)])
def test_narrow_people_are_shown_whole_side_by_side(tmp_path, photo, pose, squeezed, apart):
    """With a divider in its middle, a narrow picture shows half of either pose."""
    name, image, result = entry(photo, np.nan_to_num(pose, nan=300) * np.float32([squeezed, 1, 1]), [3])
    _, page, path = page_of(tmp_path, [(name, image, result)])
    text = path.read_text()
    assert ('<div class="apart"' in text) == apart
    assert ('<div class="pair"' in text) == (not apart)
    assert len(page.sources) == 2


SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.mark.skipif(browser.PATH is None, reason="needs Chromium, which is not installed")
@pytest.mark.parametrize("size", SIZES)
def test_in_a_browser(tmp_path, photo, pose, size):
    """Screenshots are left in tmp_path."""
    _, _, path = page_of(tmp_path, [entry(photo, pose, [5, 80, 10])])
    width, height = SIZES[size]
    with browser.Browser(tmp_path / "profile", path, width, height) as page:
        assert page.value("document.documentElement.scrollWidth") <= width
        box = page.value(
            "(r => [r.x, r.y, r.width, r.height])(document.querySelector('.pair').getBoundingClientRect())"
        )
        x, y, wide, high = box
        page.call("Runtime.evaluate", expression=f"scrollTo(0, {y - 100})")
        y = page.value("document.querySelector('.pair').getBoundingClientRect().y")
        middle = y + high / 2
        value = "Number(document.querySelector('.pair input').value)"
        assert page.value(value) == 50
        page.drag((x + wide / 2, middle), (x + wide / 5, middle))
        assert page.value(value) < 35
        if size == "phone":
            page.swipe((x + wide / 5, middle), (x + wide * 0.8, middle))
            assert page.value(value) > 65
        before = page.value(value)
        page.press("ArrowLeft", 37)
        assert page.value(value) < before
        (tmp_path / f"{size}.png").write_bytes(page.screenshot())
        assert page.errors == []
    picture = cv2.imread(str(tmp_path / f"{size}.png"))
    assert picture.shape[:2] == (height, width)
    assert picture.std() > 20
