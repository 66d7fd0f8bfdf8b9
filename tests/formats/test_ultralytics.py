import numpy as np
import pytest
import torch
from fakes.ultralytics import Results

from pose_refine import Poses, formats
from pose_refine.formats import ultralytics


def data(people=2, columns=3, dtype=torch.float32):
    values = torch.arange(people * 17 * 3, dtype=dtype).view(people, 17, 3) / 4 + 1
    values[..., 2] = 0.75
    values[:, 3] = 0  # Ultralytics zeroes what it is not sure of
    return values[..., :columns]


def moved(poses, person=0, joint=5):
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    keypoints[person, joint] += 3
    scores[person, joint] = 0.5
    return Poses(keypoints, scores, poses.skeleton)


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: [r]], ids=["alone", "list of one"])
@pytest.mark.parametrize(
    "kind", [lambda t: t, lambda t: t.numpy(), lambda t: t.half()], ids=["tensor", "array", "half"]
)
def test_read_and_write_back(columns, wrap, kind):
    given = data(columns=columns)
    results = wrap(Results(kind(given)))
    assert formats.detect(results) == "ultralytics"
    (results[0] if isinstance(results, list) else results).keypoints.xy  # noqa: B018  # cached from here on
    poses = formats.read(results)
    assert poses.skeleton == "coco17"
    assert not poses.present[:, 3].any()
    assert poses.present.sum() == 32
    np.testing.assert_array_equal(poses.keypoints[poses.present], given.numpy()[..., :2][poses.present])
    assert (poses.scores[poses.present] == 0.75).all() if columns == 3 else np.isnan(poses.scores).all()
    same = formats.write(poses, results)
    assert type(same) is type(results)
    one, other = (r[0] if isinstance(r, list) else r for r in (same, results))
    assert type(one.keypoints.data) is type(other.keypoints.data)
    assert one.keypoints.data.dtype == other.keypoints.data.dtype
    assert (one.keypoints.data == other.keypoints.data).all()
    assert one is not other
    assert one.boxes is other.boxes
    back = formats.write(moved(poses), results)
    back = back[0] if isinstance(back, list) else back
    expected = given.clone()
    expected[0, 5, :2] += 3
    if columns == 3:
        expected[0, 5, 2] = 0.5
    assert (torch.as_tensor(back.keypoints.data).float() == expected).all()
    assert (torch.as_tensor(other.keypoints.data).float() == given).all()  # what came in stays
    assert back.keypoints.conf is None or back.keypoints.conf[0, 5] == 0.5
    assert (back.keypoints.xy == back.keypoints.data[..., :2]).all()


def test_track_ids_are_the_peoples_ids():
    assert formats.read(Results(data(), ids=[7, 3])).ids == [7, 3]
    assert formats.read(Results(data())).ids is None


def test_nobody():
    results = Results(data(0))
    assert len(formats.read(results)) == 0
    assert formats.write(formats.read(results), results).keypoints.data.shape == (0, 17, 3)


BAD = {
    "no keypoints": (Results(None), None, "a pose model's output"),
    "other joints": (Results(torch.ones(1, 21, 3)), None, "21 joints need skeleton="),
    "another skeleton": (Results(data()), "mpii16", "16 joints, got 17"),
    "another shape": (Results(torch.ones(1, 17, 4)), None, r"\(1, 17, 4\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    results, skeleton, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        formats.read(results, skeleton)


def test_two_images_are_not_one():
    assert not ultralytics.matches([Results(data()), Results(data())])


def test_refine(refiner, photo, pose):
    results = Results(torch.from_numpy(np.nan_to_num(pose)))
    refined = refiner.refine(photo, results)
    expected = refiner.refine(photo, pose)
    np.testing.assert_allclose(refined.keypoints.data, expected, atol=1e-3)
