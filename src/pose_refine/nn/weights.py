"""Find, fetch, verify and load weights. A weights folder is laid out like a hub repository: config.json,
model.safetensors, README.md (the model card)."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import safetensors
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pose_refine.files.pose_files import write_whole
from pose_refine.nn.decision import TRUST
from pose_refine.nn.evidence import MOST_VIEWS
from pose_refine.nn.model import Model
from pose_refine.nn.network import NetworkConfig

# One set of weights is embedded; by these names it sees so many views of each crop (see `evidence.look`).
NAMES = {"small": 1, "base": 2}
DEFAULT = "base"
CONFIG, TENSORS = "config.json", "model.safetensors"
_PACKAGE = Path(__file__).parents[1]
EMBEDDED = _PACKAGE / "_weights"  # in a wheel
REPOSITORY = _PACKAGE.parents[1] / "weights"  # in a checkout
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
Side = Annotated[int, Field(ge=32, le=1024, multiple_of=32)]


class WeightsConfig(BaseModel):
    """config.json of a weights folder.

    Attributes:
        format: Version of this layout.
        name: Name of the weights.
        joints: See NetworkConfig.
        width: See NetworkConfig.
        coarse: See NetworkConfig.
        size: See NetworkConfig.
        views: How many images the network sees of each crop, by default (see `evidence.look`); its decision knows both.
        trust: How far initial poses are believed, by default (see `decision.margin`).
        sha256: Of model.safetensors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2]
    name: Annotated[str, Field(min_length=1)]
    joints: Literal[19]
    width: Annotated[int, Field(ge=1, le=1024)]
    coarse: Annotated[int, Field(ge=1, le=1024)]
    size: tuple[Side, Side] = (256, 192)
    views: Annotated[int, Field(ge=1, le=MOST_VIEWS)] = 2
    trust: Annotated[float, Field(ge=0, le=1)] = TRUST
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def network(self) -> NetworkConfig:
        """The shape of its network."""
        return NetworkConfig(self.joints, self.width, self.coarse, self.size)


def find(source: str | os.PathLike[str] | None, revision: str | None = None) -> Path:
    """The folder that holds `source`'s weights, fetched from the hub if need be.

    Args:
        source: A name in NAMES, None for DEFAULT (both mean the embedded weights); a folder; or "org/name" or
            "hf://org/name[@revision]" on the hub.
        revision: Branch, tag or commit on the hub.

    Returns:
        A local folder.

    Raises:
        FileNotFoundError: No such folder, and no name of ours; an installation without its weights.
        TypeError: Neither a name nor a path.
        ValueError: The hub does not have it or cannot be reached; a revision for what is not on the hub.
    """
    if source is not None and not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source: expected a folder, a name or None, got {type(source).__name__}")
    text = DEFAULT if source is None else os.fspath(source)
    named = text in NAMES and (source is None or isinstance(source, str))  # Path("base") is a folder
    if isinstance(source, str) and (hub := _hub_id(source, revision)):
        return _fetch(*hub)
    if revision is not None:
        raise ValueError(f"revision: only weights on the hub have revisions, {text!r} is not there")
    for folder in (EMBEDDED / DEFAULT, REPOSITORY / DEFAULT) if named else ():
        if (folder / CONFIG).is_file():
            return folder
    if named:
        raise FileNotFoundError(f"this installation lacks its weights: neither in {EMBEDDED} nor {REPOSITORY}")
    if not os.path.isdir(text):  # noqa: PTH112  # of a name that no file can have it is False, and no error
        raise FileNotFoundError(
            f"no weights at {text[:200]!r}: expected a folder, one of {', '.join(NAMES)}, 'org/name' or "
            "'hf://org/name[@revision]'"
        )
    return Path(text)


def _hub_id(source: str, revision: str | None) -> tuple[str, str | None] | None:
    """Repository and revision, or None where `source` is local."""
    if source.startswith("hf://"):
        name, _, pinned = source.removeprefix("hf://").partition("@")
        if not _HUB_ID.fullmatch(name):
            raise ValueError(f"expected hf://org/name[@revision], got {source!r}")
        if pinned and revision and pinned != revision:
            raise ValueError(f"two revisions: {pinned!r} in the source and revision={revision!r}")
        return name, pinned or revision
    if _HUB_ID.fullmatch(source) and not source.startswith("."):
        if os.path.exists(source.split("/")[0]):  # noqa: PTH110  # see `find`
            return None
        return source, revision
    return None


def _fetch(repository: str, revision: str | None) -> Path:
    """Download, or take from the hub's cache; offline mode and cache folder are huggingface_hub's own settings."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        with _hushed():
            folders = {Path(hf_hub_download(repository, name, revision=revision)).parent for name in (CONFIG, TENSORS)}
    except (HfHubHTTPError, HFValidationError) as error:
        raise ValueError(
            f"the hub has no weights {repository!r} at revision {revision or 'main'!r}: {error}"
        ) from error
    except Exception as error:  # OSErrors, and those of requests, httpx or httpx2, whichever the hub's client uses
        raise ValueError(
            f"there is no folder {repository!r} here; as weights of the hub, they could not be fetched and are not in "
            f"the cache: {error}"
        ) from error
    if len(folders) != 1:  # the branch moved between the two requests
        raise ValueError(f"{repository!r} changed while it was fetched; try again, or pin a revision")
    return folders.pop()


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what the hub's client logs of each try: what it comes to is said once, in the end."""
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)


def read_config(folder: Path) -> WeightsConfig:
    """Read and check config.json.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is not what it should be.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"no {CONFIG} in {folder}")
    try:
        return WeightsConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: not a weights config: {error}") from error


def load_source(
    source: str | os.PathLike[str] | None, revision: str | None = None, flip: bool | None = None
) -> tuple[Model, WeightsConfig]:
    """`load` what `find` finds; arguments and errors as there. A name in NAMES says how many views there are."""
    model, config = load(find(source, revision))
    if isinstance(source, str) and source in NAMES:
        model.views = NAMES[source]
    if flip is not None:
        model.views = 2 if flip else 1
    return model, config


def load(folder: Path) -> tuple[Model, WeightsConfig]:
    """Load and verify a weights folder.

    Args:
        folder: As `find` gives it.

    Returns:
        The model in float32 on the CPU, ready for inference, and its config.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: The file is not the one that the config describes, or does not fit the network.
    """
    config = read_config(folder)
    path = folder / TENSORS
    if not path.is_file():
        raise FileNotFoundError(f"no {TENSORS} in {folder}")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != config.sha256:
        raise ValueError(f"{path}: SHA-256 is {digest}, its config says {config.sha256}: truncated or changed")
    with torch.device("meta"):  # no time, and none of the caller's random numbers, for values that are replaced
        model = Model(config.network(), views=config.views, trust=config.trust)
    try:
        tensors = load_tensors(data)
        if odd := [name for name, tensor in tensors.items() if not tensor.is_floating_point()]:
            raise ValueError(f"{path}: does not fit its config: {odd[0]} is of {tensors[odd[0]].dtype}")
        tensors = {name: tensor.float() for name, tensor in tensors.items()}
        model.load_state_dict(tensors, strict=True, assign=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path}: does not fit its config: {error}") from error
    if wrong := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ValueError(f"{path}: not finite: {', '.join(wrong[:3])}; whoever made these weights must mend them")
    return model.eval().requires_grad_(False), config


def save(model: Model, name: str, folder: Path) -> WeightsConfig:
    """Write config.json and model.safetensors (float16) into `folder`, each whole or not at all."""
    data = save_tensors({key: tensor.half().contiguous().cpu() for key, tensor in model.state_dict().items()})
    shape = model.network.config
    config = WeightsConfig.model_validate(
        {
            "format": 2,
            "name": name,
            "joints": shape.joints,
            "width": shape.width,
            "coarse": shape.coarse,
            "size": shape.size,
            "views": model.views,
            "trust": model.trust,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / TENSORS, data)
    write_whole(folder / CONFIG, (config.model_dump_json(indent=2) + "\n").encode())
    return config
