"""Fit the decision (whom to believe, and how likely the result is right) on people held out from training.

On training images the network is surer than it should be; that is why this is not part of the training loop.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from pose_refine._types import AnyArray, Floats
from pose_refine.crops import CROP_HEIGHT, crop_boxes, crop_matrices, to_crop
from pose_refine.encoding import pose_maps
from pose_refine.model import Decision, Evidence, gather_evidence
from pose_refine.network import Network
from pose_refine.skeletons import SIGMAS
from pose_refine.training.batches import cut
from pose_refine.training.data import People, nearest_others, take
from pose_refine.training.heldout import shown
from pose_refine.training.synthesis import initial_poses, nearly_perfect, remove

RIGHT = 0.85  # keypoint similarity from which a joint counts as right
PROTECT = 1.0  # how much more an error costs where the claimed joint was right
CHOICE = 0.1  # weight of the choice beside the blend
DRAWS = 4  # damaged poses a held-out person, beside every estimator's own
STEPS, RATE = 600, 1e-2


@dataclass(frozen=True)
class Cases:
    """Evidence on labelled people and its truth, (C, K, ...); distances in OKS units, e = d / (2 sigma sqrt(area)).

    Attributes:
        features: (C, K, EVIDENCE).
        found: (C, K, 2) found minus truth.
        claimed: (C, K, 2) claimed minus truth.
        labelled: (C, K) whether there is a truth.
        real: (C,) whether an estimator gave the pose: scores are fitted on these alone, for poses that were made from
            the truth know where the annotator clicked.
    """

    features: Tensor
    found: Tensor
    claimed: Tensor
    labelled: Tensor
    real: Tensor


@dataclass(frozen=True)
class Inputs:
    """Initial poses of labelled people, image pixels.

    Attributes:
        rows: (R,) whose they are.
        poses: (R, K, 2), each with at least one joint.
        others: (R, M, K, 2) those of the people nearby.
        real: Whether an estimator gave them.
    """

    rows: AnyArray
    poses: Floats
    others: Floats
    real: bool


def held_out_inputs(people: People, rows: AnyArray, rng: np.random.Generator) -> list[Inputs]:
    """Every estimator's poses, some with joints removed, damaged ones and perfect ones."""
    truth = take(people, rows, nearest_others(people))
    real = [
        (truth.predicted[:, e, :, :2], truth.others_predicted[:, :, e, :, :2]) for e in range(len(people.estimators))
    ]
    real += [(remove(poses, rng, share=0.25), others) for poses, others in real[::2]]
    made = [initial_poses(truth, rng)[:2] for _ in range(DRAWS)]
    made += [(truth.poses, truth.others), (nearly_perfect(truth, rng), truth.others)]
    sets = [(*pair, True) for pair in real] + [(*pair, False) for pair in made]
    some = [~np.isnan(poses[..., 0]).all(1) for poses, _, _ in sets]
    return [
        Inputs(rows[s], poses[s], others[s], is_real) for (poses, others, is_real), s in zip(sets, some, strict=True)
    ]


@torch.inference_mode()
def collect(network: Network, images: Tensor, people: People, inputs: Inputs) -> Cases:
    """Run the network on `inputs`."""
    rows, poses = inputs.rows, inputs.poses
    sigmas = torch.as_tensor(SIGMAS, device=images.device)
    parts: list[tuple[Tensor, ...]] = []
    for part in tqdm(np.array_split(np.arange(len(rows)), max(1, len(rows) // 8)), desc="evidence", mininterval=5):
        centres, heights = crop_boxes(poses[part], (images.shape[1], images.shape[2]))
        matrices = crop_matrices(centres, heights)
        initial, others = shown(poses[part], inputs.others[part], matrices, images.device)
        logits = network(cut(images, people.image[rows[part]], matrices), *pose_maps(initial, others))
        evidence: Evidence = gather_evidence(logits, initial, others)
        truth = torch.as_tensor(to_crop(people.keypoints[rows[part]], matrices), device=images.device)
        scale = np.sqrt(people.area[rows[part]]) * CROP_HEIGHT / heights
        unit = 2 * sigmas * torch.as_tensor(scale, dtype=torch.float32, device=images.device)[:, None]
        labelled = ~torch.isnan(truth[..., 0])
        truth = torch.nan_to_num(truth)
        found, claimed = ((p - truth) / unit[..., None] for p in (evidence.found, evidence.claimed))
        parts.append((evidence.features, found, claimed, labelled, torch.full((len(part),), inputs.real)))
    return Cases(*(torch.cat(column).cpu().clone() for column in zip(*parts, strict=True)))


def join_cases(cases: list[Cases]) -> Cases:
    return Cases(*(torch.cat([getattr(c, field.name) for c in cases]) for field in fields(Cases)))


def fit(decision: Decision, cases: Cases, *, steps: int = STEPS) -> None:
    """Fit in place: the share to keep, by 1 - OKS of the blended position and by which of the two is nearer; the score,
    by its log-likelihood.

    1 - OKS alone is flat between positions that are far apart, and falls into "never keep". An error costs more
    (1 + PROTECT times) where the claimed joint was right: good joints must stay good.
    """
    optimizer = torch.optim.AdamW(decision.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    of_claimed, of_found = similarity(cases.claimed), similarity(cases.found)
    given = cases.features[..., 0] > 0
    weight = 1 + PROTECT * ((of_claimed >= RIGHT) & given).float()
    nearer, stake = (of_claimed > of_found).float(), (of_claimed - of_found).abs()
    scored = cases.labelled & cases.real[:, None]
    for _ in tqdm(range(steps), desc="decision", mininterval=5):
        keep, right = decision(cases.features)
        result = similarity(cases.found + keep.sigmoid()[..., None] * (cases.claimed - cases.found))
        choice = binary_cross_entropy_with_logits(keep, nearer, reduction="none") * stake
        score = binary_cross_entropy_with_logits(right, (result >= RIGHT).float(), reduction="none")
        loss = (weight * (1 - result + CHOICE * choice))[cases.labelled].mean() + score[scored].mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def similarity(error: Tensor) -> Tensor:
    """Keypoint similarity exp(-e^2 / 2) of errors (..., 2) in OKS units."""
    return torch.exp(-error.square().sum(-1) / 2)
