"""Refiner and refine(): what comes back for everything that may come in."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from fakes.predictor import Told

import pose_refine
from pose_refine import Poses, Refiner, refine
from pose_refine.crops.geometry import to_image
from pose_refine.nn import backends
from pose_refine.skeletons import MPII_CONVENTION, SKELETONS

RNG = np.random.default_rng(0)


def people(count, joints=17, low=50, high=450):
    xy = RNG.uniform(low, high, (count, joints, 2))
    return np.concatenate([xy, RNG.uniform(0, 1, (count, joints, 1))], -1).astype(np.float32)


def with_value(poses, index, value):
    out = poses.copy()
    out[index] = value
    return out


@pytest.fixture
def large_batches(monkeypatch):
    """As on a machine with memory and cores for them."""
    monkeypatch.setattr(backends, "_largest_layer", 1 << 40)


EMPTY = np.full((1, 17, 3), np.nan, np.float32)
ODD = {
    "nobody": np.zeros((0, 17, 3), np.float32),
    "a person without any joint": EMPTY,
    "zeros are missing": np.zeros((1, 17, 3), np.float32),
    "one joint": with_value(EMPTY, (0, 5), (200, 200, 0.9)),
    "all joints in one point": np.full((1, 17, 3), 100, np.float32),
    "far outside": people(2, low=1e6, high=2e6),
    "very far outside": people(1) * np.float32(1e30),
    "one joint far outside": with_value(people(1), (0, 3), (-1e9, 1e9, 1)),
    "scores NaN": with_value(people(1), (..., 2), np.nan),
    "scores negative": with_value(people(1), (..., 2), -3),
    "scores above 1": with_value(people(1), (..., 2), 17),
    "someone beside nobody": np.concatenate([EMPTY, people(1), EMPTY]),
    "two columns": people(2)[..., :2],
    "one person alone": people(1)[0],
    "one person alone, two columns": people(1)[0, :, :2],
    "float64": people(1).astype(np.float64),
    "integers": people(1).astype(np.int64),
    "strided": people(4)[::2],
    "mpii": people(2, 16),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_poses(refiner, photo, name):
    poses = ODD[name]
    before = poses.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*wholly outside")  # see `test_who_lies_outside_the_image_is_told`
        out = refiner.refine(photo, poses)
    assert out.shape == (*poses.shape[:-1], 3)
    assert out.dtype == np.float32
    assert np.array_equal(poses, before, equal_nan=True)
    given = ~np.isnan(poses[..., 0]) & ~(poses == 0).all(-1)
    refined = np.broadcast_to(given.any(-1, keepdims=True), given.shape)
    assert np.isfinite(out[refined][:, :2]).all()
    assert ((out[refined][:, 2] >= 0) & (out[refined][:, 2] <= 1)).all()
    if poses.shape[-1] == 3:
        assert np.array_equal(out[~refined], poses[~refined].astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(("count", "batch_size"), [(4, 64), (5, 1)], ids=["one batch", "alone"])
def test_the_order_of_people_does_not_matter(refiner, photo, count, batch_size, large_batches):
    """In batches of other sizes the network rounds otherwise, and a closer look passes that through it again."""
    assert refiner.predictor.fitting(batch_size) in (1, 64)
    poses, order = people(count), np.array([3, 0, 4, 1, 2])
    order = order[order < count]
    straight, shuffled = (refiner.refine(photo, p, batch_size=batch_size) for p in (poses, poses[order]))
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-3)


BAD = {
    "K without skeleton": (people(1, 21), {}, ValueError, "21 joints need skeleton="),
    "K of another skeleton": (people(1, 17), {"skeleton": "mpii16"}, ValueError, "16 joints, got 17"),
    "one column": (people(1)[..., :1], {}, ValueError, r"\(N, K, 2\)"),
    "four columns": (np.zeros((1, 17, 4)), {}, ValueError, r"\(N, K, 2\)"),
    "four dimensions": (people(2)[:, None], {}, ValueError, r"\(2, 1, 17, 3\)"),
    "Inf": (with_value(people(1), (0, 0, 0), np.inf), {}, ValueError, "Inf"),
    "text": (people(1).astype(str), {}, ValueError, "numbers"),
    "complex": (people(1).astype(complex), {}, ValueError, "numbers"),
    "unknown skeleton": (people(1), {"skeleton": "coco"}, ValueError, "unknown skeleton 'coco'"),
    "unknown to": (people(1), {"to": "coco"}, ValueError, "unknown skeleton 'coco'"),
    "unknown color": (people(1), {"color": "RGB"}, ValueError, "'RGB'"),
    "trust above 1": (people(1), {"trust": 1.5}, ValueError, "trust: expected a number from 0"),
    "trust a word": (people(1), {"trust": "all"}, ValueError, "trust"),
    "batch_size 0": (people(1), {"batch_size": 0}, ValueError, "batch_size"),
    "batch_size a float": (people(1), {"batch_size": 2.0}, ValueError, "batch_size"),
    "nested lists": (people(1).tolist(), {}, TypeError, "numpy array"),
    "nothing": (None, {}, TypeError, "NoneType"),
    "a path that is not there": ("none.json", {}, FileNotFoundError, "none.json"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_poses(refiner, photo, name):
    poses, options, error, words = BAD[name]
    with pytest.raises(error, match=words):
        refiner.refine(photo, poses, **options)


def test_empty_in_empty_out_without_weights(photo):
    nobody = np.zeros((0, 17, 3), np.float32)
    assert refine(photo, nobody, model="no/such/folder").shape == (0, 17, 3)


def test_the_batch_size_changes_nothing(refiner, photo, pose, large_batches):
    """But the last digits, by which an unsure joint may fall to another place that is as good: and where that decides
    where to look closer, that person's other joints move by less than a pixel."""
    assert refiner.predictor.fitting(64) == 64
    crowd = np.repeat(pose, 9, axis=0)
    crowd[..., :2] += np.random.default_rng(0).normal(0, 4, (9, 17, 2))
    together, alone = refiner.refine(photo, crowd), refiner.refine(photo, crowd, batch_size=1)
    apart = np.abs(together - alone).max(-1)
    assert (apart.max(1) > 0.01).sum() <= 1
    assert apart[alone[..., 2] > 0.5].max() < 1


def test_people_nearby_are_seen(refiner, photo, pose):
    beside = pose + np.float32([40, 10, 0])
    assert np.abs(refiner.refine(photo, np.concatenate([pose, beside]))[0] - refiner.refine(photo, pose)[0]).max() > 0.1


def test_a_row_of_many_is_that_person(refiner, photo, pose):
    crowd = np.concatenate([EMPTY, pose, EMPTY])
    assert np.abs(refiner.refine(photo, crowd)[1] - refiner.refine(photo, pose)[0]).max() < 0.01


class Moving(Refiner):
    """Its network finds whoever is on the right 60 pixels further to the left than the pose that it is shown."""

    def __init__(self):
        super().__init__(Told(self.found))
        self.seen = []

    def found(self, batch):
        self.seen.append((to_image(batch.initial, batch.matrices), to_image(batch.shown, batch.matrices)))
        found = np.where(np.isnan(self.seen[-1][1]), self.seen[-1][0], self.seen[-1][1])
        found[np.nanmean(found[..., 0], 1) > 300, :, 0] -= 60
        with_scores = np.concatenate([np.nan_to_num(found), np.full((*found.shape[:2], 1), 0.9)], -1)
        return torch.from_numpy(with_scores.astype(np.float32))


def test_the_more_poses_are_trusted_the_less_they_move(refiner, photo, pose):
    """Half of the joints are right, the others on the neighbour's place."""
    wrong = pose.copy()
    wrong[:, ::2, :2] += 60
    moved = [refiner.analyze(photo, wrong, trust=t).shift for t in (0, 0.25, 0.5, 0.75, 1)]
    means = [np.nanmean(m) for m in moved]
    assert means[0] > means[-1] + 5
    assert all(more > less - 0.5 for more, less in pairwise(means))
    np.testing.assert_array_equal(refiner.refine(photo, wrong, trust=0.5), refiner.refine(photo, wrong))


@pytest.mark.filterwarnings("ignore:CPU Autocast")
def test_a_callers_autocast_does_not_reach_in(refiner, photo, pose):
    with torch.autocast("cpu", torch.bfloat16):
        found = refiner.refine(photo, pose)
    np.testing.assert_array_equal(found, refiner.refine(photo, pose))


OUTSIDE = {
    "one of another photograph": (np.concatenate([people(1), people(1) + np.float32(5000)]), "person 1 lies"),
    "poses of a larger copy": (people(3, low=2000, high=4000), "3 of 3 people lie"),
    "left and above": (people(2) - np.float32(9000), "2 of 2 people lie"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_who_lies_outside_the_image_is_told(refiner, photo, name):
    poses, told = OUTSIDE[name]
    with pytest.warns(UserWarning, match=f"{told} wholly outside the image of .* another size") as found:
        refiner.refine(photo, poses)
    assert found[0].filename == __file__


def test_who_lies_outside_in_part_is_not_told(refiner, photo):
    """Estimators say where feet would be below the picture."""
    low = people(1) + np.array([0, photo.shape[0] - 110, 0], np.float32)
    assert (low[0, :, 1] > photo.shape[0]).any()
    refiner.refine(photo, low)


def test_what_a_refiner_is_called(refiner):
    assert repr(refiner) == "Refiner(device='cpu', dtype=torch.float32)"


def test_poses_in_shares_of_the_image_are_told(photo):
    poses = people(1, low=0, high=1)[0]
    with pytest.warns(UserWarning, match=r"are they in \[0, 1\]"):
        Moving().refine(photo, poses)


def test_whose_pose_was_far_off_is_looked_at_again(photo):
    """With what was found, and judged by the pose as it came."""
    refiner, (left, right) = Moving(), people(1, low=50, high=150)[0] + np.array([[[0, 0, 0]], [[350, 0, 0]]])
    poses = np.stack([left, right]).astype(np.float32)
    out = refiner.refine(photo, poses)
    first, again = refiner.seen
    assert len(first[0]) == 2
    assert len(again[0]) == 1
    for initial, shown, by in ((*first, 0), (*again, 60)):
        np.testing.assert_allclose(initial[-1, :17], right[:, :2], atol=0.01)
        seen = ~np.isnan(shown[-1, :17, 0])  # what can be one body's
        assert seen.sum() > 8
        np.testing.assert_allclose(shown[-1, :17][seen], (right[:, :2] - [by, 0])[seen], atol=0.01)
    np.testing.assert_allclose(out[..., :2], [left[:, :2], right[:, :2] - [120, 0]], atol=0.01)


def test_bgr_and_strided_and_read_only_images(refiner, photo, pose):
    expected = refiner.refine(photo, pose)
    bgr = photo[:, :, ::-1]  # negative strides
    frozen = photo.copy()
    frozen.setflags(write=False)
    assert np.array_equal(refiner.refine(bgr, pose, color="bgr"), expected)
    assert np.array_equal(refiner.refine(frozen, pose), expected)
    assert np.array_equal(refiner.refine(torch.from_numpy(photo), pose), expected)
    assert not np.array_equal(refiner.refine(bgr, pose), expected)  # colour matters


def test_one_pixel(refiner):
    out = refiner.refine(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 17, 2)) + 0.25)
    assert np.isfinite(out).all()


def test_eight_threads_share_a_refiner(refiner, photo, pose):
    inputs = [np.nan_to_num(pose) + i for i in range(8)]
    expected = [refiner.refine(photo, p) for p in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda p: refiner.refine(photo, p), inputs))
    assert all(np.abs(a - e).max() < 0.01 for a, e in zip(answers, expected, strict=True))


def test_recover_gives_every_missing_joint_a_place(refiner, photo, pose):
    missing = np.isnan(pose[0, :, 0])
    assert 0 < missing.sum() < 17
    assert np.isfinite(refiner.refine(photo, pose)).all()
    kept = refiner.refine(photo, pose, recover=False)
    assert np.isnan(kept[0, missing, 0]).all()
    assert np.isfinite(kept[0, ~missing]).all()


def test_legs_outside_the_picture_are_not_claimed(refiner, photo, pose):
    out = refiner.refine(photo, pose)[0]
    names = SKELETONS["coco17"].joints
    ankles = [names.index("left_ankle"), names.index("right_ankle")]
    assert out[ankles, 2].max() < 0.5 < np.median(out[:5, 2])


@pytest.mark.parametrize("to", ["mpii16", "body25", "coco18", "lsp14", "coco17"])
def test_to_another_skeleton(refiner, photo, pose, to):
    skeleton = SKELETONS[to]
    out = refiner.refine(photo, pose, to=to)
    assert out.shape == (1, len(skeleton.joints), 3)
    same = refiner.refine(photo, pose)
    apart = np.linalg.norm(out[0, skeleton.joints.index("left_elbow"), :2] - same[0, 7, :2])
    assert apart < (10 if to in MPII_CONVENTION else 0.01)  # MPII's are maps of their own
    assert refiner.refine(photo, pose[0], to=to).shape == (len(skeleton.joints), 3)
    if to == "body25":
        assert np.isnan(out[0, -6:, :2]).all()  # feet: not known


def test_poses_in_poses_out(refiner, photo, pose):
    poses = Poses(pose[..., :2], pose[..., 2], "coco17", ids=["Eileen"])
    out = refiner.refine(photo, poses, to="mpii16")
    assert isinstance(out, Poses)
    assert (out.skeleton, out.ids) == ("mpii16", ["Eileen"])


@pytest.mark.parametrize("joint", ["nose", "right_eye", "left_shoulder", "right_wrist"])
def test_a_lone_joint_that_is_off_comes_back(refiner, photo, pose, joint):
    """80 pixels both ways in an otherwise good pose; the elbows of this photograph do not: README, Limits."""
    moved, k = pose.copy(), SKELETONS["coco17"].joints.index(joint)
    moved[0, k, :2] += 80
    result = refiner.analyze(photo, moved)
    assert result.verdict[0, k] == "moved"
    assert (
        np.linalg.norm(result.poses.keypoints[0, k] - pose[0, k, :2]) < 12
    )  # of 512 pixels; where it was is an estimate, too


def test_analyze_says_what_changed(refiner, photo, pose):
    moved = pose.copy()
    moved[0, 0, :2] += 80
    result = refiner.analyze(photo, moved)
    height = np.ptp(result.poses.keypoints[0, :, 1])
    assert result.verdict[0, 0] == "moved"
    assert np.isclose(result.shift[0, 0], np.linalg.norm(result.poses.keypoints[0, 0] - moved[0, 0, :2]))
    missing = np.isnan(pose[0, :, 0])
    assert set(result.verdict[0, missing]) == {"recovered"}
    assert np.isnan(result.shift[0, missing]).all()
    kept = result.verdict[0] == "kept"
    assert (result.shift[0, kept] <= 0.01 * height + 1e-3).all()
    assert set(refiner.analyze(photo, moved, recover=False).verdict[0, missing]) == {"missing"}


def test_middles_move_with_their_parts(refiner, photo, pose):
    names = SKELETONS["mpii16"].joints
    mpii = refiner.refine(photo, pose, to="mpii16")
    mpii[0, names.index("pelvis"), :2] += 7  # off the middle of the hips, as annotators put it
    result = refiner.analyze(photo, mpii)
    hips = [names.index("left_hip"), names.index("right_hip")]
    shift = (result.poses.keypoints - result.initial.keypoints)[0]
    assert np.allclose(shift[names.index("pelvis")], shift[hips].mean(0), atol=1e-3)


def test_a_joint_far_outside_does_not_fling_the_middle(refiner, photo, pose):
    names = SKELETONS["mpii16"].joints
    mpii = refiner.refine(photo, pose, to="mpii16")
    mpii[0, names.index("left_hip"), 0] = 1e5
    out = refiner.refine(photo, mpii)
    assert np.abs(out[0, :, :2]).max() < 2000
    assert np.linalg.norm(out[0, names.index("pelvis"), :2] - mpii[0, names.index("pelvis"), :2]) < 100


def test_feet_far_outside_stay(refiner, photo, pose):
    body = np.zeros((1, 25, 3), np.float32)
    body[0, [0, 16, 15, 5, 2, 6, 3]] = pose[0, [0, 1, 2, 5, 6, 7, 8]]
    body[0, 20] = (1e5, 1e5, 0.5)
    assert refiner.refine(photo, body, skeleton="body25")[0, 20].tolist() == [1e5, 1e5, 0.5]


def test_feet_of_somebody_far_outside_stay(refiner, photo):
    """The network is asked at the border, where nothing is; that is no place for a foot."""
    body = np.random.default_rng(0).uniform(2000, 2400, (1, 25, 3)).astype(np.float32)
    body[..., 2] = 0.9
    feet = slice(19, 25)
    with pytest.warns(UserWarning, match="wholly outside"):
        refined = refiner.refine(photo, body, skeleton="body25")
    np.testing.assert_array_equal(refined[0, feet], body[0, feet])


def test_who_is_found_twice_is_refined_as_once(refiner, photo, pose):
    sides = pose[:, SKELETONS["coco17"].mirror]
    for poses in (pose, sides):
        alone = refiner.refine(photo, poses)
        twice = refiner.refine(photo, np.concatenate([poses, poses + np.float32([1, 1, 0])]))
        there = alone[0, :, 2] > 0.5
        assert np.abs(twice[0] - alone[0])[there].max() < 3


def test_a_face_alone_is_seen(refiner, photo, pose):
    """A crop of two eyes would show nobody."""
    face = np.full_like(pose, np.nan)
    face[0, :3] = pose[0, :3]
    out = refiner.refine(photo, face)
    assert out[0, :3, 2].min() > 0.5
    assert np.abs(out[0, :3, :2] - pose[0, :3, :2]).max() < 5


def test_devices_that_are_not_there():
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ValueError, match=f"cannot use '{device}'"):
            Refiner.from_pretrained(device=device)


def test_loading_leaves_the_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Refiner.from_pretrained(device="cpu")
    assert torch.rand(1) == expected


def test_scores_tell_joints_apart(refiner, photo, pose):
    scores = refiner.refine(photo, pose)[0, :, 2]
    assert scores.max() - scores.min() > 0.3


def test_device_and_dtype():
    assert Refiner.from_pretrained(device="cpu", dtype=torch.bfloat16).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="dtype"):
        Refiner.from_pretrained(device="cpu", dtype=torch.int8)


def test_bfloat16_is_close(refiner, photo, pose):
    half = Refiner.from_pretrained(device="cpu", dtype=torch.bfloat16)
    shift = np.linalg.norm((half.refine(photo, pose) - refiner.refine(photo, pose))[..., :2], axis=-1)
    assert np.median(shift) < 2  # pixels of a person 500 px high


def test_without_mirror_images(photo, pose, refiner):
    """The same joints, nearly, of embedded weights that look at mirror images unless told not to."""
    plain = Refiner.from_pretrained(device="cpu", flip=False)
    assert plain.predictor.model.views == 1
    apart = np.abs(plain.refine(photo, pose) - refiner.refine(photo, pose))[..., :2]
    assert apart.max() > 0
    assert np.median(apart) < 2
    views = {name: Refiner.from_pretrained(name, device="cpu").predictor.model.views for name in ("small", "base")}
    assert views == {"small": 1, "base": 2}
    assert Refiner.from_pretrained("small", device="cpu", flip=True).predictor.model.views == 2


def test_a_refiner_has_its_device(refiner, photo, pose):
    with pytest.raises(ValueError, match="device"):
        refine(photo, pose, model=refiner, device="cpu")


def test_public_names():
    assert sorted(pose_refine.__all__) == ["Poses", "Refinement", "Refiner", "Skeleton", "refine", "refine_many"]
