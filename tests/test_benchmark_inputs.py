"""What the benchmarks do before anything is refined: crops and peaks of TinyPose, damage, choices of people."""

import cv2
import damage
import mpii
import numpy as np
import papers
import pytest
import robustness
import runs
import tables_robustness
import tinypose
import writing

from pose_refine.skeletons import COCO_JOINTS, SIGMAS
from pose_refine.training.data import People


def gaussians(places, height=64, width=48):
    """(1, K, height, width) heat maps with a Gaussian of two cells around each of places (K, 2)."""
    y, x = np.mgrid[:height, :width]
    squared = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return np.exp(-squared / (2 * 2.0**2))[None].astype(np.float32)


def test_dark_finds_where_a_gaussian_is():
    places = np.random.default_rng(0).uniform([6, 6], [41, 57], (17, 2))
    found, score = tinypose.peaks(gaussians(places))
    np.testing.assert_allclose(found[0], places, atol=0.05)
    assert ((score > 0.9) & (score <= 1)).all()


def test_a_peak_at_the_border_is_its_cell():
    found, _ = tinypose.peaks(gaussians(np.array([[0.3, 20.2], [47.0, 63.0]])))
    np.testing.assert_array_equal(found[0], [[0, 20], [47, 63]])


def test_a_box_and_its_margin_fill_the_crop():
    """A box of 60 x 160: 200 pixels high with its margin, 150 wide by the crop's aspect, in the middle of the crop."""
    matrix = tinypose.crop_maps(np.array([[100.0, 50.0, 160.0, 210.0]]))[0]
    corners = np.array([[0, 0, 1], [tinypose.WIDTH, tinypose.HEIGHT, 1]]) @ matrix.T
    np.testing.assert_allclose(corners, [[130 - 75, 130 - 100], [130 + 75, 130 + 100]])


def test_turned_back_maps_lie_a_quarter_cell_beside_those_of_the_image():
    """A joint at cell x, pixel 4 x, is at pixel 191 - 4 x of the mirror image, cell 47.75 - x; shifted by a whole cell,
    as the flip test of the published networks does, it comes back at x + 0.25."""
    places = np.stack([np.linspace(8, 40, 17), np.full(17, 30.0)], -1)
    mirrored = np.stack([47.75 - places[:, 0], places[:, 1]], -1)[tinypose.MIRROR]
    back, _ = tinypose.peaks(tinypose.turned_back(gaussians(mirrored)[0])[None])
    np.testing.assert_allclose(back[0] - places, np.tile([0.25, 0.0], (17, 1)), atol=0.05)


def test_square_maps_show_the_pose_in_the_middle():
    pose = np.array([[[10, 20], [50, 20], [30, 120]]], np.float32)
    matrix = runs.square_maps(pose)[0]
    side = runs.CROP_WIDTH + 2 * runs.SIDE
    np.testing.assert_allclose(matrix @ ((side - 1) / 2, (side - 1) / 2, 1), [30, 70], atol=1e-4)
    assert matrix[0, 0] == pytest.approx(100 * runs.MARGIN / side)


@pytest.fixture
def poses():
    """Five people in two images; of the third nothing is known."""
    drawn = np.random.default_rng(1).uniform(0, 100, (5, 17, 3)).astype(np.float32)
    drawn[2] = np.nan
    return drawn


IMAGE = np.array([0, 0, 0, 0, 1])


def test_fewer_drawn_joints_are_among_more():
    present = np.random.default_rng(2).random((20, 17)) < 0.8
    drawn = [damage.drawn_joints(present, n, np.random.default_rng(3)) for n in (1, 2, 30)]
    assert (drawn[0].sum(1) == 1).all() and (drawn[1].sum(1) == 2).all() and (drawn[2] == present).all()
    assert not (drawn[0] & ~drawn[1]).any()


def test_another_person_has_a_pose_and_is_in_the_same_image(poses):
    found = damage.on_another(poses, IMAGE, np.random.default_rng(0))
    for row in (0, 1, 3):
        assert any((found[row] == poses[other, :, :2]).all() for other in {0, 1, 3} - {row})
    assert np.isnan(found[[2, 4]]).all()


def test_the_nearest_persons_joints(poses):
    for row, middle in enumerate((0, 1000, 0, 300)):
        poses[row, :, :2] += middle
    found = damage.on_nearest(poses, IMAGE)
    for row, nearest in ((0, 3), (1, 3), (3, 0)):
        np.testing.assert_array_equal(found[row], poses[nearest, :, :2])


def test_half_of_the_known_joints_the_same_in_an_image():
    known = np.arange(17) < 14
    half = damage.half_of_each_image(known, IMAGE, np.random.default_rng(0))
    assert (half.sum(1) == 7).all() and not half[:, 14:].any()
    assert (half[0] == half[:4]).all()


def test_joints_are_replaced_where_there_is_a_place(poses):
    places = damage.on_another(poses, IMAGE, np.random.default_rng(0))
    which = np.zeros((5, 17), bool)
    which[:, 3] = True
    given, moved = damage.replaced(poses, places, which)
    np.testing.assert_array_equal(moved.any(1), [True, True, False, True, False])
    np.testing.assert_array_equal(given[moved][:, :2], places[moved])
    np.testing.assert_array_equal(given[~moved], poses[~moved])
    assert np.isnan(damage.without(poses, which)[:, 3]).all()


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_points_turn_with_the_image(quarters):
    image = np.arange(5 * 7).reshape(5, 7)
    points = np.array([[0, 0], [6, 4], [2, 3], [5, 1]], np.float32)
    turned = damage.turned(points, image.shape, quarters)
    after = np.rot90(image, quarters)
    x, y = turned.astype(int).T
    np.testing.assert_array_equal(after[y, x], [image[int(v), int(u)] for u, v in points])
    np.testing.assert_array_equal(damage.turned(turned, after.shape, -quarters), points)


def test_points_shrink_with_the_image():
    """The mean place of a bright square, before and after."""
    image = np.zeros((80, 120, 3), np.uint8)
    image[20:40, 60:100] = 200
    little, by = damage.shrunk(image, 0.25)
    y, x = np.argwhere(little[..., 0] > 100).mean(0)
    place = damage.resized(np.array([[79.5, 29.5]]), by)
    np.testing.assert_allclose(place, [[x, y]], atol=1e-5)
    np.testing.assert_allclose(damage.resized(place, 1 / by), [[79.5, 29.5]], atol=1e-5)


def test_pairs_in_one_place():
    """Wrists 1 % nearer and ankles 1 % farther than the radius; knees together, elbows missing."""
    pose, area = np.zeros((1, 17, 2), np.float32), np.array([5000.0])
    pose[0, :, 0] = 100 * np.arange(17)
    for limb, times in (("wrist", 0.99), ("ankle", 1.01), ("knee", 0.0)):
        left, right = (COCO_JOINTS.index(f"{side}_{limb}") for side in ("left", "right"))
        radius = 2 * SIGMAS[left] * np.sqrt(-2 * 5000 * np.log(0.85))
        pose[0, right] = pose[0, left] + np.array([0, times * radius])
    pose[0, COCO_JOINTS.index("left_elbow")] = np.nan
    found = dict(zip(damage.LIMBS, damage.in_one_place(pose, area, 0.85)[0].tolist(), strict=True))
    assert found == {"elbow": False, "wrist": True, "knee": True, "ankle": False}


def test_the_surest_people_until_the_metric_is_as_low():
    """The metric falls from 100 by a point with each person after the fiftieth."""
    sure = np.random.default_rng(0).permutation(100).astype(float)

    def figure(rows):
        assert set(sure[rows]) == set(range(100 - len(rows), 100))  # the surest, whoever they are
        return 150.0 - len(rows)

    least, some, too_low, too_good = papers.surest(sure, figure, [100, 80, 101, 40])
    assert (len(least), len(some), too_low, too_good) == (50, 70, None, None)
    assert papers.surest(sure[:49], len, [40]) == [None]


def test_sureness_is_the_mean_of_the_scores_there_are(poses):
    poses[0, 5:] = np.nan
    expected = [poses[0, :5, 2].mean(), poses[1, :, 2].mean(), -np.inf]
    np.testing.assert_allclose(papers.sureness(poses[:3]), expected, rtol=1e-6)


def test_the_nearest_of_the_papers_starts():
    assert papers.nearest_start((83.5, 57.8))[0] == (86.1, 57.3)
    assert papers.nearest_start((91.2, 61.3))[0] == (91.9, 61.6)


def test_mean_shift_in_pixels_of_the_originals_without_the_wrong_joints():
    truth = np.random.default_rng(0).uniform(0, 500, (4, 16, 2))
    heads, scale = np.full(4, 60.0), np.array([1.0, 0.5, 0.5, 1.0])
    poses = truth + np.array([4.0, -2.0]) * scale[:, None, None]
    poses[:, 3] += 1000
    poses[0, 7] = np.nan
    np.testing.assert_allclose(mpii.mean_shift(poses, truth, heads, scale), [4, -2])


def test_estimated_again_is_kept_on_disk(poses, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(runs, "run_all", lambda people, poses, step: calls.append(step) or step(None, poses))
    nothing = np.zeros((5, 0, 19, 3), np.float32)
    people = People(
        poses[..., :2],
        np.ones(5),
        IMAGE,
        [tmp_path / "a.jpg", tmp_path / "b.jpg"],
        nothing,
        [],
        np.ones(5),
        np.zeros(5, bool),
    )
    found = [runs.remembered(tmp_path, "x", people, p, lambda _, p: p + 1) for p in (poses, poses, poses + 1)]
    assert len(calls) == 2  # for other poses it is done anew
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], poses + 2)


def test_an_interrupted_run_goes_on(tmp_path):
    out = tmp_path / "quality.json"
    first = writing.Progress(out, {"sha256": "a"})
    assert first.measured("x", lambda: {"after": 1.23456789}) == {"after": 1.2346}
    again = writing.Progress(out, {"sha256": "a"})
    assert again.measured("x", pytest.fail) == {"after": 1.2346}
    assert writing.Progress(out, {"sha256": "b"}).measured("x", lambda: 2) == 2  # of other weights
    assert not out.exists()


@pytest.fixture
def dev(tmp_path):
    """Two people in one image, both measured, all joints labelled, 200 pixels tall, 150 apart."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((300, 400, 3), np.uint8))
    one = np.random.default_rng(5).uniform([20, 20], [120, 220], (17, 2)).astype(np.float32)
    keypoints = np.full((2, 19, 2), np.nan, np.float32)
    keypoints[:, :17] = one, one + np.array([150, 10])
    nothing = np.zeros((2, 0, 19, 3), np.float32)
    people = People(
        keypoints,
        np.full(2, 9000.0),
        np.zeros(2, int),
        [tmp_path / "a.png"],
        nothing,
        [],
        np.ones(2),
        np.zeros(2, bool),
    )
    return runs.DevSet(people, np.arange(2))


def unchanged(image, poses):
    """A refiner that leaves everything as it is."""
    return poses


def test_robustness_of_a_refiner_that_does_nothing(dev):
    """Others keep their places, turned and shrunk people come back where they were, and the page shows it all."""
    poses = np.concatenate([dev.truth, np.full((2, 17, 1), 0.9, np.float32)], -1)
    found = {check: measure(dev, poses, unchanged) for check, measure in robustness.CHECKS.items()}
    rows = [found["came"], *found["turned"].values(), *found["shrunk"].values()]
    rows += [row for kind in found["wrong"].values() for row in kind.values()]
    assert {(row["people"], row["before"], row["after"], row["harm"]) for row in rows} == {(2, 100, 100, 0)}
    assert all(row["oks_after"] == pytest.approx(1) for row in found["shrunk"].values())
    assert found["limbs"]["apart"] == {"pairs": 8, "before": 0, "after": 0}
    about = {"limit": None, "flip": "off", "machine": "a computer", "sha256": "0" * 64}
    page = tables_robustness.page({**about, "estimators": {"posenet": found}})
    assert page.count("PoseNet MobileNetV1") == 10 + 1 + 1 + 1


def test_two_limbs_in_one_place_are_counted(dev):
    """Of the first person one wrist alone is labelled; both people's left wrists come out on the right ones."""
    dev.people.keypoints[0, 9] = np.nan
    poses = np.concatenate([dev.truth, np.full((2, 17, 1), 0.9, np.float32)], -1)
    poses[0, 9] = [5, 5, 0.9]

    def one_wrist(image, given):
        out = given.copy()
        out[:, 9] = out[:, 10]
        return out

    found = robustness.limbs(dev, poses, one_wrist)
    assert found["apart"] == {"pairs": 7, "before": 0, "after": pytest.approx(100 / 7)}
    assert found["one"] == {"pairs": 1, "before": 0, "after": 100}
    assert found["missing"] == {"after": 100, "score": pytest.approx(0.9)}
