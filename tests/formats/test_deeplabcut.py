"""DeepLabCut's table, one image's row of it."""

import io

import numpy as np
import pytest
from fakes.deeplabcut import pandas_table, table

from pose_refine import Poses, formats, refine
from pose_refine.formats import deeplabcut
from pose_refine.skeletons import SKELETONS

COCO17 = SKELETONS["coco17"].joints
LEGS = ["LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle"]
NETWORK = SKELETONS["network19"].joints.index


@pytest.fixture(params=["fake", "pandas"])
def make(request):
    if request.param == "pandas":
        pytest.importorskip("pandas")
    return pandas_table if request.param == "pandas" else table


def tuples_of(parts, coords=("x", "y", "likelihood"), individuals=None):
    levels = [(part, coord) for part in parts for coord in coords]
    return [("me", *who, *level) for who in (zip(individuals) if individuals else [()]) for level in levels]


def one_row(make, parts, coords=("x", "y", "likelihood"), individuals=None, values=None):
    """A row that counts 0.0, 1.0, 2.0, ..., or these values."""
    tuples = tuples_of(parts, coords, individuals)
    names = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    return make([np.arange(len(tuples), dtype=float) if values is None else values], names, tuples)


def moved(poses, person, joint, triplet):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint], scores[person, joint] = triplet[:2], triplet[2]
    return Poses(keypoints, scores, poses.skeleton, poses.ids)


def test_joints_by_name(make):
    given = one_row(make, ["object", *LEGS[::-1]])
    poses = formats.read(given)
    assert poses.skeleton == "network19"
    assert poses.keypoints[0, NETWORK("right_ankle")].tolist() == [3, 4]
    assert poses.keypoints[0, NETWORK("left_hip")].tolist() == [18, 19]
    assert poses.scores[0, NETWORK("left_hip")] == 20
    assert poses.present.sum() == 6


def test_a_skeleton_whose_joints_they_are(make):
    poses = deeplabcut.read(one_row(make, COCO17))
    assert poses.skeleton == "coco17"
    assert poses.keypoints[0, :, 0].tolist() == list(range(0, 51, 3))


def test_a_skeleton_in_other_words(make):
    names = [{"upper_neck": "head_bottom"}.get(n, n) for n in SKELETONS["posetrack15"].joints]
    poses = deeplabcut.read(one_row(make, names))
    assert (poses.skeleton, poses.present.all()) == ("posetrack15", True)


def test_individuals(make):
    given = one_row(make, LEGS, individuals=["anna", "bert"])
    poses = deeplabcut.read(given)
    assert poses.ids == ["anna", "bert"]
    assert poses.keypoints[:, NETWORK("left_hip"), 0].tolist() == [0, 18]
    out = deeplabcut.write(moved(poses, 1, NETWORK("left_hip"), (100.5, 200.25, 0.5)), given)
    assert out.to_numpy()[0].tolist() == [*range(18), 100.5, 200.25, 0.5, *range(21, 36)]
    assert given.to_numpy()[0].tolist() == list(range(36))


def test_round_trip_keeps_every_bit(make):
    values = np.random.default_rng(0).uniform(0, 1000, 3 * 17)
    values[3:6] = np.nan
    given = one_row(make, COCO17, values=values)
    poses = deeplabcut.read(given)
    assert poses.present[0].tolist() == [True, False] + [True] * 15
    out = deeplabcut.write(poses, given)
    assert type(out) is type(given)
    np.testing.assert_array_equal(out.to_numpy(), given.to_numpy())


def test_only_what_changed_of_a_joint_changes(make):
    values = np.arange(51) + 1 / 3
    given = one_row(make, COCO17, values=values)
    poses = deeplabcut.read(given)
    out = deeplabcut.write(moved(poses, 0, 5, (*poses.keypoints[0, 5], 0.25)), given)
    values[17] = 0.25
    np.testing.assert_array_equal(out.to_numpy()[0], values)


# Labelled tables have no likelihood: a joint that was missing comes back with this score; is it written?
RECOVERED = {"likely": (0.9, True), "unlikely": (0.49, False)}


@pytest.mark.parametrize("name", RECOVERED)
def test_labelled_tables_are_told_of_likely_joints(make, name):
    score, written = RECOVERED[name]
    given = one_row(make, LEGS, ("x", "y"), values=[np.nan, np.nan, *range(2, 12)])
    poses = deeplabcut.read(given)
    assert np.isnan(poses.scores).all()
    out = deeplabcut.write(moved(poses, 0, NETWORK("left_hip"), (5.5, 6.5, score)), given).to_numpy()[0]
    assert out[:2].tolist() == [5.5, 6.5] if written else np.isnan(out[:2]).all()
    assert out[2:].tolist() == list(range(2, 12))


BAD = {
    "a mouse": (["snout", "leftear", "rightear", "tailbase"], "expected a person's joints.*snout, leftear"),
    "a horse": (["left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_knee"], "expected a person's"),
    "DeepLabCut's full_human": (["ankle1", "knee1", "hip1", "wrist1", "shoulder1", "ankle2"], "left and right wrists"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_body_parts(make, name):
    parts, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(one_row(make, parts))


def test_several_images(make):
    tuples = tuples_of(LEGS)
    given = make([[0.0] * len(tuples)] * 2, ["scorer", "bodyparts", "coords"], tuples)
    with pytest.raises(ValueError, match=r"one image's row, got 2; table\.loc\[\[frame\]\] is one"):
        formats.read(given)


OTHERS = [np.zeros((1, 17, 3)), {"columns": 5}, [], None, "a.csv", table([[1]], ["a"], [("b",)])]


@pytest.mark.parametrize("other", OTHERS, ids=lambda o: type(o).__name__)
def test_does_not_claim_other_formats(other):
    assert not deeplabcut.matches(other)


def test_csv_as_deeplabcut_writes_it():
    """Header and numbers as analyze_videos(save_as_csv=True) writes them."""
    pandas = pytest.importorskip("pandas")
    parts = [f"{n},{n},{n}" for n in COCO17]
    head = f"scorer,{','.join(['DLC_resnet50'] * 51)}\nbodyparts,{','.join(parts)}\ncoords,{'x,y,likelihood,' * 17}"
    rows = "".join(f"{i},{','.join(str(i + k / 7) for k in range(51))}\n" for i in range(3))
    text = f"{head.rstrip(',')}\n{rows}"
    given = pandas.read_csv(io.StringIO(text), header=[0, 1, 2], index_col=0)
    row = given.loc[[1]]
    poses = formats.read(row)
    assert poses.skeleton == "coco17"
    given.loc[[1]] = formats.write(moved(poses, 0, 0, (10, 20, 0.5)), row)
    fields = [line.split(",") for line in given.to_csv().splitlines()]
    before = [line.split(",") for line in text.splitlines()]
    assert fields[4][1:4] == ["10.0", "20.0", "0.5"]
    fields[4][1:4] = before[4][1:4]
    assert fields[:2] == before[:2]
    assert fields[3:] == before[3:]


def test_columns_of_whole_numbers():
    """As `read_csv` makes them where all are whole."""
    pandas = pytest.importorskip("pandas")
    names = [("DLC", part, coord) for part in COCO17 for coord in ("x", "y", "likelihood")]
    columns = pandas.MultiIndex.from_tuples(names, names=("scorer", "bodyparts", "coords"))
    row = pandas.DataFrame(np.arange(1, 52)[None], columns=columns)
    row[("DLC", "nose", "likelihood")] = np.float32(0.5)
    out = formats.write(moved(formats.read(row), 0, 0, (10.5, 20.25, 0.75)), row)
    assert out.iloc[0, :3].tolist() == [10.5, 20.25, 0.75]
    assert out.iloc[0, 3:].tolist() == list(range(4, 52))
    assert row.iloc[0, :2].tolist() == [1, 2]


def test_refine(make, photo, pose):
    given = one_row(make, [*COCO17, "cup"], values=[*pose[0].ravel().tolist(), 7, 8, 0.5])
    before = given.to_numpy()
    out = refine(photo, given)
    np.testing.assert_array_equal(given.to_numpy(), before)
    after = out.to_numpy()[0]
    assert after[51:].tolist() == [7, 8, 0.5]
    there = ~np.isnan(before[0, :51:3])
    shift = (after - before[0])[:51].reshape(17, 3)[there, :2]
    assert 0 < np.hypot(*shift.T).max() < 30
    assert not np.isnan(after).any()
