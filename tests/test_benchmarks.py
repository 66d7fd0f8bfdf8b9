"""What the benchmark counts, and that README.md's figures are of the weights that are embedded."""

import json

import figures
import numpy as np
import pytest
import roofline
import speed
import tables
import torch
import writing
from figures import Compared
from runs import DevSet

from pose_refine.metrics.oks import sigmas_of
from pose_refine.nn import weights
from pose_refine.nn.network import Network, NetworkConfig
from pose_refine.training.data import People

AREA, SIGMAS = 10_000.0, sigmas_of("coco17")
MIRROR = figures.COCO.mirror


def radius(similarity):
    """(17,) pixels at which a joint's keypoint similarity is that, from exp(-d^2 / (2 area (2 sigma)^2))."""
    return 2 * SIGMAS * np.sqrt(-2 * AREA * np.log(similarity))


def dev_of(*people):
    """People in one image, the first of whom is measured."""
    keypoints = np.full((len(people), 19, 2), np.nan, np.float32)
    keypoints[:, :17] = people
    count = len(people)
    return DevSet(
        People(keypoints, np.full(count, AREA, np.float32), np.zeros(count, int), [], np.zeros((count, 0, 19, 3)), [],
               np.ones(count, np.float32), np.zeros(count, bool)),
        np.array([0]),
    )  # fmt: skip


def standing(x=0.0):
    """A made-up person whose joints are all far from each other, and from those of one 2,000 pixels beside."""
    return np.stack([x + 100 * np.arange(17), 70 * (np.arange(17) % 3)], -1).astype(np.float32)


def moved(pose, similarity):
    return pose + np.stack([radius(similarity), np.zeros(17)], -1)


def with_scores(*poses):
    return np.concatenate([np.stack(poses), np.ones((len(poses), 17, 1))], -1).astype(np.float32)


ALL = np.ones(17, bool)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.88, 0.88, {"harm": 0, "loosen": 0, "right_after": 100}),
        (0.88, 0.72, {"harm": 0, "loosen": 100, "right_after": 0}),
        (0.88, 0.3, {"harm": 100, "loosen": 100, "right_after": 0}),
        (0.3, 0.88, {"help": 100, "right_before": 0, "right_after": 100}),
        (0.72, 0.88, {"right_before": 0, "right_after": 100}),
        (0.3, 0.72, {"help": 0}),
    ],
    ids=["kept", "loosened", "harmed", "helped", "bettered", "bettered a little"],
)
def test_figures_of_joints_that_all_move_alike(before, after, expected):
    person = standing()
    poses = [with_scores(moved(person, s)) for s in (before, after)]
    found = Compared(dev_of(person), *poses, ALL).only()
    assert {k: found[k] for k in expected} == expected
    # OKS 0.88 is above the eight thresholds .50 to .85, 0.72 above the five .50 to .70, 0.3 above none.
    recall = {0.88: 80, 0.72: 50, 0.3: 0}
    assert (found["before"], found["after"]) == (recall[before], recall[after])


def test_joints_that_the_estimator_does_not_know_do_not_count():
    person, known = standing(), np.arange(17) < 9
    after = moved(person, 0.88)
    after[9:] += 5000
    found = Compared(dev_of(person), *(with_scores(p) for p in (moved(person, 0.88), after)), known).only()
    assert (found["harm"], found["loosen"], found["after"]) == (0, 0, 80)


@pytest.mark.parametrize("kind", figures.CLASSES)
def test_error_classes(kind):
    person, other = standing(), standing(2000)
    paired = np.arange(17) != MIRROR
    pose = {
        "good": moved(person, 0.9),
        "jitter": moved(person, 0.7),
        "inversion": moved(person[MIRROR], 0.7),
        "swap": moved(other, 0.7),
        "miss": person + np.array([0, 900]),
    }[kind]
    dev = dev_of(person, other)
    compared = Compared(dev, with_scores(pose, other), with_scores(pose, other), paired)
    assert figures.error_classes(compared, compared.before) == {k: 100.0 * (k == kind) for k in figures.CLASSES}


def test_kinds_of_people():
    """A person of 120 pixels who stands, one of 300 who hangs head down and whose box is half another's."""
    small, large = np.zeros((17, 2), np.float32), np.zeros((17, 2), np.float32)
    small[:, 1], small[:, 0] = np.linspace(0, 120, 17), np.arange(17)
    large[:, 1], large[:, 0] = 1000 - np.linspace(0, 300, 17), np.arange(17)
    twin = large + np.array([0, 100], np.float32)
    dev = dev_of(small, large, twin)
    dev = DevSet(dev.people, np.arange(3))
    poses = with_scores(small, large, twin)
    found = {k: v["people"] for k, v in figures.by_person(Compared(dev, poses, poses, ALL)).items()}
    assert found == {
        "box under 128 px": 1, "over 256 px": 2, "alone": 1, "touching another person's box": 2, "upright": 1,
        "leaning more than 45 degrees": 2,
    }  # fmt: skip


def test_reliability_and_its_error():
    """Two joints at 0.1 of which one is right, two at 0.9 that are: (0.5 x 0.4 + 0.5 x 0.1) x 100 = 25."""
    curve = figures.reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([True, False, True, True]))
    assert curve == [[0.5, pytest.approx(0.1), 0.5], [0.5, pytest.approx(0.9), 1.0]]
    assert tables.calibration_error(curve) == pytest.approx(25)


def test_calibration_error_by_chance():
    """As drawn: right scores, and 400 joints that are right as often as these say."""
    curve, rng = [[0.25, 0.2, 0.9], [0.75, 0.6, 0.1]], np.random.default_rng(0)
    drawn = [abs(rng.binomial(400 * w, p, 20_000) / (400 * w) - p).mean() * w for w, p, _ in curve]
    assert tables.error_by_chance(curve, 400) == pytest.approx(100 * sum(drawn), rel=0.02)


def test_between_markers():
    text = f"a\n{writing.BEGIN}\nold\n{writing.END}\nb"
    assert writing.between_markers(text, "new") == f"a\n{writing.BEGIN}\n\nnew\n\n{writing.END}\nb"
    with pytest.raises(ValueError, match="expected one"):
        writing.between_markers("no markers", "new")


@pytest.mark.parametrize(
    ("name", "path"),
    [*tables.QUALITY.items(), *((n, p) for n, p in tables.MPII.items() if p.exists())],
)
def test_figures_are_of_these_weights(name, path):
    assert json.loads(path.read_text())["sha256"] == weights.read_config(weights.find(name)).sha256


@pytest.mark.parametrize("path", [p for p in (tables.ROBUSTNESS, tables.TRUST) if p.exists()])
def test_figures_of_the_weights_before_are_called_so(path):
    """They take hours; the page says what they are of."""
    measured = json.loads(path.read_text())["sha256"]
    page = (tables.ROOT / "docs" / f"{path.stem}.md").read_text(encoding="utf-8")
    assert measured[:12] in page
    assert measured == weights.read_config(weights.find(None)).sha256 or "With the weights before" in page


def test_the_default_weights_are_those_of_the_readme():
    assert weights.find(None) == weights.find(tables.DEFAULT)


def test_the_pages_show_the_figures():
    for page, content in tables.pages():
        text = page.read_text(encoding="utf-8")
        assert writing.between_markers(text, content) == text


def test_operations_and_numbers_of_a_layer():
    """3 x 3 taps of 3 channels for each of 4 x 8 x 8 outputs of two images, a product and a sum each."""
    layer = torch.nn.Conv2d(3, 4, 3, padding=1)
    with roofline.Convolutions() as counted:
        layer(torch.zeros(2, 3, 8, 8))
    assert counted.found == [(2 * 27 * 2 * 4 * 64, 2 * 3 * 64 + 4 * 27 + 2 * 4 * 64)]


@pytest.mark.parametrize("views", [1, 2])
def test_all_convolutions_of_a_look_are_counted(views):
    """Each once: with one view, the last layers run on believing and doubting together."""
    network = roofline.filled(Network(NetworkConfig(width=8, size=(64, 64)))).eval()
    with roofline.Convolutions() as counted:
        speed.bare(network, 3, views, 3)()
    named = [name for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv2d)]
    layers = [name for name in named if views > 1 or not name.startswith("alone.")]
    assert len(counted.found) == len(layers)
    stem = 2 * 3 * 32 * 32 * 32 * 27, 3 * 3 * 65 * 65 + 32 * 27 + 3 * 32 * 32 * 32
    assert counted.found[0] == stem
    if views == 1:
        assert counted.found[-1] == (2 * 6 * 33 * 16 * 16 * 8, 6 * 8 * 16 * 16 + 33 * 8 + 6 * 33 * 16 * 16)
    assert all(operations for operations, _ in counted.found)


@pytest.mark.skipif(not speed.OUT.exists(), reason="not measured with this network")
def test_the_page_shows_the_speed():
    text = speed.PAGE.read_text(encoding="utf-8")
    table = speed.table(json.loads(speed.OUT.read_text()))
    assert writing.between_markers(text, table, speed.BEGIN, speed.END) == text
