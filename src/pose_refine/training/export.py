"""From a run to a weights folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_refine.nn import weights
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig
from pose_refine.training.data import load_images, read_training_sets, select, split_by_image, unseen
from pose_refine.training.decision import collect, fit, held_out_inputs, join_cases, look_closer


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
    model.network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    everyone = read_training_sets(data, settings.get("without", ()))
    held = unseen(everyone, split_by_image(everyone)[1], data)
    images, people = load_images(select(everyone, held), settings["side"])
    images, rows = images.to(device), np.arange(len(people.area))
    inputs = held_out_inputs(people, rows, np.random.default_rng(0), settings["side"])
    looks = [collect(model.network, images, people, given) for given in inputs]
    shape = images.shape[1], images.shape[2]
    seen = [each[views - 1] for each in looks]
    closer = [look_closer(people, *pair, shape) for pair in zip(inputs, seen, strict=True)]
    looks += [collect(model.network, images, people, given) for given in closer if len(given.rows)]
    fit(model.decision, join_cases([cases for each in looks for cases in each]))
    weights.save(model, name, to)
