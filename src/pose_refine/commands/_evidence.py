"""Evidence that was collected, kept beside what is written, so that a long command goes on after an interruption."""

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from tqdm import tqdm

from pose_refine._types import AnyArray
from pose_refine.commands._pipeline import fingerprint
from pose_refine.files.pose_files import write_whole
from pose_refine.training.data import People
from pose_refine.training.decision import Cases, Inputs, join_cases

PART = 24  # people in a file
SUFFIX = ".safetensors"


class Evidence:
    """Collects evidence in parts, each in a file named by all that it depends on; what is there is not collected again.

    Args:
        folder: Where; it is made when the first part is written.
        people: Whom it is of.
        made_with: What else it depends on: weights, device ...
        collect: Runs the network: the cases of some inputs, with each number of views.
    """

    def __init__(self, folder: Path, people: People, made_with: str, collect: Callable[[Inputs], list[Cases]]) -> None:
        self.folder, self.people, self.collect = folder, people, collect
        self._made_with = made_with
        self._images = [f"{file.resolve()} {fingerprint(file)}" for file in people.files]

    def __call__(self, inputs: Inputs) -> list[Cases]:
        """The cases of all inputs, with a progress bar."""
        rows = np.arange(len(inputs.rows))
        found = []
        with tqdm(total=len(rows), desc="evidence", unit="person", mininterval=1) as bar:
            for start in range(0, len(rows), PART):
                part = rows[start : start + PART]
                found.append(self._part(of_inputs(inputs, part)))
                bar.update(len(part))
        return [join_cases(list(cases)) for cases in zip(*found, strict=True)]

    def _part(self, inputs: Inputs) -> list[Cases]:
        path = self.folder / f"{self.name(inputs)}{SUFFIX}"
        if path.is_file():
            try:
                return unpacked(path.read_bytes())
            except (SafetensorError, KeyError):
                pass  # damaged: anew
        cases = self.collect(inputs)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, packed(cases))
        return cases

    def name(self, inputs: Inputs) -> str:
        """Of the file with the evidence on these inputs."""
        told = hashlib.sha256(self._made_with.encode())
        for row in inputs.rows:
            told.update(self._images[self.people.image[row]].encode())
        people = self.people
        known = (people.keypoints, people.area, people.mpii)
        for values in (*(v[inputs.rows] for v in known), inputs.poses, inputs.others, inputs.shown, inputs.framed):
            told.update(np.ascontiguousarray(values).tobytes())
        return told.hexdigest()[:24]


def of_inputs(inputs: Inputs, rows: AnyArray) -> Inputs:
    """Some of them, (R,)."""
    names = ("rows", "poses", "others", "shown", "framed")
    return replace(inputs, **{name: getattr(inputs, name)[rows] for name in names})


def packed(cases: list[Cases]) -> bytes:
    """Cases with each number of views, as a file."""
    return save({f"{n}.{f.name}": getattr(c, f.name).clone() for n, c in enumerate(cases) for f in fields(Cases)})


def unpacked(data: bytes) -> list[Cases]:
    """What `packed` packed."""
    tensors = load(data)
    count = 1 + max(int(name.split(".")[0]) for name in tensors)
    return [Cases(*(tensors[f"{n}.{f.name}"] for f in fields(Cases))) for n in range(count)]
