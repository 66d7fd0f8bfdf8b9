"""Fit the decision (whom to believe, and how likely the result is right) on people held out from training.

On training images the network is surer than it should be; that is why this is not part of the training loop.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pose_refine._types import AnyArray, Floats
from pose_refine.crops import CROP_HEIGHT, crop_boxes, crop_matrices, to_crop
from pose_refine.encoding import pose_maps
from pose_refine.model import Decision, Evidence, gather_evidence
from pose_refine.network import Network
from pose_refine.skeletons import SIGMAS
from pose_refine.training.batches import cut
from pose_refine.training.data import People, nearest_others, take
from pose_refine.training.synthesis import initial_poses, nearly_perfect, remove

RIGHT = 0.85  # keypoint similarity from which a joint counts as right
PROTECT = 1.0  # how much more an error costs where the claimed joint was right
DRAWS = 4  # damaged poses a held-out person, beside every estimator's own
STEPS, RATE = 1500, 1e-2


@dataclass(frozen=True)
class Cases:
    """Evidence on labelled people and its truth, (C, K, ...); distances in OKS units, e = d / (2 sigma sqrt(area)).

    Attributes:
        features: (C, K, EVIDENCE).
        found: (C, K, 2) found minus truth.
        claimed: (C, K, 2) claimed minus truth.
        labelled: (C, K) whether there is a truth.
    """

    features: Tensor
    found: Tensor
    claimed: Tensor
    labelled: Tensor


def held_out_poses(people: People, rows: AnyArray, rng: np.random.Generator) -> list[tuple[AnyArray, Floats]]:
    """Rows and initial poses: every estimator's as they are, with joints removed, damaged and perfect ones."""
    truth = take(people, rows, nearest_others(people))
    sets = [(rows, people.predicted[rows, e, :, :2]) for e in range(len(people.estimators))]
    sets += [(rows, remove(poses, rng, share=0.25)) for _, poses in sets[::2]]
    sets += [(rows, initial_poses(truth, rng)[0]) for _ in range(DRAWS)]
    sets += [(rows, truth.poses), (rows, nearly_perfect(truth, rng))]
    some = [~np.isnan(poses[..., 0]).all(1) for _, poses in sets]
    return [(r[s], p[s]) for (r, p), s in zip(sets, some, strict=True)]


@torch.inference_mode()
def collect(network: Network, images: Tensor, people: People, rows: AnyArray, poses: Floats) -> Cases:
    """Run the network on `poses` (R, K, 2) of the people in `rows`, each with at least one joint."""
    sigmas = torch.as_tensor(SIGMAS, device=images.device)
    parts: list[tuple[Tensor, ...]] = []
    for part in tqdm(np.array_split(np.arange(len(rows)), max(1, len(rows) // 8)), desc="evidence", mininterval=5):
        centres, heights = crop_boxes(poses[part], (images.shape[1], images.shape[2]))
        matrices = crop_matrices(centres, heights)
        initial = torch.as_tensor(to_crop(poses[part], matrices), device=images.device)
        logits = network(cut(images, people.image[rows[part]], matrices), *pose_maps(initial))
        evidence: Evidence = gather_evidence(logits, initial)
        truth = torch.as_tensor(to_crop(people.keypoints[rows[part]], matrices), device=images.device)
        scale = np.sqrt(people.area[rows[part]]) * CROP_HEIGHT / heights
        unit = 2 * sigmas * torch.as_tensor(scale, dtype=torch.float32, device=images.device)[:, None]
        labelled = ~torch.isnan(truth[..., 0])
        truth = torch.nan_to_num(truth)
        found, claimed = ((p - truth) / unit[..., None] for p in (evidence.found, evidence.claimed))
        parts.append((evidence.features, found, claimed, labelled))
    return Cases(*(torch.cat(column).cpu().clone() for column in zip(*parts, strict=True)))


def join_cases(cases: list[Cases]) -> Cases:
    names = ("features", "found", "claimed", "labelled")
    return Cases(*(torch.cat([getattr(c, n) for c in cases]) for n in names))


def fit(decision: Decision, cases: Cases, *, steps: int = STEPS) -> None:
    """Fit in place: the share to keep by 1 - OKS, the score by its log-likelihood.

    OKS is that of the blended position, averaged with the blend of the two positions' OKS: the first alone is flat
    between two positions that are far apart. An error costs more (1 + PROTECT times) where the claimed joint was right:
    good joints must stay good.
    """
    optimizer = torch.optim.AdamW(decision.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    of_claimed, of_found = similarity(cases.claimed), similarity(cases.found)
    was_right = of_claimed >= RIGHT
    given = cases.features[..., 0] > 0
    weight = 1 + PROTECT * (was_right & given).float()
    for _ in tqdm(range(steps), desc="decision", mininterval=5):
        keep, right = decision(cases.features)
        result = similarity(cases.found + keep[..., None] * (cases.claimed - cases.found))
        is_right = (result >= RIGHT).float()
        score_loss = torch.nn.functional.binary_cross_entropy_with_logits(right, is_right, reduction="none")
        mixture = of_found + keep * (of_claimed - of_found)
        loss = (weight * (1 - (result + mixture) / 2) + score_loss)[cases.labelled].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def similarity(error: Tensor) -> Tensor:
    """Keypoint similarity exp(-e^2 / 2) of errors (..., 2) in OKS units."""
    return torch.exp(-error.square().sum(-1) / 2)
