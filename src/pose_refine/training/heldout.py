"""How a network does on people held out from training: what a run is watched and chosen by."""

import numpy as np
import torch
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.bodies import in_frame, one_body
from pose_refine.crops.geometry import crop_boxes, crop_matrices, to_crop, to_image
from pose_refine.metrics.oks import RIGHT, WRONG, oks_recall, similarity
from pose_refine.nn.encoding import decode, network_inputs
from pose_refine.nn.network import Network, meant
from pose_refine.training.batches import cut
from pose_refine.training.data import People, of_others


@torch.no_grad()
def network_poses(
    network: Network, images: Tensor, people: People, rows: AnyArray, poses: Floats, others: Floats
) -> Floats:
    """Refine `poses` (R, K, 2) of the people in `rows`, beside `others` (R, M, K, 2).

    Returns:
        (R, K, 3) x, y in image pixels, peak mass.
    """
    out = np.full((*poses.shape[:2], 3), np.nan, dtype=np.float32)
    some = np.flatnonzero(~np.isnan(poses[..., 0]).all(1))
    for part in np.array_split(some, max(1, len(some) // 32)):
        shown = one_body(poses[part])
        near = one_body(others[part].reshape(-1, *shown.shape[1:])).reshape(others[part].shape)
        matrices = crop_matrices(*crop_boxes(in_frame(poses[part], shown), (images.shape[1], images.shape[2])))
        given = in_crops(shown, near, matrices, images.device)
        crops = cut(images, people.image[rows[part]], matrices)
        maps = network(*network_inputs(crops, *given, network.config.size))
        points, mass = decode(meant(maps, torch.as_tensor(people.mpii[rows[part]], device=images.device)))
        out[part, :, :2] = to_image(points.cpu().numpy(), matrices)
        out[part, :, 2] = mass.cpu().numpy()
    return out


def in_crops(poses: Floats, others: Floats, matrices: Floats, device: torch.device) -> tuple[Tensor, Tensor]:
    """Poses (R, K, 2) and those of the people nearby (R, M, K, 2), image pixels, as what the network takes."""
    own, near = (torch.as_tensor(to_crop(points, matrices), device=device) for points in (poses, others))
    return own, near


def watch(
    network: Network, images: Tensor, people: People, others: AnyArray, rows: AnyArray
) -> dict[str, dict[str, float]]:
    """Recall before and after, and harm, for every estimator that gave poses for `rows`; `others` (P, M) are rows."""
    report = {}
    for e, name in enumerate(people.estimators):
        given = rows[np.isfinite(people.predicted[rows, e, :, 0]).any(1)]
        if not len(given):
            continue
        poses, truth, area = people.predicted[given, e, :, :2], people.keypoints[given], people.area[given]
        joints = np.asarray(np.isfinite(poses[..., 0]).any(0))
        near = of_others(people.predicted[:, e, :, :2], others[given])
        after = network_poses(network, images, people, given, poses, near)
        right = (similarity(poses, truth, area) >= RIGHT) & joints
        report[name] = {
            "before": oks_recall(poses, truth, area, joints),
            "after": oks_recall(after, truth, area, joints),
            "harm": float(100 * (similarity(after, truth, area)[right] < WRONG).sum() / max(1, right.sum())),
        }
    return report
