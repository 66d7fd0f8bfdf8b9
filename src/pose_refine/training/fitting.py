"""Fit decision, scores and trust to one estimator: to labelled people, and what it said of them.

The network is not touched. All that is chosen, and every figure, is of people whose image was not fitted on: the images
are in FOLDS parts, and each part is judged by a decision that was fitted on the others.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from pose_refine._types import AnyArray, Floats
from pose_refine.crops.batches import nearest_others
from pose_refine.crops.bodies import middles, one_body
from pose_refine.metrics.oks import RIGHT, THRESHOLDS, WRONG
from pose_refine.nn.decision import TRUST, Decision
from pose_refine.nn.evidence import GIVEN, near
from pose_refine.training.data import People
from pose_refine.training.decision import (
    Cases,
    Inputs,
    decide,
    distance,
    first_found,
    first_shown,
    fit,
    join_cases,
    loss_of,
    mirrored,
    outcomes,
    some_of,
)
from pose_refine.training.synthesis import fling, noise, remove_unsure

FOLDS = 3
STEPS, EVERY, RATE = 300, 25, 1e-3  # at most so many; looked at so often
TRUSTS = (0.15, 0.25, 0.35, 0.5, 0.65, 0.75)
ALLOWED = 0.2  # points of harm more than the general decision's
SCATTERED = 0.06  # share of the joints
GENTLE, HARD = 0.2, 5.0  # by so much at least and at most scores are stretched
Choice = TypeVar("Choice")
Collect = Callable[[Inputs], list[Cases]]  # as `decision.collect`: with one and with two views


@dataclass(frozen=True)
class Looks:
    """What the network says of people, and of some of them a second time, closer.

    Attributes:
        rows: (R,) who they are.
        first: With one and with two views, R cases each.
        who: (A,) which of these were looked at again.
        again: As `first`, A cases each; empty where there are none.
    """

    rows: AnyArray
    first: list[Cases]
    who: AnyArray
    again: list[Cases]


@dataclass(frozen=True)
class Figures:
    """In percent, over labelled joints that the estimator knows; as in docs/figures.md.

    Attributes:
        people: How many.
        recall: Mean over OKS thresholds of the share of people above.
        oks: Mean.
        harm: Of the joints that were right before, the share that is wrong.
        help: Of the joints that were wrong before, the share that is right.
    """

    people: int
    recall: float
    oks: float
    harm: float
    help: float


@dataclass(frozen=True)
class Trial:
    """A decision on its way, and how it does on people whose images it does not see.

    Attributes:
        states: After 0, EVERY, 2 EVERY ... steps.
        losses: Of these, on those people.
    """

    states: list[dict[str, Tensor]]
    losses: AnyArray


@dataclass(frozen=True)
class Fitted:
    """What fitting gives.

    Attributes:
        decision: Fitted on everybody.
        trust: How far to believe this estimator.
        steps: How many there were.
        before: The estimator's own figures.
        general: Those of the decision and the trust that fitting began with.
        fitted: Those of fitted ones: of each part of the images with steps and trust, too, chosen on the others.
    """

    decision: Decision
    trust: float
    steps: int
    before: Figures
    general: Figures
    fitted: Figures

    @property
    def better(self) -> bool:
        """Whether more is found, at no more than ALLOWED harm more."""
        return self.fitted.recall > self.general.recall and self.fitted.harm <= self.general.harm + ALLOWED


def beside(poses: Floats, initial: Floats, image: AnyArray, rows: AnyArray) -> Floats:
    """The poses of the people nearest to `rows` in the same images, (R, OTHERS, K, 2).

    Args:
        poses: (P, K, 2) everybody's, as the network is shown them.
        initial: (P, K, 2) as they came.
        image: (P,) row of the image.
        rows: (R,)
    """
    found = []
    for row in rows:
        together = np.flatnonzero(image == image[row])
        own = np.flatnonzero(together == row)
        found.append(nearest_others(poses[together], initial[together], middles(poses[together]), own))
    return np.concatenate(found).astype(np.float32)


def own_inputs(people: People, rows: AnyArray, size: int, rng: Generator) -> list[Inputs]:
    """The estimator's poses of `rows` (R,): as they are; without those joints that it is least sure of; and with some
    scattered over the person or flung over the image. The first of these is what figures are of.

    Args:
        people: Everybody in the images; of one estimator.
        rows: Who is labelled.
        size: Side of the stored images, pixels.
        rng: Source of randomness.
    """
    given = people.predicted[rows, 0, :, :2]
    scores = people.predicted[rows, 0, :, 2]
    unsure = np.where(np.isnan(scores).all(1, keepdims=True), rng.random(scores.shape), scores)
    scattered, flung = noise(given, rng, share=SCATTERED), fling(given, size, rng)
    half = (rng.permutation(len(rows)) % 2 == 0)[:, None, None]
    came = people.predicted[:, 0, :, :2]
    others = beside(one_body(came), came, people.image, rows)
    kinds = [given, remove_unsure(given, unsure.astype(np.float32), rng), np.where(half, scattered, flung)]
    return [first_shown(rows, poses, others, real=True) for poses in kinds]


def look(people: People, inputs: Inputs, collect: Collect, views: int, shape: tuple[int, int]) -> Looks:
    """Look at people, and again at those whose pose was far off, as `Refiner.analyze` does. Who that is no decision
    has a say in.

    Args:
        people: Everybody in the images.
        inputs: Who is looked at, and their poses.
        collect: Runs the network.
        views: How many the weights look at.
        shape: Of the stored images, pixels.
    """
    first = collect(inputs)
    found, who = first_found(inputs, first[views - 1], shape)
    if not len(who):
        return Looks(inputs.rows, first, who, [])
    came = people.predicted[:, 0, :, :2]
    everybody = one_body(came)
    everybody[inputs.rows] = found
    rows = inputs.rows[who]
    closer = Inputs(rows, inputs.poses[who], beside(everybody, came, people.image, rows), True, found[who], found[who])
    return Looks(inputs.rows, first, who, collect(closer))


def judged(decision: Decision, looks: Looks, views: int, trust: float) -> tuple[Tensor, Tensor]:
    """How similar to the truth each joint is after refining, and the logit of P(right), (R, K); the first means nothing
    where there is no truth."""
    first = looks.first[views - 1]
    found, score = decide(decision, first, trust)
    similar, score = near(distance(first, found)).clone(), score.clone()
    if len(looks.who):
        who, again = torch.as_tensor(looks.who), looks.again[views - 1]
        closer, sure = decide(decision, again, trust)
        similar[who], score[who] = near(distance(again, closer)), sure
    return similar, score


def claimed(looks: Looks) -> Tensor:
    """How similar to the truth the estimator's own joints are, (R, K), 0 where it gave none; it means nothing where
    there is no truth."""
    cases = looks.first[0]
    return near(distance(cases, cases.places[:, 0])) * cases.features[..., GIVEN]


def figures(before: AnyArray, after: AnyArray, counted: AnyArray) -> Figures:
    """Of similarities (R, K) before and after, over the joints that count (R, K)."""
    some = counted.any(1)
    oks = (after * counted)[some].sum(1) / counted[some].sum(1)
    right, wrong = counted & (before >= RIGHT), counted & (before < WRONG)
    return Figures(
        people=int(some.sum()),
        recall=float(100 * (oks[:, None] > THRESHOLDS).mean()),
        oks=float(100 * oks.mean()),
        harm=_percent(after[right] < WRONG),
        help=_percent(after[wrong] >= RIGHT),
    )


def _percent(values: AnyArray) -> float:
    return float(100 * values.mean()) if len(values) else 0.0


def folds_of(image: AnyArray, rng: Generator) -> AnyArray:
    """(P,) which of FOLDS parts each person is in; people of one image (P,) are in the same."""
    _, number = np.unique(image, return_inverse=True)
    parts: AnyArray = rng.permutation(number.max() + 1)[number] % FOLDS
    return parts


def cases_of(looks: Sequence[Looks], chosen: AnyArray) -> Cases:
    """All cases, of any number of views, of the people who are `chosen` (P,)."""
    parts = []
    for each in looks:
        for cases, rows in ((each.first, each.rows), (each.again, each.rows[each.who])):
            some = torch.as_tensor(np.flatnonzero(chosen[rows]))
            parts += [some_of(part, some) for part in cases]
    return join_cases(parts)


def trial(general: Decision, looks: Sequence[Looks], held: AnyArray) -> Trial:
    """Fit a copy of `general` on the people who are not `held` (P,), and watch it on those who are."""
    decision, watched = _to_fit(general), cases_of(looks, held)
    watched = join_cases([watched, mirrored(watched)])
    states, losses = [], []

    def watch(step: int) -> None:
        if step % EVERY:
            return
        decision.eval()
        with torch.inference_mode():
            losses.append(float(loss_of(decision, watched)))
        states.append({name: value.detach().clone() for name, value in decision.state_dict().items()})
        decision.train()

    watch(0)
    fit(decision, cases_of(looks, ~held), steps=STEPS, rate=RATE, after=watch)
    return Trial(states, np.array(losses))


def _to_fit(general: Decision) -> Decision:
    """A copy that can learn."""
    return deepcopy(general).requires_grad_(True)


class Crossed:
    """Trials on every part of the images, and what they say.

    Args:
        general: The decision that fitting begins with, and its `trust`.
        looks: At everybody, with each kind of input.
        fold: (P,) see `folds_of`.
        known: (K,) joints that the estimator knows.
        views: How many the weights look at.
        trust: Of the general decision.
    """

    def __init__(
        self, general: Decision, looks: Sequence[Looks], fold: AnyArray, known: AnyArray, views: int, trust: float
    ) -> None:
        self.views, plain = views, looks[0]
        self.trials = [trial(general, looks, fold == k) for k in range(FOLDS)]
        self.parts = [_only(plain, fold[plain.rows] == k) for k in range(FOLDS)]
        self.counted = [part.first[0].labelled.numpy() & known for part in self.parts]
        self.before = [claimed(part).numpy() for part in self.parts]
        self.general = [judged(general, part, views, trust)[0].numpy() for part in self.parts]
        self._empty = deepcopy(general)
        self._after: dict[tuple[int, int, float], tuple[Tensor, Tensor]] = {}

    def after(self, k: int, at: int, trust: float) -> tuple[Tensor, Tensor]:
        """`judged` of the people in part k, by the decision that was fitted on the others, at its state `at`."""
        if (k, at, trust) not in self._after:
            self._empty.load_state_dict(self.trials[k].states[at])
            self._after[k, at, trust] = judged(self._empty, self.parts[k], self.views, trust)
        return self._after[k, at, trust]

    def figures(self, parts: Sequence[int], after: Sequence[AnyArray]) -> Figures:
        """Of the people in these parts together, given `after` for each part."""
        columns = ([self.before[k] for k in parts], after, [self.counted[k] for k in parts])
        before, refined, counted = (np.concatenate(column) for column in columns)
        return figures(before, refined, counted)

    def choose(self, parts: Sequence[int]) -> tuple[int, float]:
        """The state and the trust that are best for the people in these parts: of the state whose loss is least, and of
        the one that fitting began with, which is no worse than the general decision."""
        people = [len(self.before[k]) for k in parts]
        least = int(np.average([self.trials[k].losses for k in parts], axis=0, weights=people).argmin())
        found = {
            (at, trust): self.figures(parts, [self.after(k, at, trust)[0].numpy() for k in parts])
            for at in {0, least}
            for trust in TRUSTS
        }
        return best_choice(found, self.figures(parts, [self.general[k] for k in parts]))

    def scores(self, at: int, trust: float) -> tuple[AnyArray, AnyArray]:
        """Logits of P(right), and whether that is so, of everybody's joints of which it is known."""
        logits, right = [], []
        for k, part in enumerate(self.parts):
            similar, score = self.after(k, at, trust)
            is_right, scored = outcomes(part.first[self.views - 1], similar)
            logits.append(score[scored].numpy())
            right.append(is_right[scored].numpy())
        return np.concatenate(logits), np.concatenate(right)


def _only(looks: Looks, chosen: AnyArray) -> Looks:
    """Looks at those of its rows that are `chosen` (R,)."""
    kept, again = np.flatnonzero(chosen), np.flatnonzero(chosen[looks.who])
    who = np.searchsorted(kept, looks.who[again])
    first = [some_of(cases, torch.as_tensor(kept)) for cases in looks.first]
    return Looks(looks.rows[kept], first, who, [some_of(cases, torch.as_tensor(again)) for cases in looks.again])


def best_choice(found: dict[Choice, Figures], general: Figures) -> Choice:
    """That of the highest recall whose harm is at most ALLOWED above the general one's; else of the least harm."""
    allowed = [choice for choice, figures in found.items() if figures.harm <= general.harm + ALLOWED]
    if not allowed:
        return min(found, key=lambda choice: found[choice].harm)
    return max(allowed, key=lambda choice: found[choice].recall)


def fit_to(
    general: Decision, looks: Sequence[Looks], image: AnyArray, known: AnyArray, views: int, trust: float = TRUST
) -> Fitted:
    """Fit a copy of the general decision, its scores, and the trust.

    Args:
        general: Where to begin; it is left as it is.
        looks: At everybody who is labelled; the first are those at the estimator's poses as they are.
        image: (P,) row of each person's image.
        known: (K,) joints that the estimator knows.
        views: How many the weights look at.
        trust: That goes with the general decision.
    """
    torch.manual_seed(0)
    everybody = np.zeros(len(image), dtype=bool)
    everybody[looks[0].rows] = True
    fold = np.full(len(image), -1)
    fold[everybody] = folds_of(image[everybody], np.random.default_rng(0))
    crossed, parts = Crossed(general, looks, fold, known, views, trust), range(FOLDS)
    chosen = [crossed.choose([other for other in parts if other != k]) for k in parts]
    after = [crossed.after(k, *chosen[k])[0].numpy() for k in parts]
    at, best = crossed.choose(parts)
    decision = _to_fit(general)
    if at:
        fit(decision, cases_of(looks, everybody), steps=at * EVERY, rate=RATE, schedule=STEPS)
    stretch_scores(decision, *stretch(*crossed.scores(at, best)))
    decision.requires_grad_(False)
    ways = (crossed.before, crossed.general, after)
    return Fitted(decision, best, at * EVERY, *(crossed.figures(parts, way) for way in ways))


def stretch(logits: AnyArray, right: AnyArray) -> tuple[float, float]:
    """Scale and shift by which logits (N,) become those of how often joints are right (N,), by log-likelihood (Platt
    1999); by Newton's method."""
    if not right.any() or right.all():
        return 1.0, 0.0
    inputs = np.stack([logits, np.ones_like(logits)], 1).astype(np.float64)
    found = np.array([1.0, 0.0])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-(inputs @ found).clip(-30, 30)))
        weight = chance * (1 - chance)
        curved = inputs.T @ (weight[:, None] * inputs) + 1e-3 * np.eye(2)
        found = found + np.linalg.solve(curved, inputs.T @ (right - chance) - 1e-3 * (found - [1.0, 0.0])).clip(-1, 1)
    return float(np.clip(found[0], GENTLE, HARD)), float(found[1])


@torch.no_grad()
def stretch_scores(decision: Decision, scale: float, shift: float) -> None:
    """Multiply the logits of P(right), and add to them, in place."""
    decision.out.weight[-1] *= scale
    decision.out.bias[-1] = decision.out.bias[-1] * scale + shift
