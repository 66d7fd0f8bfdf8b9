"""The model as one ONNX file, and ONNX Runtime in place of torch to run it."""

import inspect
import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH, OTHERS
from pose_refine.nn import weights
from pose_refine.nn.evidence import Prompt
from pose_refine.nn.model import Model
from pose_refine.skeletons import NETWORK

SUFFIX = ".onnx"
INPUTS, OUTPUTS = ("crops", *Prompt._fields), ("keypoints", "scores", "agreed")
OPSET = 17  # the first with LayerNormalization
EXTRA = 'ONNX needs more packages: pip install "pose-refine[onnx]"'
_one_at_a_time = threading.Lock()  # what an export switches is torch's, not its own
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}  # by device


class _Float32(nn.Module):
    """The model without its choice of dtype, which is no input of a graph."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, *prompt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keypoints, scores, agreed = self.model(crops, Prompt(*prompt))
        return keypoints, scores, agreed


def to_onnx(model: Model, config: weights.WeightsConfig) -> bytes:
    """What `pose-refine export` writes: all of `Model.forward`, for any number of people.

    The names of inputs and outputs are INPUTS and OUTPUTS, shapes and units those of `Model.forward`, with OTHERS
    people nearby. The metadata has the weights' name and sha256, and the names of the joints, separated by commas.

    Args:
        model: On the CPU, in evaluation mode.
        config: Its description.

    Returns:
        The content of an ONNX file of opset OPSET, weights in float32.

    Raises:
        ImportError: The extra is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(EXTRA) from error
    graph = onnx.load_from_string(_traced(model))
    facts = {"name": config.name, "sha256": config.sha256, "joints": ",".join(NETWORK.joints)}
    onnx.helper.set_model_props(graph, facts)
    return bytes(graph.SerializeToString())


def _traced(model: Model) -> bytes:
    """By torch's first exporter: the later one takes ten times as long.

    It warns of every size that it takes for a constant; only the number of people is none, and tests vary it. The
    encoder layer in one step, torch's fast path, has no ONNX operator.
    """
    joints = len(NETWORK.joints)
    crops = torch.zeros(2, CROP_HEIGHT, CROP_WIDTH, 3, dtype=torch.uint8)
    pose = torch.full((2, joints, 2), 50.0)
    others, mpii = torch.full((2, OTHERS, joints, 2), torch.nan), torch.tensor([True, False])
    example = (crops, *Prompt(pose, others, pose.clone(), torch.ones(2), mpii, torch.full((2,), torch.nan)))
    options: dict[str, Any] = {"opset_version": OPSET, "input_names": INPUTS, "output_names": OUTPUTS}
    options["dynamic_axes"] = {name: {0: "people"} for name in INPUTS + OUTPUTS}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:  # torch 2.4 has one exporter alone
        options["dynamo"] = False
    file: Any = io.BytesIO()
    with torch.inference_mode():
        model(crops, Prompt(*example[1:]))  # what is made at its first use must be no part of the graph
    with _one_at_a_time:
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(_Float32(model).eval(), example, file, **options)
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
    return bytes(file.getvalue())


def runtime() -> Any:
    """The package onnxruntime.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(EXTRA) from error
    return onnxruntime


class OnnxModel:
    """An exported model; called as `Model` is. Threads may share one.

    On CPUs as many threads as torch has share the people of a batch, each with its own part: faster than all of them at
    one person's small convolutions, which is what is done for a person alone.

    Args:
        data: Content of a file that `to_onnx` made.
        device: cpu, or cuda where ONNX Runtime has it.
        name: Of the file, for errors.

    Attributes:
        parts: Into how many a batch is divided; a good batch has several people a part.
        facts: Which weights were exported, in words.

    Raises:
        ImportError: ONNX Runtime is not installed.
        ValueError: Not such a file, or a device that ONNX Runtime cannot use.
    """

    def __init__(self, data: bytes, device: torch.device, name: str = "model") -> None:
        threads = torch.get_num_threads()
        self.parts = threads if device.type == "cpu" else 1
        self._session = _session(data, device, name, threads)
        self._part = _session(data, device, name, 1) if self.parts > 1 else self._session
        self._threads = ThreadPoolExecutor(self.parts, "pose_refine")
        told = self._session.get_modelmeta().custom_metadata_map
        joints = told.get("joints")
        if joints != ",".join(NETWORK.joints):
            raise ValueError(f"{name}: expected a file of pose-refine export, got one whose joints are {joints}")
        if (inputs := tuple(given.name for given in self._session.get_inputs())) != INPUTS:
            raise ValueError(f"{name}: expected the inputs {INPUTS}, got {inputs}: export it anew with this version")
        self.facts = {"name": f"{told.get('name')}", "weights": f"{told.get('sha256')} (SHA-256)"}
        self.facts["joints"] = f"{len(NETWORK.joints)}: {', '.join(NETWORK.joints)}"

    def __call__(
        self, crops: Tensor, prompt: Prompt, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Model.forward`, with OTHERS people nearby, on CPU tensors or not; it has no dtype but float32."""
        inputs = {name: given.cpu().numpy() for name, given in zip(INPUTS, (crops, *prompt), strict=True)}
        count = min(len(crops), self.parts)
        if count == 1:
            found = self._session.run(OUTPUTS, inputs)
        else:
            divided = (np.array_split(given, count) for given in inputs.values())
            parts = [dict(zip(INPUTS, part, strict=True)) for part in zip(*divided, strict=True)]
            answers = self._threads.map(partial(self._part.run, OUTPUTS), parts)
            found = [np.concatenate(column) for column in zip(*answers, strict=True)]
        keypoints, scores, agreed = (torch.from_numpy(values) for values in found)
        return keypoints, scores, agreed


def _session(data: bytes, device: torch.device, name: str, threads: int) -> Any:
    """ONNX Runtime's session; errors as of `OnnxModel`."""
    ort, options = runtime(), runtime().SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    provider = PROVIDERS.get(device.type, device.type)
    if provider not in ort.get_available_providers():
        raise ValueError(f"device: ONNX Runtime cannot use '{device}', it has {ort.get_available_providers()}")
    settings = [{"device_id": device.index or 0} if device.type == "cuda" else {}]
    try:
        session = ort.InferenceSession(data, options, providers=[provider], provider_options=settings)
    except Exception as error:  # ONNX Runtime's errors have nothing else in common
        raise ValueError(f"{name}: ONNX Runtime cannot load it: {error}") from error
    if provider not in session.get_providers():
        raise ValueError(f"device: ONNX Runtime could not start on '{device}', only {session.get_providers()}")
    return session
