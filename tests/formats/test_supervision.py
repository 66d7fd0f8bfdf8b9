import numpy as np
import pytest
from fakes.supervision import KeyPoints, OldKeyPoints

from pose_refine import Poses, formats

KINDS = {"new": (KeyPoints, "keypoint_confidence"), "old": (OldKeyPoints, "confidence")}


def xy(people=2):
    values = np.arange(people * 17 * 2, dtype=np.float32).reshape(people, 17, 2) + 1
    values[:, 4] = 0
    return values


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("scored", [True, False], ids=["scores", "no scores"])
def test_read_and_write_back(kind, scored):
    make, name = kind
    scores = np.full((2, 17), 0.5, np.float32) if scored else None
    given = make(xy(), class_id=np.zeros(2, int), **{name: scores}, data={"class_name": np.array(["person"] * 2)})
    assert formats.detect(given) == "supervision"
    poses = formats.read(given)
    assert poses.skeleton == "coco17"
    assert (~poses.present == (np.arange(17) == 4)).all()
    assert (poses.scores == 0.5).all() if scored else np.isnan(poses.scores).all()
    same = formats.write(poses, given)
    np.testing.assert_array_equal(same.xy, given.xy)
    keypoints, new = poses.keypoints.copy(), poses.scores.copy()
    keypoints[1, 5], new[1, 5] = (7, 9), 0.25
    back = formats.write(Poses(keypoints, new, "coco17"), given)
    assert type(back) is make
    assert back.data is given.data
    differs = back.xy != xy()
    assert differs.any(-1).sum() == 1
    assert back.xy[1, 5].tolist() == [7, 9]
    np.testing.assert_array_equal(given.xy, xy())
    if scored:
        assert getattr(back, name)[1, 5] == 0.25
        assert (getattr(given, name) == 0.5).all()
    else:
        assert getattr(back, name) is None


@pytest.mark.parametrize("shape", [(0, 17, 2), (0, 0, 2), (0,)])
def test_nobody(shape):
    given = KeyPoints(np.empty(shape, np.float32))
    poses = formats.read(given)
    assert len(poses) == 0
    assert formats.write(poses, given).xy.shape == shape


def test_bad_input():
    with pytest.raises(ValueError, match=r"xy \(N, K, 2\), got \(1, 17, 3\)"):
        formats.read(KeyPoints(np.ones((1, 17, 3), np.float32)))
    with pytest.raises(ValueError, match="21 joints need skeleton="):
        formats.read(KeyPoints(np.ones((1, 21, 2), np.float32)))


def test_refine(refiner, photo, pose):
    given = KeyPoints(np.nan_to_num(pose[..., :2]), keypoint_confidence=pose[..., 2])
    back = refiner.refine(photo, given)
    expected = refiner.refine(photo, pose)
    np.testing.assert_allclose(back.xy, expected[..., :2], atol=1e-3)
    np.testing.assert_allclose(back.keypoint_confidence, expected[..., 2], atol=1e-4)
