"""Pages: links lead somewhere, every page is in the site's menu, and the reference names what there is."""

import re
from pathlib import Path

import pytest
import yaml

import pose_refine

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("weights/*/README.md")])
LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


class Loader(yaml.SafeLoader):
    """Knows mkdocs' names of Python functions, which it leaves alone."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def site():
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def text_of(path):
    return CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """As GitHub and the site spell headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h)).strip().lower() for h in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(text_of(page)):
        place, _, anchor = link.partition("#")
        if place.startswith(("http://", "https://", "mailto:")):
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def pages_in(menu):
    for entry in menu:
        (place,) = entry.values()
        yield from pages_in(place) if isinstance(place, list) else [place]


def test_every_page_is_in_the_menu_once():
    assert sorted(pages_in(site()["nav"])) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_reference_has_all_public_names():
    named = re.findall(r"^::: pose_refine\.(\w+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) == set(pose_refine.__all__)


def test_links_out_of_the_pages_lead_to_the_repository():
    home: dict = {}
    exec((DOCS / "site_hooks.py").read_text(encoding="utf-8"), home)
    change = home["on_page_markdown"]
    config = {"repo_url": site()["repo_url"]}
    expected = f"[a]({site()['repo_url']}/blob/main/examples/a.py) [b](formats.md#x) `../c`"
    assert change("[a](../examples/a.py) [b](formats.md#x) `../c`", config=config) == expected
