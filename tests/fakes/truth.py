"""Random people to do damage to."""

import numpy as np

from pose_refine.training.synthesis import Truth


def rng_of(seed):
    return np.random.default_rng(seed)


def random_poses(seed=0, count=40, missing=0.25):
    """Random poses of at least one joint; drawn from another stream than the damage that tests do with `seed`."""
    rng = rng_of([seed, 1])
    poses = rng.uniform(0, 200, (count, 19, 2)).astype(np.float32)
    poses[rng.random((count, 19)) < missing] = np.nan
    poses[:, 0] = 50
    return poses


def random_truth(seed=0, count=40, estimators=3):
    rng = rng_of([seed, 2])
    poses = random_poses(seed, count)
    predicted = rng.uniform(0, 200, (count, estimators, 19, 3)).astype(np.float32)
    predicted[rng.random((count, estimators)) < 0.3] = np.nan
    predicted[..., 17:, :] = np.nan
    predicted[: count // 8] = np.nan  # people whom no estimator saw
    others = np.stack([random_poses(seed + i, count) for i in (1, 2, 3)], 1)
    others[::2, 1:] = np.nan
    theirs = rng.uniform(0, 200, (count, 3, estimators, 19, 3)).astype(np.float32)
    theirs[np.isnan(others).all((2, 3))] = np.nan
    theirs[rng.random((count, 3, estimators)) < 0.3] = np.nan
    return Truth(poses, rng.uniform(500, 20000, count).astype(np.float32), others, predicted, theirs)
