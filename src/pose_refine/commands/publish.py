"""pose-refine publish: a folder of weights as a repository of the Hugging Face hub."""

import argparse
import logging
import shutil
import sys
import tempfile
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from string import Template

from pose_refine.commands._common import Commands, add_parser
from pose_refine.commands.info import CARD
from pose_refine.nn import weights
from pose_refine.nn.model import Model

log = logging.getLogger("pose_refine")
SENT = (weights.CONFIG, weights.TENSORS, CARD, "LICENSE", "NOTICE", "*.jsonl", "*.png", "*.jpg")
LICENCE = "apache-2.0"
EPILOG = f"""\
FOLDER is a folder of weights, as training's export writes it. It is checked as on every load. Of it are sent:
{", ".join(SENT)}.
Without {CARD} a model card is made: what it is, how to load it, how to cite; it goes to the hub, not into FOLDER.
Save it there first (--card) to say what the weights were trained on, and how good they are.

Nothing is sent without --really. For that you need a token of the hub that may write: `hf auth login`, or HF_TOKEN.
What is published loads with Refiner.from_pretrained("org/name"), and as --weights org/name.

examples:
  pose-refine publish weights/mine my-org/my-weights                     what would be sent, and the card
  pose-refine publish weights/mine my-org/my-weights --card > weights/mine/{CARD}
  pose-refine publish weights/mine my-org/my-weights --private --really
"""


def add(commands: Commands) -> None:
    parser = add_parser(commands, "publish", "put weights on the Hugging Face hub, with a model card", EPILOG)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the weights")
    parser.add_argument("repository", metavar="ORG/NAME", help="the hub repository, which is made")
    parser.add_argument("--private", action="store_true", help="only you, or ORG, can see it")
    parser.add_argument("--license", default=LICENCE, metavar="ID", help="for a new card (default: %(default)s)")
    parser.add_argument("--card", action="store_true", help="print the new card alone, and do nothing else")
    parser.add_argument("--really", action="store_true", help="send it; without, only say what would be sent")
    parser.add_argument("--overwrite", action="store_true", help="the repository may exist: add a commit to it")
    parser.set_defaults(function=publish)


def publish(arguments: argparse.Namespace) -> int:
    """Checks the very files that are sent: a copy of the folder."""
    folder, repository = arguments.folder, arguments.repository
    check_name(repository)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        left_out = copy_sent(folder, copy)
        model, config = weights.load(copy)
        card = new_card(model, config, repository, arguments.license)
        if arguments.card:
            sys.stdout.write(card)
            return 0
        written = not (copy / CARD).is_file()
        if written:
            (copy / CARD).write_text(card, encoding="utf-8")
        sys.stdout.write(plan(arguments, copy, left_out))
        if written:
            sys.stdout.write(f"\n{CARD}, written anew:\n\n{card}")
        if not arguments.really:
            log.info("nothing was sent; --really sends it")
            return 0
        where = send(copy, repository, private=arguments.private, existing=arguments.overwrite)
    log.info("weights %s -> %s", config.name, where)
    return 0


def check_name(repository: str) -> None:
    """Raises ValueError where the hub would not take the name, or it is one of ours."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined,unused-ignore]

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ValueError(f"ORG/NAME: {error}") from error
    if "/" not in repository:
        raise ValueError(
            f"expected ORG/NAME, the name of an organisation or user and of the weights, got {repository!r}"
        )


def copy_sent(folder: Path, copy: Path) -> list[str]:
    """Copy what is sent; names of the files and folders that are not."""
    left_out = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in SENT):
            shutil.copyfile(path, copy / path.name)
        else:
            left_out.append(path.name + "/" * path.is_dir())
    return left_out


def new_card(model: Model, config: weights.WeightsConfig, repository: str, licence: str) -> str:
    """A model card that says what the weights themselves tell."""
    template = (files("pose_refine") / "model_card.md").read_text(encoding="utf-8")
    return Template(template).substitute(
        licence=licence,
        name=config.name,
        repository=repository,
        parameters=f"{sum(tensor.numel() for tensor in model.parameters()) / 1e6:.1f}",
        height=config.size[0],
        width=config.size[1],
        views=config.views,
        sha256=config.sha256,
    )


def plan(arguments: argparse.Namespace, copy: Path, left_out: list[str]) -> str:
    """What would be sent where."""
    kind = "private" if arguments.private else "public"
    lines = [f"to {arguments.repository} ({kind}, on the Hugging Face hub):"]
    lines += [f"  {path.name:20}{path.stat().st_size / 1e6:9.3f} MB" for path in sorted(copy.iterdir())]
    if left_out:
        lines.append(f"left out: {', '.join(left_out)}")
    return "\n".join(lines) + "\n"


def send(folder: Path, repository: str, *, private: bool, existing: bool) -> str:
    """Make the repository and put all files there, in one commit; returns its address.

    Raises:
        ValueError: The hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    hub = HfApi(library_name="pose_refine")
    try:
        where = hub.create_repo(repository, private=private, exist_ok=existing)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Weights for pose_refine")
    except (HfHubHTTPError, LocalTokenNotFoundError) as error:
        raise ValueError(f"{repository}: {reason(error)}") from error
    except Exception as error:  # OSErrors, and those of whichever library the hub's client uses
        raise ValueError(f"could not send {repository} to the hub: {error}{cause(error)}") from error
    return str(where)


def reason(error: Exception) -> str:
    """What the hub's refusal means, and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", 401)
    words = {
        401: "the hub does not know you: log in by `hf auth login`, or set HF_TOKEN to a token that may write",
        403: "your token may not write there",
        409: "this repository exists; --overwrite adds a commit to it",
    }
    return words.get(status, f"the hub refuses it: {error}") + (f" ({error})" if status in words else "")


def cause(error: Exception) -> str:
    """What lies behind an error, where the hub's client wraps it."""
    return "" if error.__cause__ is None else f": {error.__cause__}"
