"""The files beside the code say what is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import pose_refine

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pose_refine"
YAML = sorted([*ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"])


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_citation_is_of_this_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == pose_refine.__version__
    assert citation["repository-code"] in read("pyproject.toml")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_changelog_has_this_version_and_what_is_not_released():
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert pose_refine.__version__ in headings
    kinds = set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_map_names_every_room():
    table = read("CONTRIBUTING.md").split("|---|---|\n")[1].split("\n\n")[0]
    assert len(table.splitlines()) == 10
    named = set(re.findall(r"`(\w+)/?`", table))
    files = {path.stem for path in SOURCE.rglob("*.py")}
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert named - files - folders == set()
    small = {"__init__", "__main__", "_types", "warned"}
    assert {path.stem for path in SOURCE.glob("*.py")} | folders <= named | small


def test_continuous_integration_calls_what_every_change_must_pass():
    test = yaml.safe_load(read(".github/workflows/test.yml"))
    assert [step.get("run") for step in test["jobs"]["test"]["steps"]][-1] == ".ci/run"
    release = yaml.safe_load(read(".github/workflows/release.yml"))
    assert release["jobs"]["test"]["uses"] == "./.github/workflows/test.yml"
    assert release["jobs"]["publish"]["permissions"] == {"id-token": "write"}


def test_the_release_reads_the_version():
    (script,) = [
        step["run"]
        for step in yaml.safe_load(read(".github/workflows/release.yml"))["jobs"]["build"]["steps"]
        if "version=" in step.get("run", "")
    ]
    environment = {"GITHUB_REF_NAME": f"v{pose_refine.__version__}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0
    environment["GITHUB_REF_NAME"] = "v99.0.0"
    assert subprocess.run(["bash", "-e", "-c", script], cwd=ROOT, env=environment, check=False).returncode != 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_what_is_in_the_source_distribution_exists():
    import tomllib

    project = tomllib.loads(read("pyproject.toml"))
    for name in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
        assert (ROOT / name).exists(), name
    assert any(c.startswith("Programming Language :: Python :: 3.10") for c in project["project"]["classifiers"])
