"""Refiner.refine_video: what time does, with a network that says what the test wants; and what comes back."""

import json
import weakref

import numpy as np
import pytest
import torch
from fakes.predictor import Told

from pose_refine import Poses, Refiner
from pose_refine.crops.geometry import to_image
from pose_refine.skeletons import NETWORK, SKELETONS, convert
from pose_refine.video.pipeline import analyze_frames, windows
from pose_refine.video.settings import AHEAD, Settings
from pose_refine.video.stages import FramePredictor

SIDE = 200
IMAGE = np.zeros((SIDE, SIDE, 3), np.uint8)
WRIST = NETWORK.joints.index("left_wrist")
PERSON = np.array(
    [[100, 30], [104, 26], [96, 26], [108, 30], [92, 30], [120, 60], [80, 60], [130, 90], [70, 90], [135, 120],
     [65, 120], [112, 120], [88, 120], [114, 150], [86, 150], [115, 180], [85, 180]], np.float32,
)  # fmt: skip


class Obedient(Refiner):
    """Its network finds every joint where it is told to be, in the score that it is told, and counts its looks."""

    def __init__(self, score=0.9):
        super().__init__(Told(self.found))
        self.score, self.looks = score, 0

    def found(self, batch):
        self.looks += len(batch.shown)
        places = np.nan_to_num(to_image(batch.shown, batch.matrices), nan=SIDE / 2)
        found = np.concatenate([places, np.full((*places.shape[:2], 1), self.score)], -1)
        return torch.from_numpy(found.astype(np.float32))


class Stubborn(Obedient):
    """Its network is unsure of a wrist that is far to the right, and leaves it there."""

    def found(self, batch):
        found = super().found(batch)
        found[..., 2] = torch.where(found[..., 0] > 160, 0.2, 0.9)
        return found


def moving(count, step=1.0):
    """(count, 1, 17, 3): the person, walking to the right."""
    poses = np.repeat(np.concatenate([PERSON, np.full((17, 1), 0.8, np.float32)], 1)[None, None], count, 0)
    poses[..., 0] += step * np.arange(count, dtype=np.float32)[:, None, None] - step * count / 2
    return poses


def run(refiner, poses, ids="one", **options):
    ids = [[1] * len(p) for p in poses] if ids == "one" else ids
    return list(refiner.refine_video([IMAGE] * len(poses), list(poses), ids=ids, **options))


class Mistrustful(Obedient):
    """Its network finds everybody 50 pixels below where it is told."""

    def found(self, batch):
        found = super().found(batch)
        found[..., 1] += 50
        return found


def test_key_frames_are_looked_at_as_photographs_are():
    """Closer, where the pose was far off; the frames between are told by these."""
    refiner, photographs = Mistrustful(), Mistrustful()
    run(refiner, moving(8))
    for pose in moving(8)[::2]:
        photographs.refine(IMAGE, pose)
    assert photographs.looks == 8
    assert refiner.looks == 8 + 4


def test_all_looks_are_told_how_far_poses_are_believed():
    """Key frames, closer looks, and frames with hints."""
    told = []

    class Told(Mistrustful):
        def found(self, batch):
            told.extend(batch.trust)
            return super().found(batch)

    run(Told(), moving(8), trust=0.25)
    assert len(told) == 8 + 4
    assert set(told) == {0.25}


def test_a_still_person_stays():
    poses = moving(20, step=0)
    out = np.stack(run(Obedient(), poses, smooth="zero_phase"))
    assert out.shape == poses.shape
    assert np.abs(out[..., :2] - poses[..., :2]).max() < 0.05
    assert out[..., 2] == pytest.approx(np.full(out.shape[:3], 0.9), abs=1e-3)


@pytest.mark.parametrize("smooth", [None, "zero_phase", "one_euro"])
def test_fast_motion_is_not_blurred(smooth):
    poses = moving(24, step=6)  # a fifth of its width a frame
    out = np.stack(run(Obedient(), poses, smooth=smooth))
    assert np.abs(out[..., :2] - poses[..., :2])[6:].max() < (4 if smooth == "one_euro" else 1)


def beside(*shifts):
    """(20, 1, 17, 3) each: people half as large who stand still, so far beside the middle."""
    small = moving(20, step=0)
    small[..., :2] = 100 + (small[..., :2] - 100) / 2
    return [small + np.float32([shift, 0, 0]) for shift in shifts]


def test_a_cut_ends_everybodys_track():
    """Somebody else stands nearly where somebody stood."""
    (first, second) = beside(0, 12)
    frames = [np.full_like(IMAGE, 40) for _ in range(20)]
    for n, image in enumerate(frames):
        image[:100] = 200 if n < 9 else 40
        image[:, :100] += 0 if n < 9 else 160
    poses = list(np.concatenate([first[:9], second[9:]]))
    found = list(Obedient().analyze_video(frames, poses, smooth="zero_phase"))
    assert [r.poses.ids for r in found] == [[1]] * 9 + [[2]] * 11
    for refined, pose in zip(found, poses, strict=True):
        assert np.abs(refined.poses.keypoints - pose[..., :2]).max() < 0.05


@pytest.mark.parametrize("before", [[1, 2], None], ids=["exchanged", "not known before, and spelt as ours"])
def test_people_whom_a_tracker_exchanges_stay_where_they_are(before):
    poses = np.concatenate(beside(-50, 50), axis=1)
    ids = [before] * 9 + [[2, 1]] * 11
    found = list(Obedient().analyze_video([IMAGE] * 20, list(poses), ids=ids, smooth="zero_phase"))
    assert [r.poses.ids for r in found] == [[1, 2]] * 9 + [[2, 1]] * 11
    for refined, pose in zip(found, poses, strict=True):
        assert np.abs(refined.poses.keypoints - pose[..., :2]).max() < 0.05


@pytest.mark.parametrize("length", [1, 2, 3])
def test_sides_exchanged_for_some_frames_come_back(length):
    poses = moving(24)
    flipped = poses.copy()
    flipped[10 : 10 + length] = flipped[10 : 10 + length][:, :, SKELETONS["coco17"].mirror]
    refiner = Unsure()
    out = np.stack(run(refiner, flipped))
    assert np.abs(out[..., :2] - poses[..., :2]).max() < 4


class Unsure(Obedient):
    """Its network is less sure where a person's left is on the right."""

    def found(self, batch):
        found = super().found(batch)
        left, right = NETWORK.joints.index("left_shoulder"), NETWORK.joints.index("right_shoulder")
        found[found[:, left, 0] < found[:, right, 0], :, 2] = 0.3
        return found


def test_a_wrist_that_jumps_comes_back_with_the_score_of_those_around():
    poses = moving(24)
    jumped = poses.copy()
    jumped[12, 0, WRIST, :2] = [190, 20]
    out = np.stack(run(Stubborn(), jumped))
    assert np.linalg.norm(out[12, 0, WRIST, :2] - poses[12, 0, WRIST, :2]) < 2
    assert out[12, 0, WRIST, 2] == pytest.approx(0.9, abs=0.01)


def test_a_missing_joint_takes_its_hint_from_the_frames_around():
    poses = moving(24)
    holed = poses.copy()
    holed[9:12, 0, WRIST] = np.nan  # frame 10 is a key frame: the network finds it in the middle of the image
    out = np.stack(run(Stubborn(), holed))
    assert np.linalg.norm(out[[9, 11], 0, WRIST, :2] - poses[[9, 11], 0, WRIST, :2], axis=-1).max() < 3


def test_one_look_a_frame_and_a_twentieth_more():
    refiner = Stubborn()
    run(refiner, moving(40))
    assert refiner.looks == 40
    wild = moving(40)
    wild[..., :2] += np.random.default_rng(0).normal(0, 30, wild[..., :2].shape)
    refiner.looks = 0
    run(refiner, wild)
    assert 40 < refiner.looks <= 42
    refiner.looks = 0
    run(refiner, moving(40), passes=2)
    assert refiner.looks == 80


def test_memory_is_bounded():
    alive = most = 0

    def gone():
        nonlocal alive
        alive -= 1

    def frames():
        nonlocal alive
        for _ in range(120):
            image = IMAGE.copy()
            weakref.finalize(image, gone)
            alive += 1
            yield image

    poses = moving(120, step=0)
    for _ in Obedient().refine_video(frames(), iter(poses), ids=iter([[1]] * 120)):
        most = max(most, alive)
    assert 0 < most <= 4 * AHEAD


def test_windows_show_every_frame_once_with_those_around():
    for count in (0, 1, AHEAD, 3 * AHEAD + 1):
        seen = []
        for held, now in windows(iter(range(count)), AHEAD):
            assert len(held) <= 3 * AHEAD
            here = held[now]
            seen += here
            assert held[0] == max(0, here[0] - AHEAD)
            assert held[-1] == min(count - 1, here[-1] + AHEAD) or held[-1] == count - 1
        assert seen == list(range(count))


def test_a_live_camera_waits_for_nothing():
    given = []

    def frames():
        for i in range(6):
            given.append(i)
            yield IMAGE

    for count, _ in enumerate(Obedient().refine_video(frames(), iter(moving(6)), ids=[[1]] * 6, ahead=0)):
        assert len(given) == count + 1


def test_people_come_and_go_and_an_empty_frame():
    poses = [moving(1)[0], np.empty((0, 17, 3), np.float32), np.repeat(moving(1)[0], 2, 0), None]
    poses[2][1, :, 0] += 90
    out = list(Obedient().analyze_video([IMAGE] * 4, poses))
    assert [r.poses.ids for r in out] == [[1], [], [1, 2], []]
    assert [len(r.poses) for r in out] == [1, 0, 2, 0]
    assert run(Obedient(), poses, ids=None)[3] is None


def test_a_person_without_joints_stays_so():
    poses = moving(4)
    poses[2] = np.nan
    out = np.stack(run(Obedient(), poses))
    assert np.isnan(out[2]).all()
    assert np.isfinite(out[[0, 1, 3]]).all()


@pytest.mark.parametrize("mode", ["map", "mota"])
def test_a_frame_that_does_not_decode_keeps_its_poses(mode):
    poses = moving(9)
    poses[5, ..., 2] = 0.5  # less than mota's threshold, but it is the estimator's
    frames = [IMAGE] * 9
    frames[4] = frames[5] = None
    out = list(Obedient().refine_video(frames, list(poses), ids=[[1]] * 9, mode=mode))
    assert np.array_equal(out[4], poses[4])
    assert np.array_equal(out[5], poses[5])
    assert not np.array_equal(out[6], poses[6])  # the score, at least


@pytest.mark.parametrize(("frames", "poses"), [(20, 25), (25, 20), (5, 6), (1, 0)])
def test_frames_that_have_poses_are_refined_before_it_is_told_that_others_lack_them(frames, poses):
    results = Obedient().refine_video([IMAGE] * frames, list(moving(poses)), ids=[[1]] * max(frames, poses))
    count = 0
    with pytest.raises(ValueError, match=r"poses for .*more"):
        for _ in results:
            count += 1
    assert count == min(frames, poses)


def test_all_frames_broken():
    poses = moving(3)
    out = list(Obedient().refine_video([None] * 3, list(poses)))
    assert np.array_equal(np.stack(out), poses)


def test_people_with_an_id_that_repeats_are_linked_as_if_they_had_none(caplog):
    """AlphaPose without tracking calls everybody 0, in any order; the third has an identity, and keeps it."""
    poses = np.repeat(moving(6), 3, 1)
    poses[:, 1, :, 0] += 60
    poses[:, 2, :, 0] += 120
    poses[1::2, :2] = poses[1::2, 1::-1]
    out = list(Obedient().analyze_video([IMAGE] * 6, list(poses), ids=[[0, 0, "anna"]] * 6))
    assert [r.poses.ids for r in out] == [[1, 2, "anna"], [2, 1, "anna"]] * 3
    assert np.abs(np.stack([r.poses.keypoints for r in out]) - poses[..., :2]).max() < 1
    assert caplog.text.count("id 0 occurs more than once") == 1


def test_somebody_whose_id_turns_out_to_repeat_keeps_it(caplog):
    poses = [p[:1] for p in moving(6)]
    poses[3:] = [np.concatenate([p, p + np.float32([60, 0, 0])])[::-1] for p in poses[3:]]
    out = list(Obedient().analyze_video([IMAGE] * 6, poses, ids=[[0]] * 3 + [[0, 0]] * 3))
    assert [r.poses.ids for r in out] == [[0]] * 3 + [[1, 0]] * 3


def test_ids_of_numpy_and_of_nobody():
    given = [openpose(i) for i in range(3)]
    out = list(Obedient().refine_video([IMAGE] * 3, given, ids=np.array([[5], [5], [-1]])))
    assert [r["people"][0]["person_id"] for r in out] == [[-1], [-1], [1]]
    assert json.loads(json.dumps(out)) == out
    results = Obedient().analyze_video([IMAGE] * 3, given, ids=[[np.int64(5)], [5.0], [[5]]])
    ids = [r.poses.ids for r in results]
    assert ids == [[5]] * 3
    assert all(type(i) is int for row in ids for i in row)


def test_a_result_does_not_share_the_callers_ids():
    own = [[7]] * 2
    out = list(Obedient().analyze_video([IMAGE] * 2, list(moving(2)), ids=own))
    out[0].poses.ids.append(8)
    assert own == [[7]] * 2


def test_known_ids_are_kept():
    given = [Poses(PERSON[None], np.ones((1, 17), np.float32), "coco17", ["anna"]) for _ in range(3)]
    out = list(Obedient().refine_video([IMAGE] * 3, given))
    assert [p.ids for p in out] == [["anna"]] * 3


@pytest.mark.parametrize("threshold", [0.5, 0.95])
def test_mota_drops_unsure_joints(threshold):
    out = np.stack(run(Obedient(), moving(3), mode="mota", threshold=threshold))
    assert (out == 0).all() if threshold > 0.9 else (out != 0).all()
    kept = run(Obedient(), moving(3), mode="map", threshold=threshold)
    assert (np.stack(kept) != 0).all()
    given = [Poses(PERSON[None], np.ones((1, 17), np.float32), "coco17") for _ in range(2)]
    poses = run(Obedient(), given, mode="mota", threshold=threshold)
    assert all(p.present.all() != (threshold > 0.9) for p in poses)


def test_mota_leaves_joints_that_the_network_does_not_know():
    body = np.full((2, 1, 25, 3), 0.9, np.float32)
    known = convert(moving(2)[:, 0], SKELETONS["coco17"], SKELETONS["body25"])
    body[:, 0] = np.where(np.isnan(known), body[:, 0] * [100, 170, 1], known)
    out = np.stack(run(Obedient(), body, mode="mota", threshold=0.95))
    toe = SKELETONS["body25"].joints.index("left_big_toe")
    assert np.array_equal(out[:, 0, toe], body[:, 0, toe])
    assert (out[:, 0, 1:8] == 0).all()


def openpose(x):
    body = np.zeros((25, 3))
    joints = [SKELETONS["body25"].joints.index(j) for j in SKELETONS["coco17"].joints]
    body[joints] = np.concatenate([PERSON + np.array([x, 0]), np.full((17, 1), 0.8)], 1)
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": body.reshape(-1).tolist()}]}


def test_new_ids_are_written_where_there_is_a_place():
    given = [openpose(i) for i in range(3)]
    before = json.dumps(given)
    out = list(Obedient().refine_video([IMAGE] * 3, given))
    assert [p["people"][0]["person_id"] for p in out] == [[1]] * 3
    assert json.dumps(given) == before


def test_files_of_poses(tmp_path):
    paths = [tmp_path / f"{i}.json" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_text(json.dumps(openpose(i)))
    for poses in (paths, tmp_path):
        out = list(Obedient().refine_video([IMAGE] * 3, poses))
        assert [p["people"][0]["person_id"] for p in out] == [[1]] * 3


def test_to_another_skeleton():
    out = run(Obedient(), moving(3), to="mpii16")
    assert [o.shape for o in out] == [(1, 16, 3)] * 3


def test_an_order_that_limbs_told_once_holds_where_there_are_too_few():
    frames = np.zeros((4, 1, 25, 3), np.float32)
    frames[:, :, :17] = moving(4)
    frames[2:, :, 3:] = 0  # a nose and eyes alone
    results = Obedient().analyze_video([IMAGE] * 4, list(frames), ids=[[1]] * 4)
    assert [r.poses.skeleton for r in results] == ["body25b"] * 4


def test_what_the_network_said_is_not_asked_again():
    said = {}
    first, second = Obedient(), Obedient()
    poses = list(moving(20))

    def results(refiner, known, tell):
        pairs = ((IMAGE, "rgb", p) for p in poses)
        predictor = FramePredictor(refiner.predictor, 4, known, tell)
        return [r.poses.keypoints for _, r in analyze_frames(predictor, pairs, None, Settings(smooth="zero_phase"))]

    whole = results(first, {}, lambda name, found: said.setdefault(name, json.loads(json.dumps(found.tolist()))))
    half = {name: joints for name, joints in said.items() if int(name.split()[0]) < 10}
    assert np.array_equal(results(second, half, None), whole)
    assert second.looks == first.looks // 2


BAD = {
    "mode": ({"mode": "MOTA"}, ValueError, "mode must be one of"),
    "smooth": ({"smooth": "euro"}, ValueError, "smooth must be one of"),
    "fps": ({"fps": 0}, ValueError, "fps"),
    "ahead": ({"ahead": -1}, ValueError, "ahead"),
    "passes": ({"passes": 3}, ValueError, "passes must be 1 or 2"),
    "batch_size": ({"batch_size": True}, ValueError, "batch_size"),
    "threshold": ({"threshold": 70}, ValueError, "threshold"),
    "skeleton": ({"skeleton": "coco"}, ValueError, "frame 0: unknown skeleton"),
    "ids of other people": ({"ids": [[1, 2]]}, ValueError, "frame 0: ids: expected 1"),
    "ids for more frames": ({"ids": [[1]] * 3}, ValueError, "ids for more frames than the 2"),
    "ids for fewer frames": ({"ids": [[1]]}, ValueError, "ids for 1 frames, but there are more"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    options, error, words = BAD[name]
    with pytest.raises(error, match=words):
        list(Obedient().refine_video([IMAGE] * 2, list(moving(2)), **options))


ONE_FOR_ALL = {"a dict of frames": {0: [], 1: []}, "one image's people": openpose(0), "nothing": None, "a number": 3}


@pytest.mark.parametrize("name", ONE_FOR_ALL)
def test_poses_that_are_not_one_a_frame(name):
    with pytest.raises(TypeError, match=r"poses: got a .*expected one entry a frame, a folder of files, or COCO"):
        list(Obedient().refine_video([IMAGE] * 2, ONE_FOR_ALL[name]))


def test_poses_that_cannot_be_read_name_their_frame():
    with pytest.raises(ValueError, match="frame 1: poses: expected shape"):
        list(Obedient().refine_video([IMAGE] * 2, [moving(1)[0], np.zeros((1, 17, 4))]))
    with pytest.raises(TypeError, match=r"frame 0: poses: "):
        list(Obedient().refine_video([IMAGE], [object()]))


def test_the_real_network(refiner, photo, pose):
    """People and frames together come to what they come to alone."""
    frames, poses = [photo] * 3, [np.concatenate([pose, pose[:, SKELETONS["coco17"].mirror]])] * 3
    out = list(refiner.refine_video(frames, poses, ids=[[1, 2]] * 3))
    assert np.abs(out[0] - refiner.refine(photo, poses[0]))[0, :11, :2].max() < 20
    assert all(o.shape == (2, 17, 3) and np.isfinite(o).all() for o in out)


NOWHERE = {
    "a video": (("nope.mp4", list(moving(2))), {}, FileNotFoundError, r"nope\.mp4"),
    "a video of known frame rate": (("nope.mp4", list(moving(2))), {"fps": 25}, FileNotFoundError, r"nope\.mp4"),
    "no video": ((__file__, list(moving(2))), {"fps": 25}, ValueError, "not a video"),
    "a document": (([IMAGE], "nope.json"), {}, FileNotFoundError, r"nope\.json"),
    "one pose": (([IMAGE], {"people": []}), {}, TypeError, "expected one entry a frame"),
    "no frames": ((3, []), {}, TypeError, "frames: expected a video, .* got int"),
    "a mode": (([IMAGE], []), {"mode": "MAP"}, ValueError, "mode"),
}


@pytest.mark.parametrize("name", NOWHERE)
@pytest.mark.parametrize("method", ["refine_video", "analyze_video"])
def test_what_is_wrong_with_arguments_is_told_at_the_call(method, name):
    given, options, error, words = NOWHERE[name]
    with pytest.raises(error, match=words):
        getattr(Obedient(), method)(*given, **options)
