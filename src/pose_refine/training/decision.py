"""Fit the decision (whom to believe, and how likely the result is right) on people held out from training.

On training images the network is surer than it should be; that is why this is not part of the training loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.bodies import in_frame, one_body
from pose_refine.crops.geometry import CROP_HEIGHT, crop_boxes, crop_matrices, far_off, scales, to_crop, to_image
from pose_refine.metrics.oks import RIGHT, WRONG
from pose_refine.nn.decision import TRUST, Decision, blend
from pose_refine.nn.evidence import (
    AGREEMENT,
    GIVEN,
    MOST_VIEWS,
    THEIRS,
    Prompt,
    combined,
    gather_evidence,
    heat_maps,
    near,
)
from pose_refine.nn.network import Network
from pose_refine.skeletons import COCO_JOINTS, NETWORK, SIGMAS
from pose_refine.training.batches import coarser, cut
from pose_refine.training.data import People, nearest_others, of_others, take
from pose_refine.training.heldout import in_crops
from pose_refine.training.synthesis import (
    borrowed,
    exchange_halves,
    fling,
    initial_poses,
    nearly_perfect,
    noise,
    remove_unsure,
)

DRAWS = 2  # damaged poses a held-out person, beside every estimator's own
EXACT = 2  # how often perfect poses are drawn: else those who are fitted on weak estimators spoil the best
SOME = 480  # people of each kind of initial pose
SPOILT = 2.5  # what a right joint's lost similarity counts beside a wrong one's gain
# Logits by which a claim counts more in averages while these are fitted than when they are used. SPOILT teaches to keep
# half of every near miss; this gives up fewer good joints than a smaller SPOILT (tests/benchmarks/experiments.md).
ADVANCE = 1.5
STEPS, BATCH, RATE = 1500, 256, 2e-3
ROUNDS, SMALL, SPLIT = 100, 1e-5, 2000  # of fitting scores: steps, weight decay, cases at once
JITTER = 0.15  # standard deviations by which evidence is blurred while a decision is fitted: held-out people are few
COARSE = (8, 4, 16, 2)  # what cannot be seen must be left alone: to 1 / that of their size images are shrunk


@dataclass(frozen=True)
class Cases:
    """Evidence on labelled people and its truth.

    Attributes:
        features: (C, K, EVIDENCE).
        places: (C, HYPOTHESES, K, 2) crop pixels.
        truth: (C, K, 2) crop pixels, of the mirror joint where that is `doubled`, 0 where there is none.
        unit: (C, K) crop pixels in an OKS unit, 2 sigma sqrt(area).
        labelled: (C, K) whether there is a truth.
        doubled: (C, K) whether there is none, but one of the mirror joint: who finds it there is wrong.
        real: (C,) whether an estimator gave the pose: scores are fitted on these alone, for poses that were made from
            the truth know where the annotator clicked.
    """

    features: Tensor
    places: Tensor
    truth: Tensor
    unit: Tensor
    labelled: Tensor
    doubled: Tensor
    real: Tensor


@dataclass(frozen=True)
class Inputs:
    """Initial poses of labelled people, image pixels.

    Attributes:
        rows: (R,) whose they are.
        poses: (R, K, 2), each with at least one joint.
        others: (R, M, K, 2) those of the people nearby.
        real: Whether an estimator gave them.
        shown: (R, K, 2) what the network is shown.
        framed: (R, K, 2) what the crop is cut by.
        coarse: To 1 / how much of its size the image is shrunk.
    """

    rows: AnyArray
    poses: Floats
    others: Floats
    real: bool
    shown: Floats
    framed: Floats
    coarse: int = 1


def held_out_inputs(people: People, rows: AnyArray, rng: np.random.Generator, size: int) -> list[Inputs]:
    """Every estimator's poses as COCO's format gives them, on people that it has not seen with the errors that it makes
    on others; every other one's also with unsure joints removed, the others' with joints scattered or flung away;
    damaged poses and perfect ones; and of some of these, people who are far away.

    Args:
        people: Everybody.
        rows: (R,) of whom to draw SOME for each kind of pose.
        rng: Source of randomness.
        size: Side of the stored images, pixels.
    """
    truth = take(people, rows, nearest_others(people))
    given = [
        (truth.predicted[:, e, :, :2], truth.others_predicted[:, :, e, :, :2]) for e in range(len(people.estimators))
    ]
    # Few formats have a neck and the top of the head: an estimator must not be known by them.
    plain = [(without_neck(poses), without_neck(others)) for poses, others in given]
    # Joints go missing where a score is below a threshold: the hard ones, of which fewer are found than of any others.
    scores = truth.predicted[..., 2].swapaxes(0, 1)
    real = [
        (remove_unsure(poses, s, rng), others) for (poses, others), s in zip(given[1::2], scores[1::2], strict=True)
    ]
    # A lone joint far off in a good pose is rare in these sets, and what users look at first.
    real += [(noise(poses, rng, share=0.06), others) for poses, others in given[0::4]]
    real += [(fling(poses, size, rng), others) for poses, others in given[2::4]]
    real += [(exchange_halves(poses, others, rng), others) for poses, others in given[:1]]
    made = [initial_poses(truth, rng)[:2] for _ in range(DRAWS)]
    made += [(truth.poses, truth.others), (nearly_perfect(truth, rng), truth.others)] * EXACT
    anybody = np.ones(len(rows), dtype=bool)
    lent = [borrowed(truth.poses, truth.area, given, anybody, rng)[..., :2] for given in truth.predicted.swapaxes(0, 1)]
    made += [(without_neck(poses), truth.others) for poses in lent]
    sets = [(*pair, True) for pair in plain + real] + [(*pair, False) for pair in made]
    few = [*range(0, len(plain), 2), len(plain) + len(real) + DRAWS]  # every other estimator's, and perfect ones
    resolutions = [(i, 1) for i in range(len(sets))] + [(i, COARSE[n % len(COARSE)]) for n, i in enumerate(few)]
    inputs = [drawn(rows, sets[i], coarse, rng) for i, coarse in resolutions]
    return [given for given in inputs if len(given.rows)]


def drawn(rows: AnyArray, given: tuple[Floats, Floats, bool], coarse: int, rng: np.random.Generator) -> Inputs:
    """SOME of the people `rows` (R,) who were given a pose (R, K, 2), beside the others' (R, M, K, 2)."""
    poses, others, real = given
    some = np.flatnonzero(~np.isnan(poses[..., 0]).all(1))
    some = np.sort(rng.permutation(some)[:SOME])
    near = one_body(others[some].reshape(-1, *poses.shape[1:])).reshape(others[some].shape)  # as `Scene` shows them
    return first_shown(rows[some], poses[some], near, real=real, coarse=coarse)


def first_shown(rows: AnyArray, poses: Floats, others: Floats, *, real: bool, coarse: int = 1) -> Inputs:
    """What people are looked at by the first time; arguments as of `Inputs`."""
    body = one_body(poses)
    return Inputs(rows, poses, others, real, body, in_frame(poses, body), coarse)


def without_neck(poses: Floats) -> Floats:
    """The network's joints (..., K, 2) without those that COCO lacks."""
    lacking = np.array([name not in COCO_JOINTS for name in NETWORK.joints])
    return np.where(lacking[:, None], np.float32(np.nan), poses)


@torch.inference_mode()
def collect(network: Network, images: Tensor, people: People, inputs: Inputs, *, bar: bool = True) -> list[Cases]:
    """Run the network on `inputs`, with a progress bar; its cases with one and with two views of each crop."""
    rows, shape = inputs.rows, (images.shape[1], images.shape[2])
    sigmas = torch.as_tensor(SIGMAS, device=images.device)
    parts: list[list[tuple[Tensor, ...]]] = [[] for _ in range(MOST_VIEWS)]
    split = np.array_split(np.arange(len(rows)), max(1, len(rows) // 8))
    for part in tqdm(split, desc="evidence", mininterval=5, disable=not bar):
        centres, heights, rotation = crop_boxes(inputs.framed[part], shape)
        matrices = crop_matrices(centres, heights, rotation)
        initial, others = in_crops(inputs.poses[part], inputs.others[part], matrices, images.device)
        seen = torch.as_tensor(to_crop(inputs.shown[part], matrices), device=images.device)
        crops, detail = cut(images, people.image[rows[part]], matrices), scales(matrices)
        if inputs.coarse > 1:
            crops = coarser(crops, inputs.coarse)
            detail = np.minimum(detail, np.float32(1 / inputs.coarse))
        mpii, trust = people.mpii[rows[part]], np.full(len(part), TRUST, np.float32)
        told = Prompt(initial, others, seen, *(torch.as_tensor(v, device=images.device) for v in (detail, mpii, trust)))
        found = heat_maps(network, crops, told, torch.float32, views=MOST_VIEWS, doubt=True)
        truth = torch.as_tensor(to_crop(people.keypoints[rows[part]], matrices), device=images.device)
        scale = np.sqrt(people.area[rows[part]]) * CROP_HEIGHT / heights
        unit = 2 * sigmas * torch.as_tensor(scale, dtype=torch.float32, device=images.device)[:, None]
        labelled = ~torch.isnan(truth[..., 0])
        doubled = ~labelled & labelled[:, list(NETWORK.mirror)]
        is_real = torch.full((len(part),), inputs.real)
        truth = torch.where(doubled[..., None], truth[:, list(NETWORK.mirror)], torch.nan_to_num(truth))
        for views, cases in enumerate(parts, 1):
            evidence = gather_evidence(combined(found[:views]), told, views)
            cases.append((evidence.features, evidence.places, truth, unit, labelled, doubled, is_real))
    return [Cases(*(torch.cat(column).cpu().clone() for column in zip(*cases, strict=True))) for cases in parts]


@torch.inference_mode()
def decide(decision: Decision, cases: Cases, trust: float = TRUST) -> tuple[Tensor, Tensor]:
    """Where the joints are, (C, K, 2) crop pixels, and the logit of that being right (C, K)."""
    quality, weight, right = decision(cases.features)
    believed = torch.full((len(weight),), trust)
    return blend(cases.places, torch.sigmoid(quality), weight, cases.features[..., GIVEN], believed), right


def first_found(inputs: Inputs, cases: Cases, shape: tuple[int, int]) -> tuple[Floats, AnyArray]:
    """What the answers of the first look agree on, (R, K, 2) image pixels, and the rows (A,) whose pose is so far off
    from it that they are looked at again; arguments as of `look_closer`."""
    matrices = crop_matrices(*crop_boxes(inputs.framed, shape))
    found = to_image(cases.places[:, AGREEMENT].numpy(), matrices)
    return found, far_off(inputs.poses, found, matrices)


def look_closer(people: People, inputs: Inputs, cases: Cases, shape: tuple[int, int]) -> Inputs:
    """What is shown the second time to those whose pose was far off, as in `Refiner.analyze`.

    Args:
        people: Whose poses `inputs` are.
        inputs: Of the first look.
        cases: What `collect` made of them.
        shape: Of the images, pixels.
    """
    found, far = first_found(inputs, cases, shape)
    everybody = np.full((len(people.area), *found.shape[1:]), np.nan, np.float32)
    everybody[inputs.rows] = found
    others = of_others(everybody, nearest_others(people)[inputs.rows[far]])
    return Inputs(inputs.rows[far], inputs.poses[far], others, inputs.real, found[far], found[far], inputs.coarse)


def join_cases(cases: list[Cases]) -> Cases:
    return Cases(*(torch.cat([getattr(c, field.name) for c in cases]) for field in fields(Cases)))


def fit(
    decision: Decision,
    cases: Cases,
    *,
    steps: int = STEPS,
    rate: float = RATE,
    schedule: int | None = None,
    after: Callable[[int], None] | None = None,
) -> None:
    """Fit in place: the quality of each hypothesis, and whether the place that they give is right, by log-likelihood;
    and how they are averaged, by how similar to the truth that is, so that it is seldom worse than a good claim.

    Quality is learnt rather than the choice itself: a loss on the choice is flat between places that are far apart,
    and falls into "always the same". An image says the same seen in a mirror, so all cases count mirrored, too.

    Args:
        decision: What is fitted.
        cases: What to.
        steps: How many.
        rate: Of learning, at first.
        schedule: After how many steps that rate comes to 0; by default after all.
        after: Is told each step that is done, from 1 on.
    """
    optimizer = torch.optim.AdamW(decision.parameters(), lr=rate, weight_decay=1e-3)
    annealed = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule or steps)
    cases = join_cases([cases, mirrored(cases)])
    spread = spread_of(cases.features)
    decision.train()
    for step in tqdm(range(steps), desc="decision", mininterval=5):
        drawn = some_of(cases, torch.randint(len(cases.features), (BATCH,)))
        blurred = drawn.features + JITTER * spread * torch.randn_like(drawn.features)
        loss = loss_of(decision, replace(drawn, features=blurred))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        annealed.step()
        if after is not None:
            after(step + 1)
    decision.eval()


def fit_scores(decision: Decision, cases: Cases) -> None:
    """Fit in place what scores alone depend on: the last layer's row for them, and their shifts where joints are meant
    as MPII's. The places stay what they are; logistic regression on what the layers before tell of the real poses.

    Args:
        decision: What is fitted.
        cases: What to, at the usual trust.
    """
    decision.eval()
    cases = join_cases([cases, mirrored(cases)])
    with torch.no_grad():
        told = torch.cat([decision.told(features) for features in torch.split(cases.features, SPLIT)])
        right, scored = outcomes(cases, near(distance(cases, decide(decision, cases)[0])))
    theirs, right = cases.features[..., THEIRS], right.float()
    own = [value.detach() for value in (decision.out.weight[-1], decision.out.bias[-1], decision.theirs)]
    parameters = [value.clone().requires_grad_(True) for value in own]
    optimizer = torch.optim.LBFGS(parameters, max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        weight, bias, shift = parameters
        optimizer.zero_grad()
        logits = told @ weight + bias + shift * theirs
        each = binary_cross_entropy_with_logits(logits, right, reduction="none")
        total = mean_where(each, scored) + SMALL * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    for value, fitted in zip(own, parameters, strict=True):  # which share the decision's memory
        value.copy_(fitted.detach())


def spread_of(features: Tensor) -> Tensor:
    """Standard deviation of each number of evidence (C, K, EVIDENCE); 0 for those that are yes or no, (EVIDENCE,)."""
    flat = features.flatten(0, 1)
    yes_or_no = ((flat == 0) | (flat == 1)).all(0)
    return flat.std(0) * ~yes_or_no


def loss_of(decision: Decision, cases: Cases) -> Tensor:
    """What `fit` makes small."""
    quality, weight, right = decision(cases.features)
    usual = torch.full((len(weight),), TRUST)
    given, similar = cases.features[..., GIVEN], near(distance(cases, cases.places))
    advanced = torch.cat([weight[:, :1] + ADVANCE * given[:, None], weight[:, 1:]], 1)
    result = near(distance(cases, blend(cases.places, torch.sigmoid(quality.detach()), advanced, given, usual)))
    choice = binary_cross_entropy_with_logits(quality, similar, reduction="none").mean(1)
    is_right, scored = outcomes(cases, result.detach())
    score = binary_cross_entropy_with_logits(right, is_right.float(), reduction="none")
    spoilt = (similar[:, 0] >= RIGHT) * given * (similar[:, 0] - result).clamp_min(0)
    return mean_where(choice + 1 - result + SPOILT * spoilt, cases.labelled) + mean_where(score, scored)


def outcomes(cases: Cases, similar: Tensor) -> tuple[Tensor, Tensor]:
    """Which joints (C, K) are right, given how similar to the truth they are; and of which that is known."""
    on_mirror = cases.doubled & (similar >= WRONG)
    return (similar >= RIGHT) & cases.labelled, (cases.labelled | on_mirror) & cases.real[:, None]


def mirrored(cases: Cases) -> Cases:
    """Left joints as right ones. Distances are all that places are used for, so they need not be turned round."""
    order = list(NETWORK.mirror)
    return replace(
        cases,
        features=cases.features[:, order],
        places=cases.places[:, :, order],
        truth=cases.truth[:, order],
        unit=cases.unit[:, order],
        labelled=cases.labelled[:, order],
        doubled=cases.doubled[:, order],
    )


def some_of(cases: Cases, rows: Tensor) -> Cases:
    return Cases(*(getattr(cases, field.name)[rows] for field in fields(Cases)))


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values; 0 where there are none."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)


def distance(cases: Cases, places: Tensor) -> Tensor:
    """Of places (C, K, 2) or (C, HYPOTHESES, K, 2) from the truth, in OKS units."""
    many = places.ndim == 4
    truth, unit = (cases.truth[:, None], cases.unit[:, None]) if many else (cases.truth, cases.unit)
    apart: Tensor = torch.linalg.vector_norm(places - truth, dim=-1) / unit
    return apart
