"""The training loop: read it from top to bottom."""

import json
import logging
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH
from pose_refine.nn.encoding import cell_size, decode, gaussian_maps, network_inputs, target_maps
from pose_refine.nn.network import FIRST_MPII, Network, NetworkConfig
from pose_refine.skeletons import NETWORK, SIGMAS
from pose_refine.training import distributed
from pose_refine.training.batches import Batch, make_batch
from pose_refine.training.data import lend, load_images, nearest_others, read_training_sets, split_by_image, unseen
from pose_refine.training.heldout import watch
from pose_refine.training.tinypose import FRESH, load_start, mix

log = logging.getLogger(__name__)

TARGET_SIGMA = 0.875  # cells: nearly one, so that the softmax has something to be precise about
OKS_WEIGHT = 0.5  # of 1 - OKS of the decoded joints, beside the cross-entropy
LIMB_WEIGHT = 0.3  # of finding a joint that is not to be seen on its mirror image
# Joints that are the same for COCO and for MPII and LSP: their labels teach both kinds of maps of COCO's.
ALIKE = ("elbow", "wrist", "knee", "ankle", "neck", "top")
SAME = torch.tensor([name.split("_")[-1] in ALIKE for name in NETWORK.joints])
WARM_UP, CLIP, EMA = 150, 5.0, 0.998
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Settings:
    """One run. What is here is written to its log.

    Attributes:
        data: Folder with coco/, mpii/, lsp_extended/, jhmdb/ and predictions/.
        init: PP-TinyPose's ONNX file, or a weights folder to go on from.
        init_alone: Another such file for the part that is told nothing of the pose; None for the same.
        mix_with: PP-TinyPose's ONNX file, or two as above, to mix `init` with: see `tinypose.mix`.
        kept: Share of `init` in that mixture.
        out: Folder of the run: checkpoint.pt, log.jsonl.
        width: Channels of the head at stride 4.
        height: At which crops are looked at, pixels, and
        across: their width there, multiples of 32.
        steps: Length of the cosine schedule; may be changed when a run is resumed.
        batch: Crops a step, of all processes together.
        seed: Everything that is drawn depends on it and on the step alone.
        device: torch device.
        bf16: Run the network under bfloat16 autocast.
        side: Side of the square that images are stored in, pixels.
        watch_every: Steps between looks at held-out people, which are also when a checkpoint is written.
        watch_people: How many of them.
        rate_fresh: Learning rate of the layers that PP-TinyPose did not have.
        rate_trunk: Learning rate of the others; at 0 they are held, which takes a third less time.
        without: Estimators whose predictions are not trained on: how a refiner does on those it has never seen.
    """

    data: Path
    init: Path
    out: Path
    width: int = 48
    height: int = 256
    across: int = 192
    steps: int = 4400
    batch: int = 16
    seed: int = 0
    device: str = "cpu"
    bf16: bool = False
    side: int = 512
    watch_every: int = 400
    watch_people: int = 250
    rate_fresh: float = 8e-4
    rate_trunk: float = 1.5e-4
    without: tuple[str, ...] = ()
    init_alone: Path | None = None
    mix_with: tuple[Path, ...] = ()
    kept: float = 0.6


def taught(truth: Tensor, mpii: Tensor) -> Tensor:
    """What each of the network's maps is to show, (B, maps, 2), NaN for nothing: those of COCO what COCO means, and
    what is the same for MPII; those of MPII what MPII and LSP mean.

    Args:
        truth: (B, 19, 2) crop pixels, NaN where not labelled.
        mpii: (B,) whether MPII or LSP labelled it.
    """
    here = mpii[:, None, None]
    coco = torch.where(here & ~SAME.to(truth.device)[:, None], torch.nan, truth)
    return torch.cat([coco, torch.where(here, truth, torch.nan)[:, FIRST_MPII:]], 1)


def losses(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of the spatial softmax, and 1 - OKS of the decoded joints, over labelled joints in the crop; and
    how likely joints without a label are found where their mirror image is (one limb is not two).

    Of several processes each gets its share: divided by the joints of all, to be summed.
    """
    size = torch.tensor([CROP_WIDTH, CROP_HEIGHT], device=logits.device)
    truth, both = taught(batch.truth, batch.mpii), [*range(len(SIGMAS)), *range(FIRST_MPII, len(SIGMAS))]
    labelled = ((truth >= 0) & (truth <= size - 1)).all(-1)  # NaN is neither
    log_p = logits.float().flatten(2).log_softmax(-1)
    shape = (logits.shape[2], logits.shape[3])
    target = target_maps(truth, shape, TARGET_SIGMA * cell_size(logits)[0]).flatten(2)
    count = distributed.total(labelled.sum()).clamp_min(1)
    entropy = -((target * log_p).sum(-1) * labelled).sum() / count
    points, _ = decode(logits)
    units = 2 * torch.as_tensor(SIGMAS, device=logits.device)[both] * batch.area[:, None].sqrt()
    error = (points - torch.nan_to_num(truth)).square().sum(-1) / (2 * units.square())
    oks = ((1 - torch.exp(-error)) * labelled).sum() / count
    mirror = torch.as_tensor(NETWORK.mirror, device=logits.device)
    hidden = torch.isnan(batch.truth[..., 0]) & ~torch.isnan(batch.truth[:, mirror, 0])
    there = gaussian_maps(batch.truth[:, mirror], shape, 2 * cell_size(logits)[0]).flatten(2)
    doubled = (log_p[:, : len(mirror)].exp() * there).sum(-1).clamp(max=0.98)
    return entropy, oks, (-torch.log1p(-doubled) * hidden).sum() / count


def learning_rate(step: int, steps: int) -> float:
    """Factor: linear warm-up, then half a cosine to 0."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / steps))))


def parameter_groups(network: Network, settings: Settings) -> list[dict[str, Any]]:
    """The two groups with their own rates, as far as these are above 0."""
    fresh: list[torch.nn.Parameter] = []
    trunk: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (fresh if name.startswith(FRESH) else trunk).append(parameter)
    groups = ((fresh, settings.rate_fresh), (trunk, settings.rate_trunk))
    return [{"params": parameters, "rate": rate} for parameters, rate in groups if rate > 0]


def hold(network: Network, groups: list[dict[str, Any]]) -> None:
    """What is in none of the groups stays as it is, and costs no gradients."""
    network.requires_grad_(False)
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)


def step_once(
    network: Network, optimizer: torch.optim.Optimizer, batch: Batch, settings: Settings, rate: float
) -> list[float]:
    """One update of both parts, which share nothing; returns the first one's losses."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]
    image, pose8, pose4 = network_inputs(batch.image, batch.shown, batch.others, network.config.size)
    with torch.autocast(settings.device.split(":")[0], torch.bfloat16, enabled=settings.bf16):
        logits = network.answers(network.context(image, pose8, pose4), pose4, batch.belief[None])[0]
        alone = network.alone(image, pose8, pose4)
    optimizer.zero_grad(set_to_none=True)
    found = [torch.stack(losses(each, batch)) for each in (logits, alone)]
    weight = torch.tensor([1.0, OKS_WEIGHT, LIMB_WEIGHT], device=alone.device)
    (weight * (found[0] + found[1])).sum().backward()  # type: ignore[no-untyped-call]
    distributed.sum_gradients(list(network.parameters()))
    for alone_part in (False, True):  # neither is held back by the other's gradients
        own = [p for name, p in network.named_parameters() if name.startswith("alone.") == alone_part]
        torch.nn.utils.clip_grad_norm_(own, CLIP)
    optimizer.step()
    told: list[float] = distributed.total(found[0].detach()).tolist()
    return told


@torch.no_grad()
def follow(average: Network, network: Network, step: int) -> None:
    """Exponential moving average of the weights, faster at the start."""
    decay = min(EMA, (1 + step) / (10 + step))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


@dataclass(frozen=True)
class Learner:
    """What a checkpoint keeps.

    Attributes:
        network: What is trained.
        average: Of its weights over the steps.
        optimizer: Of its weights.
    """

    network: Network
    average: Network
    optimizer: torch.optim.Optimizer

    def state(self, step: int) -> dict[str, Any]:
        """All of it, and how many steps have been done."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": step,
        }

    def resume(self, state: dict[str, Any]) -> int:
        """Go on from that `state`; returns its step."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])


def begin(settings: Settings) -> tuple[Learner, int]:
    """What is trained, from its checkpoint if there is one, which process 0 reads; and the first step to do."""
    network = Network(NetworkConfig(width=settings.width, size=(settings.height, settings.across)))
    load_start(network, settings.init, settings.init_alone)
    if settings.mix_with:
        mix(network, *settings.mix_with, kept=settings.kept)
    network = network.to(settings.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average: Network = deepcopy(network).requires_grad_(False)
    groups = parameter_groups(network, settings)
    hold(network, groups)
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    learner = Learner(network, average, optimizer)
    state = distributed.from_first(load(settings.out / CHECKPOINT) if distributed.first() else None)
    return learner, learner.resume(state) if state else 0


def save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a run that is killed here still resumes from the one before."""
    unfinished = path.with_suffix(".partial")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load(path: Path) -> dict[str, Any] | None:
    """What `save` wrote, if it did."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resumed at step %d", state["step"])
    return state


def record(folder: Path, entry: dict[str, Any]) -> None:
    """One more line in the log of a run."""
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry, default=str) + "\n")


def mean_losses(recent: list[list[float]], step: int, checkpoint: Path) -> dict[str, float]:
    """Of the steps up to this one, by name.

    Raises:
        FloatingPointError: They are no numbers.
    """
    entropy, oks, doubled = np.mean(recent, axis=0).tolist()
    if not np.isfinite(entropy + oks + doubled):
        raise FloatingPointError(f"the loss is no number after step {step}; {checkpoint} is from before")
    return {"entropy": entropy, "oks_loss": oks, "doubled": doubled}


def keep_and_watch(
    learner: Learner, step: int, checkpoint: Path, fare: Callable[[Network], dict[str, dict[str, float]]]
) -> dict[str, Any]:
    """Write the checkpoint after so many steps; how held-out people `fare` with the average, and their mean gain."""
    save(checkpoint, learner.state(step))
    report = fare(learner.average)
    gain = float(np.mean([r["after"] - r["before"] for r in report.values()])) if report else float("nan")
    return {"gain": gain, "held_out": report}


def train(settings: Settings) -> Network:
    """Train, or go on where `settings.out` left off.

    Returns:
        The averaged network.
    """
    mine = distributed.part(settings.batch)
    torch.manual_seed(settings.seed)
    images, people = load_images(read_training_sets(settings.data, settings.without), settings.side)
    images = images.to(settings.device)
    rows_train, rows_held = split_by_image(people)
    rows_held = unseen(people, rows_held, settings.data)
    people = lend(people, rows_train, np.random.default_rng(settings.seed))
    others = nearest_others(people)
    chance = people.weight[rows_train].astype(np.float64) / people.weight[rows_train].sum(dtype=np.float64)
    watched = np.random.default_rng(0).permutation(rows_held)[: settings.watch_people]
    fare = partial(watch, images=images, people=people, others=others, rows=watched)  # in float32, as users run it

    learner, first = begin(settings)
    checkpoint = settings.out / CHECKPOINT
    if distributed.first():
        settings.out.mkdir(parents=True, exist_ok=True)
        counts = {"train": len(rows_train), "held_out": len(rows_held)}
        record(settings.out, {"settings": asdict(settings), "first": first, **counts})
    started, recent = time.monotonic(), []
    bar = tqdm(range(first, settings.steps), initial=first, total=settings.steps, desc="training", mininterval=5,
               disable=not distributed.first())  # fmt: skip
    for step in bar:
        rng = np.random.default_rng([settings.seed, step])
        rows = rng.choice(rows_train, settings.batch, p=chance)
        batch = make_batch(images, people, others, rows, rng, mine)
        rate = learning_rate(step, settings.steps)
        recent.append(step_once(learner.network, learner.optimizer, batch, settings, rate))
        follow(learner.average, learner.network, step)
        if (step + 1) % settings.watch_every and step + 1 < settings.steps:
            continue
        told: dict[str, Any] = {**mean_losses(recent, step, checkpoint)}
        recent = []
        if distributed.first():  # the others wait in the next step
            told |= keep_and_watch(learner, step + 1, checkpoint, fare)
            record(settings.out, {"step": step + 1, "seconds": time.monotonic() - started, **told})
            shown = {name: f"{told[name]:.3f}" for name in ("entropy", "oks_loss")}
            bar.set_postfix(shown, gain=f"{told['gain']:+.2f}")
    return learner.average
