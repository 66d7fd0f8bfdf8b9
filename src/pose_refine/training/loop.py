"""The training loop: read it from top to bottom."""

import json
import logging
import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pose_refine.crops import CROP_HEIGHT, CROP_WIDTH
from pose_refine.encoding import decode, network_inputs, target_maps
from pose_refine.network import Network, NetworkConfig
from pose_refine.skeletons import SIGMAS
from pose_refine.training import distributed
from pose_refine.training.batches import Batch, make_batch
from pose_refine.training.data import load_images, nearest_others, read_training_sets, split_by_image, unseen
from pose_refine.training.heldout import watch
from pose_refine.training.movenet import load_trunk

log = logging.getLogger(__name__)

FROZEN = ("stem.", *(f"blocks.{i}." for i in range(6)))  # the trunk up to stride 8: good as it is, and costly to train
FRESH = ("pose_input.", "pose_branch.", "prior")  # what MoveNet did not have learns faster
TARGET_SIGMA = (
    3.5  # crop pixels: nearly one cell, or two thirds of small's, so that the softmax has something to be precise about
)
OKS_WEIGHT = 0.5  # of 1 - OKS of the decoded joints, beside the cross-entropy
WARM_UP, CLIP, EMA = 150, 5.0, 0.998


@dataclass(frozen=True)
class Settings:
    """One run. What is here is written to its log.

    Attributes:
        data: Folder with coco/, lsp_extended/, jhmdb/ and predictions/.
        init: MoveNet's tensors for the trunk.
        out: Folder of the run: checkpoint.pt, log.jsonl.
        trunk: "thunder" or "lightning".
        width: Channels of the branch that reads the pose.
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
        rate_fresh: Learning rate of the layers that MoveNet did not have.
        rate_trunk: Learning rate of the others.
        without: Estimators whose predictions are not trained on: how a refiner does on those it has never seen.
    """

    data: Path
    init: Path
    out: Path
    trunk: str = "thunder"
    width: int = 64
    height: int = 256
    across: int = 192
    steps: int = 4400
    batch: int = 32
    seed: int = 0
    device: str = "cpu"
    bf16: bool = True
    side: int = 512
    watch_every: int = 400
    watch_people: int = 250
    rate_fresh: float = 5e-4
    rate_trunk: float = 1e-4
    without: tuple[str, ...] = ()


def losses(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the spatial softmax, and 1 - OKS of the decoded joints, over labelled joints in the crop.

    Of several processes each gets its share: divided by the joints of all, to be summed.
    """
    size = torch.tensor([CROP_WIDTH, CROP_HEIGHT], device=logits.device)
    labelled = ((batch.truth >= 0) & (batch.truth <= size - 1)).all(-1)  # NaN is neither
    log_p = logits.float().flatten(2).log_softmax(-1)
    target = target_maps(batch.truth, (logits.shape[2], logits.shape[3]), TARGET_SIGMA).flatten(2)
    count = distributed.total(labelled.sum()).clamp_min(1)
    entropy = -((target * log_p).sum(-1) * labelled).sum() / count
    points, _ = decode(logits)
    scale = 2 * (2 * torch.as_tensor(SIGMAS, device=logits.device)).square() * batch.area[:, None]
    error = (points - torch.nan_to_num(batch.truth)).square().sum(-1) / scale
    return entropy, ((1 - torch.exp(-error)) * labelled).sum() / count


def learning_rate(step: int, steps: int) -> float:
    """Factor: linear warm-up, then half a cosine to 0."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / steps))))


def parameter_groups(network: Network, settings: Settings) -> list[dict[str, Any]]:
    """Freezes what is frozen; returns the two groups with their own rates."""
    fresh: list[torch.nn.Parameter] = []
    trunk: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if name.startswith(FROZEN):
            parameter.requires_grad_(False)
        else:
            (fresh if name.startswith(FRESH) else trunk).append(parameter)
    return [{"params": p, "rate": r} for p, r in ((fresh, settings.rate_fresh), (trunk, settings.rate_trunk))]


def step_once(
    network: Network, optimizer: torch.optim.Optimizer, batch: Batch, settings: Settings, rate: float
) -> tuple[float, float]:
    """One update. The frozen part keeps no activations: most of the memory, and a third of the time."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]
    image, pose8, pose4 = network_inputs(batch.image, batch.initial, batch.others, network.config.size)
    with torch.autocast(settings.device.split(":")[0], torch.bfloat16, enabled=settings.bf16):
        with torch.no_grad():
            features = network.features(image)
        logits = network.answers(network.context(*features, pose8), pose4, batch.trust[None])[0]
    entropy, oks = losses(logits, batch)
    optimizer.zero_grad(set_to_none=True)
    (entropy + OKS_WEIGHT * oks).backward()  # type: ignore[no-untyped-call]
    trained = [p for p in network.parameters() if p.requires_grad]
    distributed.sum_gradients(trained)
    torch.nn.utils.clip_grad_norm_(trained, CLIP)
    optimizer.step()
    entropy, oks = distributed.total(torch.stack([entropy, oks]))
    return entropy.item(), oks.item()


@torch.no_grad()
def follow(average: Network, network: Network, step: int) -> None:
    """Exponential moving average of the weights, faster at the start."""
    decay = min(EMA, (1 + step) / (10 + step))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a run that is killed here still resumes from the one before."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load(path: Path) -> dict[str, Any] | None:
    """What `save` wrote, if it did."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resumed at step %d", state["step"])
    return state


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
    others = nearest_others(people)
    chance = people.weight[rows_train].astype(np.float64) / people.weight[rows_train].sum(dtype=np.float64)
    watched = np.random.default_rng(0).permutation(rows_held)[: settings.watch_people]

    network = Network(NetworkConfig(settings.trunk, width=settings.width, size=(settings.height, settings.across)))
    load_trunk(network, settings.init)
    network = network.to(settings.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average: Network = deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(network, settings), weight_decay=1e-4)
    checkpoint, first = settings.out / "checkpoint.pt", 0
    if state := distributed.from_first(load(checkpoint) if distributed.first() else None):
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]

    def record(entry: dict[str, Any]) -> None:
        with (settings.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry, default=str) + "\n")

    if distributed.first():
        settings.out.mkdir(parents=True, exist_ok=True)
        record({"settings": asdict(settings), "first": first, "train": len(rows_train), "held_out": len(rows_held)})
    started, recent = time.monotonic(), []
    bar = tqdm(range(first, settings.steps), initial=first, total=settings.steps, desc="training", mininterval=5,
               disable=not distributed.first())  # fmt: skip
    for step in bar:
        rng = np.random.default_rng([settings.seed, step])
        rows = rng.choice(rows_train, settings.batch, p=chance)
        batch = make_batch(images, people, others, rows, rng, mine)
        recent.append(step_once(network, optimizer, batch, settings, learning_rate(step, settings.steps)))
        follow(average, network, step)
        if (step + 1) % settings.watch_every and step + 1 < settings.steps:
            continue
        entropy, oks = np.mean(recent, axis=0)
        if not np.isfinite(entropy + oks):
            raise FloatingPointError(f"the loss is no number after step {step}; {checkpoint} is from before")
        recent = []
        if not distributed.first():
            continue  # and wait in the next step
        save(checkpoint, {"network": network.state_dict(), "average": average.state_dict(),
                          "optimizer": optimizer.state_dict(), "step": step + 1})  # fmt: skip
        report = watch(average, images, people, others, watched)  # in float32, as users run it
        gain = float(np.mean([r["after"] - r["before"] for r in report.values()])) if report else float("nan")
        bar.set_postfix(entropy=f"{entropy:.3f}", oks_loss=f"{oks:.3f}", gain=f"{gain:+.2f}")
        record({"step": step + 1, "seconds": time.monotonic() - started, "entropy": float(entropy),
                "oks_loss": float(oks), "gain": gain, "held_out": report})  # fmt: skip
    return average
