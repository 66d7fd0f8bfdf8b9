"""From a run to a weights folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.training.data import load_images, read_training_sets, select, split_by_image, unseen
from pose_refine.training.decision import (
    Cases,
    collect,
    fit,
    fit_scores,
    held_out_inputs,
    join_cases,
    look_closer,
)


def read_settings(run: Path) -> dict[str, Any]:
    """The settings that a run was last started with."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    settings: dict[str, Any] = [entry["settings"] for entry in lines if "settings" in entry][-1]
    return settings


def export(data: Path, run: Path, name: str, to: Path, device: str = "cpu", *, views: int = 2) -> None:
    """Fit the decision on held-out people and write the run's averaged network as a weights folder.

    Args:
        data: The folder that the run was trained on.
        run: The run's folder.
        name: Name of the weights.
        to: Folder to write; its model card is left alone.
        device: torch device.
        views: How many images the network is to see of each crop, by default.
    """
    settings = read_settings(run)
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    torch.manual_seed(0)
    size = (settings["height"], settings["across"])
    model = Model(NetworkConfig(width=settings["width"], size=size), views=views)
    model.network.load_state_dict(state["average"])
    model.network.half().float()  # what the file keeps: the decision must see the same answers as its users
    fit(model.decision, held_out_cases(model, data, settings.get("without", ()), settings["side"], device))
    weights.save(model, name, to)


def rescore(data: Path, source: Path, name: str, to: Path, device: str = "cpu", *, side: int = 512) -> None:
    """Fit the scores of a weights folder anew, on held-out people; where joints are put stays as it is.

    Args:
        data: The folder that the weights were trained on.
        source: A weights folder.
        name: Name of the weights.
        to: Folder to write, as of `export`.
        device: torch device.
        side: Images are stored this large, pixels.
    """
    model, _ = weights.load(source)
    fit_scores(model.decision.requires_grad_(True), held_out_cases(model, data, (), side, device))
    weights.save(model, name, to)


def held_out_cases(model: Model, data: Path, without: Sequence[str], side: int, device: str) -> Cases:
    """What the network says of the people under `data` that are held out from training, each kind of pose, and a second
    time of those whom it looks at closer; with one and with two views."""
    model.network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    everyone = read_training_sets(data, without)
    held = unseen(everyone, split_by_image(everyone)[1], data)
    images, people = load_images(select(everyone, held), side)
    images, rows = images.to(device), np.arange(len(people.area))
    inputs = held_out_inputs(people, rows, np.random.default_rng(0), side)
    looks = [collect(model.network, images, people, given) for given in inputs]
    shape = images.shape[1], images.shape[2]
    seen = [each[model.views - 1] for each in looks]
    closer = [look_closer(people, *pair, shape) for pair in zip(inputs, seen, strict=True)]
    looks += [collect(model.network, images, people, given) for given in closer if len(given.rows)]
    return join_cases([cases for each in looks for cases in each])
