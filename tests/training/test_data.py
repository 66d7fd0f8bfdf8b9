"""Reading, joining and splitting of training sets."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.stickman import stickman

from pose_refine.crops.geometry import GREY
from pose_refine.skeletons import COCO_JOINTS, NETWORK, SKELETONS
from pose_refine.training.data import (
    SETS,
    People,
    box_area,
    join,
    lend,
    load_images,
    nearest_others,
    read_coco,
    read_jhmdb,
    read_lsp,
    read_mpii,
    read_predictions,
    read_training_sets,
    rescale,
    select,
    split_by_image,
    take,
    unseen,
)


def joint(name):
    return NETWORK.joints.index(name)


def people_of(centres, images, estimators=()):
    """Made-up people around their centres, in images of no files."""
    count = len(centres)
    offsets = np.random.default_rng(0).normal(size=(count, 19, 2))
    keypoints = (np.array(centres)[:, None] + offsets - offsets.mean(1, keepdims=True)).astype(np.float32)
    return People(
        keypoints=keypoints,
        area=np.arange(1, count + 1, dtype=np.float32),
        image=np.array(images),
        files=[Path(f"{i}.png") for i in range(max(images) + 1)],
        predicted=np.zeros((count, len(estimators), 19, 3), dtype=np.float32),
        estimators=list(estimators),
        weight=np.ones(count, dtype=np.float32),
        mpii=np.arange(count) % 2 == 1,
    )


@pytest.fixture
def coco(data):
    return read_coco(data / "coco", "train", data / "predictions" / "coco_train")


@pytest.fixture
def lsp(data):
    return read_lsp(data / "lsp_extended", "train", data / "predictions" / "lsp_train")


def test_read_coco(coco):
    assert [len(coco.area), len(coco.files)] == [5, 3]  # neither the crowd nor the person of three joints
    assert [f.name for f in coco.files] == ["1.png", "2.png", "3.png"]
    assert coco.image.tolist() == [0, 0, 1, 1, 2]
    assert (~np.isnan(coco.keypoints[..., 0])).sum(1).tolist() == [17, 12, 9, 7, 17]
    np.testing.assert_allclose(coco.area, 0.53 * np.array([2250, 2128, 2640, 1200, 2880]))
    np.testing.assert_allclose(coco.keypoints[0, joint("left_ankle")], (8 + 0.74 * 30, 85), rtol=1e-5)
    assert np.isnan(coco.keypoints[:, 17:]).all()
    assert all(f.is_file() for f in coco.files)
    assert not coco.mpii.any()


def test_small_and_blurred_people_are_drawn_less_often(coco):
    """Persons 11 and 12 are large and sharp, 13 and 14 in an image that is not, and 14 small too."""
    np.testing.assert_allclose(coco.weight, [1, 1, 0.6, 0.3, 1])


def test_coco_predictions_go_by_id(coco):
    assert coco.estimators == ["alpha", "beta"]
    near = np.abs(coco.predicted[:, :, :17, :2] - coco.keypoints[:, None, :17])
    assert np.nanmax(near) < 4
    assert np.isnan(coco.predicted[1, 1]).all()  # beta did not see person 12
    assert not np.isnan(coco.predicted[[0, 2, 3, 4], 1, :17]).any()


def test_read_predictions_of_unknown_people_and_folders(data, tmp_path):
    predicted, names = read_predictions(data / "predictions" / "coco_train", np.array([777, 13]))
    assert names == ["alpha", "beta"]
    assert np.isnan(predicted[0]).all()
    assert not np.isnan(predicted[1, :, :17]).any()
    predicted, names = read_predictions(tmp_path / "none", np.array([1, 2]))
    assert names == []
    assert predicted.shape == (2, 0, 19, 3)


def test_read_lsp(lsp):
    assert [f.name for f in lsp.files] == ["a.png", "b.png"]
    assert lsp.image.tolist() == [0, 1]
    np.testing.assert_allclose(lsp.keypoints[1, joint("head_top")], (40, 15))
    np.testing.assert_allclose(lsp.keypoints[1, joint("right_ankle")], (20 + 0.26 * 40, 85))
    assert np.isnan(lsp.keypoints[0, joint("right_ankle")]).all()
    assert np.isnan(lsp.keypoints[:, :5]).all()
    np.testing.assert_allclose(lsp.area, box_area(lsp.keypoints))
    assert lsp.predicted.shape == (2, 1, 19, 3)
    assert lsp.mpii.all()


def test_a_set_of_one_person_an_image_leaves_out_who_is_hardly_labelled(data, tmp_path):
    with np.load(data / "lsp_extended" / "joints_train.npz") as z:
        keypoints, names = z["keypoints"].copy(), z["file_name"]
    keypoints[0, 4:, 2] = 0
    np.savez(tmp_path / "joints_train.npz", file_name=names, keypoints=keypoints)
    people = read_lsp(tmp_path, "train", data / "predictions" / "lsp_train")
    assert people.image.tolist() == [1]
    assert len(people.files) == 2
    assert np.nanmax(np.abs(people.predicted[0, 0, :17, :2] - people.keypoints[0, :17])) < 4


MPII_PEOPLE = [  # file, size, where the hips are, joints without a label
    ("b.png", 60, (30, 50), ()),
    ("a.png", 50, (50, 40), ("left_wrist", "head_top")),
    ("b.png", 55, (90, 45), SKELETONS["mpii16"].joints[4:]),  # too few labels
    ("b.png", 70, (60, 55), ()),
]


def labelled_by_mpii(row):
    """(16, 3); every other joint is hidden, and labelled nevertheless."""
    _, size, hips, unlabelled = MPII_PEOPLE[row]
    pose, joints = stickman(size, hips), SKELETONS["mpii16"].joints
    places = [pose[joint(name)] if name in NETWORK.joints else hips for name in joints]
    missing = np.isin(joints, unlabelled)[:, None]
    hidden = np.arange(16)[:, None] % 2
    return np.concatenate([np.where(missing, np.nan, places), hidden], 1).astype(np.float32)


@pytest.fixture
def mpii(tmp_path):
    """Several people an image, in no order; predictions go by the file's rows."""
    names, keypoints = [p[0] for p in MPII_PEOPLE], np.stack([labelled_by_mpii(row) for row in range(4)])
    np.savez(tmp_path / "joints_train.npz", file_name=np.array(names), keypoints=keypoints)
    (tmp_path / "predictions").mkdir()
    predicted = np.array([3, 0], np.float32)[:, None, None] + np.zeros((2, 19, 3), np.float32)
    np.savez(tmp_path / "predictions" / "alpha.npz", ann_id=np.array([3, 0]), keypoints=predicted)
    return read_mpii(tmp_path, "train", tmp_path / "predictions")


def test_read_mpii(mpii):
    assert [f.name for f in mpii.files] == ["a.png", "b.png"]
    assert [mpii.files[i].name for i in mpii.image] == ["b.png", "a.png", "b.png"]
    assert mpii.mpii.all()
    for person, row in enumerate((0, 1, 3)):
        known = np.isin(NETWORK.joints, SKELETONS["mpii16"].joints) & ~np.isin(NETWORK.joints, MPII_PEOPLE[row][3])
        expected = np.where(known[:, None], stickman(*MPII_PEOPLE[row][1:3]), np.nan)
        np.testing.assert_allclose(mpii.keypoints[person], expected, rtol=1e-6)
    assert np.isnan(mpii.keypoints[:, :5]).all()  # MPII has no faces
    np.testing.assert_allclose(mpii.area, box_area(mpii.keypoints))
    assert mpii.estimators == ["alpha"]
    assert mpii.predicted[0, 0].max() == 0
    assert mpii.predicted[2, 0].min() == 3
    assert np.isnan(mpii.predicted[1]).all()


def test_people_of_mpii_have_neighbours(mpii):
    assert nearest_others(mpii).tolist() == [[2, -1, -1], [-1, -1, -1], [0, -1, -1]]


def test_read_jhmdb(tmp_path):
    names = ["neck", "face", *(f"{s}_{n}" for s in "rl" for n in ("shoulder", "elbow", "wrist", "hip", "knee"))]
    keypoints = np.ones((1, len(names), 3), dtype=np.float32)
    keypoints[0, :, 0] = np.arange(len(names))
    keypoints[0, names.index("l_wrist"), 2] = 0
    (tmp_path / "train").mkdir()
    np.savez(tmp_path / "train" / "joints.npz", file_name=["clip/1.png"], keypoints=keypoints, joint_names=names)
    people = read_jhmdb(tmp_path, "train", tmp_path)
    assert people.files == [tmp_path / "train" / "clip" / "1.png"]
    labelled = [n for n, there in zip(NETWORK.joints, ~np.isnan(people.keypoints[0, :, 0]), strict=True) if there]
    assert sorted(labelled) == sorted(
        f"{side}_{n}" for side in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hip", "knee")
        if (side, n) != ("left", "wrist")
    )  # fmt: skip
    assert people.keypoints[0, joint("right_hip"), 0] == names.index("r_hip")
    assert not people.mpii.any()


def test_box_area():
    keypoints = np.full((2, 19, 2), np.nan, dtype=np.float32)
    keypoints[0, :3] = (10, 10), (30, 20), (15, 60)
    keypoints[1, 0] = 5, 5
    np.testing.assert_allclose(box_area(keypoints), [0.53 * 20 * 50, 0.53])


def test_join_keeps_people_with_their_images_and_estimators_with_their_names(coco, lsp):
    lsp = replace(lsp, estimators=["gamma"])
    both = join([lsp, coco], [0.25, 0.75])
    assert both.estimators == ["alpha", "beta", "gamma"]
    assert [both.files[i].name for i in both.image] == ["a.png", "b.png", "1.png", "1.png", "2.png", "2.png", "3.png"]
    np.testing.assert_array_equal(both.predicted[:2, 2], lsp.predicted[:, 0])
    np.testing.assert_array_equal(both.predicted[2:, :2], coco.predicted)
    assert np.isnan(both.predicted[:2, :2]).all()
    assert np.isnan(both.predicted[2:, 2]).all()
    np.testing.assert_array_equal(both.keypoints, np.concatenate([lsp.keypoints, coco.keypoints]))
    assert both.mpii.tolist() == [True] * 2 + [False] * 5


def test_join_draws_each_set_by_its_share(coco, lsp):
    both = join([coco, lsp], [0.8, 0.17])
    assert both.weight[:5].sum() == pytest.approx(0.8)
    assert both.weight[5:].sum() == pytest.approx(0.17)
    assert both.weight[3] / both.weight[0] == pytest.approx(0.3)


def test_read_training_sets_reads_what_is_there(data, tmp_path):
    people = read_training_sets(data)
    assert [len(people.area), len(people.files)] == [7, 5]
    assert people.estimators == ["alpha", "beta"]
    (tmp_path / "coco").symlink_to(data / "coco")
    assert len(read_training_sets(tmp_path).area) == 5
    with pytest.raises(FileNotFoundError, match="expected one of coco, mpii, lsp_extended, jhmdb"):
        read_training_sets(tmp_path / "coco")


def test_the_sets_share_all_samples():
    assert sum(share for _, share in SETS.values()) == pytest.approx(1)


def test_estimators_may_be_left_out(data):
    everyone, without = read_training_sets(data), read_training_sets(data, ["alpha"])
    assert [everyone.estimators, without.estimators] == [["alpha", "beta"], ["beta"]]
    np.testing.assert_array_equal(without.predicted[:, 0], everyone.predicted[:, 1])
    with pytest.raises(ValueError, match=r"no predictions of \['gamma'\], only of \['alpha', 'beta'\]"):
        read_training_sets(data, ["gamma", "beta"])


@pytest.mark.parametrize("every", [17, 4, 2])
def test_no_image_is_on_both_sides(every):
    images = np.random.default_rng(0).integers(0, 300, 1000).tolist()
    people = people_of([(0, 0)] * 1000, images)
    train, held = split_by_image(people, every)
    assert not set(people.image[train]) & set(people.image[held])
    assert sorted([*train, *held]) == list(range(1000))
    assert len(held) / 1000 == pytest.approx(1 / every, abs=0.03)


def test_people_whose_clip_was_trained_on_are_not_unseen():
    people = people_of([(0, 0)] * 3, [0, 1, 2])
    data = Path("sets/jhmdb")  # which is also what the folder of all sets may be called
    files = [data / "coco/train/a.png", data / "jhmdb/train/clip/b.png", data / "lsp_extended/train/c.png"]
    people = replace(people, files=files)
    assert unseen(people, np.array([1, 2]), data).tolist() == [2]
    with pytest.raises(ValueError, match="nobody is held out"):
        unseen(people, np.array([1]), data)


def test_nearest_others_are_ranked_and_in_the_same_image():
    people = people_of([(0, 0), (5, 5), (10, 0), (100, 0), (14, 0), (0, 300), (50, 50)], [0, 1, 0, 0, 0, 0, 2])
    assert nearest_others(people).tolist() == [
        [2, 4, 3],
        [-1, -1, -1],
        [4, 0, 3],
        [4, 2, 0],
        [2, 0, 3],
        [0, 2, 4],
        [-1, -1, -1],
    ]


def test_people_in_the_same_place_are_not_their_own_neighbours():
    people = people_of([(0, 0)] * 3, [0, 0, 0])
    people.keypoints[:] = 5
    others = nearest_others(people)
    assert all(i not in row for i, row in enumerate(others.tolist()))


def test_take_gives_neighbours_their_joints_and_nobody_nan(coco):
    truth = take(coco, np.array([4, 1]), nearest_others(coco))
    assert truth.others.shape == (2, 3, 19, 2)
    assert np.isnan(truth.others[0]).all()
    np.testing.assert_array_equal(truth.others[1, 0], coco.keypoints[0])
    assert np.isnan(truth.others[1, 1:]).all()
    np.testing.assert_array_equal(truth.poses, coco.keypoints[[4, 1]])
    np.testing.assert_array_equal(truth.predicted, coco.predicted[[4, 1]])
    np.testing.assert_array_equal(truth.others_predicted[1, 0], coco.predicted[0])
    assert np.isnan(truth.others_predicted[0]).all()


def test_select_keeps_only_the_images_of_those_people(coco):
    some = select(coco, np.array([4, 0, 1]))
    assert [some.files[i].name for i in some.image] == ["3.png", "1.png", "1.png"]
    assert len(some.files) == 2
    np.testing.assert_array_equal(some.keypoints, coco.keypoints[[4, 0, 1]])
    np.testing.assert_array_equal(some.weight, coco.weight[[4, 0, 1]])


def test_select_keeps_whose_labels_they_are():
    people = people_of([(0, 0)] * 4, [0, 1, 2, 3])
    assert select(people, np.array([3, 0, 1])).mpii.tolist() == [True, False, True]


def test_small_images_are_stored_as_they_are_on_grey(coco):
    images, people = load_images(coco, 128)
    assert images.shape == (3, 128, 128, 3)
    for image, file in zip(images.numpy(), coco.files, strict=True):
        rgb = cv2.imread(str(file))[:, :, ::-1]
        np.testing.assert_array_equal(image[: rgb.shape[0], : rgb.shape[1]], rgb)
        assert (image[rgb.shape[0] :] == GREY).all()
        assert (image[:, rgb.shape[1] :] == GREY).all()
    np.testing.assert_allclose(people.keypoints, coco.keypoints, atol=1e-4)


def test_large_images_are_shrunk_and_joints_stay_on_what_they_show(tmp_path):
    image = np.zeros((300, 200, 3), dtype=np.uint8)
    image[120:132, 60:72] = 255  # its middle is (65.5, 125.5)
    cv2.imwrite(str(tmp_path / "0.png"), image)
    people = replace(people_of([(0, 0)], [0], ["one"]), files=[tmp_path / "0.png"])
    people.keypoints[:] = people.predicted[..., :2] = 65.5, 125.5
    people.predicted[..., 2] = 0.7
    images, small = load_images(people, 100)
    weight = images[0, :, :66, 0].numpy().astype(float)
    rows, columns = np.indices(weight.shape)
    centroid = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    np.testing.assert_allclose(small.keypoints[0, 0], centroid, atol=0.05)
    np.testing.assert_allclose(small.predicted[0, 0, 0], (*centroid, 0.7), atol=0.05)
    np.testing.assert_allclose(small.area, people.area / 9)
    assert (images[0, :, 68:] == GREY).all()


def test_what_is_no_image_is_named(coco, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png: expected an image"):
        load_images(replace(coco, files=[tmp_path / "text.png"]), 64)


def test_rescale_keeps_pixel_centres(coco):
    """At half the size 1.5, the border of the first two pixels and the next two, becomes 0.5; and 0 becomes -0.25."""
    people = people_of([(0, 0), (0, 0)], [0, 0], ["one"])
    people.keypoints[:], people.predicted[..., 2] = 1.5, 0.9
    half = rescale(people, np.array([0.5, 1.0], dtype=np.float32))
    np.testing.assert_allclose(half.keypoints[0], 0.5)
    np.testing.assert_allclose(half.keypoints[1], 1.5)
    np.testing.assert_allclose(half.predicted[0, ..., :2], -0.25)
    np.testing.assert_allclose(half.predicted[..., 2], 0.9)
    np.testing.assert_allclose(half.area, people.area * (0.25, 1))
    assert (people.keypoints == 1.5).all()
    np.testing.assert_array_equal(np.isnan(rescale(coco, np.ones(5)).keypoints), np.isnan(coco.keypoints))


def test_lsp_has_the_joints_of_its_table(lsp):
    known = [n in SKELETONS["lsp14"].joints for n in NETWORK.joints]
    assert (~np.isnan(lsp.keypoints[1, :, 0]) == known).all()
    assert set(SKELETONS["lsp14"].joints) - set(COCO_JOINTS) == {"upper_neck", "head_top"}


def test_only_who_lends_is_lent_to():
    people = people_of(np.arange(12).reshape(6, 2) * 10, range(6), ["a", "b"])
    predicted = people.predicted.copy()
    predicted[:, :, :, :2], predicted[..., 2] = people.keypoints[:, None] + 3, 0.5
    predicted[[1, 4], 1] = np.nan
    alike = replace(people, predicted=predicted, area=np.full(6, 9, np.float32))
    lent = lend(alike, np.array([0, 1, 2]), np.random.default_rng(0))
    assert np.isnan(lent.predicted[4, 1]).all()  # held out
    np.testing.assert_allclose(lent.predicted[1, 1, :, :2], people.keypoints[1] + 3, atol=1e-4)
    assert np.isnan(predicted[1, 1]).all()  # what was handed in is as it was
