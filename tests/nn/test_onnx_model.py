"""The exported model answers as torch does, whoever is in the batch."""

import sys

import numpy as np
import pytest
import torch
from fakes.weights import lively, tiny_model

from pose_refine import Refiner, refine
from pose_refine.commands.demo import demo_input, exchanged
from pose_refine.crops.geometry import CROP_HEIGHT, CROP_WIDTH
from pose_refine.nn import backends, encoding, onnx_model, weights
from pose_refine.nn.evidence import Prompt, oks_units
from pose_refine.nn.model import Model
from pose_refine.nn.onnx_model import EXTRA, INPUTS, OnnxModel, to_onnx
from pose_refine.skeletons import NETWORK

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

CPU = torch.device("cpu")
CONTROL_FLOW = {"If", "Loop", "Scan"}
TINY = {"crop's size": ((256, 192), 2), "another size": ((192, 160), 1), "both views": ((64, 64), 2)}


def given(people):
    """Crops of smooth noise, poses anywhere in and around them; some joints missing, some people alone."""
    rng = np.random.default_rng(people)
    crops = rng.integers(0, 256, (people, 16, 12, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    initial, others, shown = (rng.uniform(-20, 240, (people, *n, 19, 2)).astype(np.float32) for n in ((), (3,), ()))
    for pose in (initial, shown):
        pose[rng.random(pose.shape[:2]) < 0.2] = np.nan
    initial[0, :, 0] += 3e4  # far outside
    others[0, 1:] = np.nan
    others[-1] = np.nan
    assert crops.shape[1:] == (CROP_HEIGHT, CROP_WIDTH, 3)
    detail, mpii = rng.uniform(0.05, 3, people).astype(np.float32), np.arange(people) % 2 == 1
    trust = rng.uniform(0, 1, people).astype(np.float32)
    trust[::2] = np.nan
    images, *told = (torch.from_numpy(a) for a in (crops, initial, others, shown, detail, mpii, trust))
    return images, Prompt(*told)


def answers_alike(other, model, people):
    with torch.inference_mode():
        keypoints, scores, agreed = model(*given(people))
    found, sure, agreed_there = other(*given(people))
    assert found.shape == agreed_there.shape == (people, 19, 2)
    assert sure.shape == (people, 19)
    torch.testing.assert_close(found, keypoints, atol=0.05, rtol=0)
    torch.testing.assert_close(sure, scores, atol=1e-3, rtol=0)
    torch.testing.assert_close(agreed_there, agreed, atol=0.05, rtol=0)


@pytest.fixture(scope="module", params=TINY)
def tiny(request, tmp_path_factory):
    """An untrained model, and its export, which leaves the model, the random numbers and torch's settings alone."""
    size, views = TINY[request.param]
    model = tiny_model(size=size)
    lively(model.network)
    model.views = views
    for made_once in (encoding.joint_mirror, encoding.two_sided, oks_units):
        made_once.cache_clear()  # as in a process that has done nothing yet
    config = weights.save(model, "tiny", tmp_path_factory.mktemp("weights"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    data = to_onnx(model, config)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.backends.mha.get_fastpath_enabled()
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    return model, data


@pytest.mark.parametrize("people", [1, 2, 5])
def test_the_embedded_weights(exported, refiner, people):
    answers_alike(OnnxModel(exported.read_bytes(), CPU), refiner.predictor.model, people)


@pytest.mark.parametrize("people", [1, 2, 5])
def test_untrained_weights(tiny, people):
    model, data = tiny
    answers_alike(OnnxModel(data, CPU), model, people)


def test_the_graph(tiny):
    """Nothing that keeps other runtimes from reading it, or ONNX Runtime from being fast."""
    graph = onnx.load_from_string(tiny[1])
    onnx.checker.check_model(graph, full_check=True)
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 17)]
    assert not CONTROL_FLOW & {node.op_type for node in graph.graph.node}
    shapes = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.graph.input}
    assert shapes == {
        "crops": ["people", 256, 192, 3],
        "initial": ["people", 19, 2],
        "others": ["people", 3, 19, 2],
        "shown": ["people", 19, 2],
        "detail": ["people"],
        "mpii": ["people"],
        "trust": ["people"],
    }
    kinds = {i.name: i.type.tensor_type.elem_type for i in graph.graph.input}
    assert (kinds["crops"], kinds["detail"], kinds["mpii"]) == (
        onnx.TensorProto.UINT8,
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.BOOL,
    )
    assert [o.name for o in graph.graph.output] == ["keypoints", "scores", "agreed"]


def test_the_metadata(exported):
    facts = ort.InferenceSession(exported, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
    config = weights.read_config(weights.find(None))
    assert facts == {"name": "base", "sha256": config.sha256, "joints": ",".join(NETWORK.joints)}


@pytest.mark.parametrize("photograph", ["cameraman", "astronaut"])
def test_refine_by_a_file(exported, refiner, photograph):
    image, poses = demo_input(photograph, {"cameraman": "mediapipe", "astronaut": "movenet_lightning"}[photograph])
    for given in (poses, exchanged(poses)):
        by_torch = refiner.refine(image, given)
        for by_file in (Refiner.from_pretrained(exported).refine(image, given), refine(image, given, model=exported)):
            np.testing.assert_allclose(by_file.keypoints, by_torch.keypoints, atol=0.05 * max(image.shape) / 256)
            np.testing.assert_allclose(by_file.scores, by_torch.scores, atol=1e-3)


def test_a_gpu_that_onnx_runtime_cannot_use(exported, photo, pose, monkeypatch):
    """A file runs on the CPU then, whoever loads it."""
    usable = backends.usable_device
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backends, "usable_device", lambda device: cuda if device is None else usable(device))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    refiner = Refiner.from_pretrained(exported)
    assert refiner.device == CPU
    assert np.array_equal(refine(photo, pose, model=exported), refiner.refine(photo, pose))


def test_refine_by_a_folder(tiny, tmp_path, photo, pose, monkeypatch):
    """Its weights are exported in memory. To a pixel: what rounding changes in the first look moves the closer one."""
    config = weights.save(tiny[0], "tiny", tmp_path)
    monkeypatch.setattr(onnx_model, "to_onnx", lambda model, its: {config: tiny[1]}[its])
    by_torch, by_onnx = (Refiner.from_pretrained(tmp_path, device="cpu", backend=b) for b in ("torch", "onnx"))
    np.testing.assert_allclose(by_onnx.refine(photo, pose), by_torch.refine(photo, pose), atol=1)


def test_flip_is_chosen_before_the_export(tiny, tmp_path):
    weights.save(tiny[0], "tiny", tmp_path)
    other = tiny[0].views == 1
    by_torch, by_onnx = (Refiner.from_pretrained(tmp_path, device="cpu", backend=b, flip=other).predictor.model
                         for b in ("torch", "onnx"))  # fmt: skip
    assert by_torch.views == 1 + other
    answers_alike(by_onnx, by_torch, 2)
    (tmp_path / "model.onnx").write_bytes(tiny[1])
    with pytest.raises(ValueError, match="was exported with or without it"):
        Refiner.from_pretrained(tmp_path / "model.onnx", flip=other)


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_threads_as_torch(tiny, threads):
    """They share one person's layers, or else each has people of its own; the answers are the same, in order."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        shared = OnnxModel(tiny[1], CPU)
    finally:
        torch.set_num_threads(before)
    assert shared.parts == threads
    assert shared._session.get_session_options().intra_op_num_threads == threads
    assert shared._part.get_session_options().intra_op_num_threads == 1
    for people in (1, 2, 3, 7):
        answers_alike(shared, tiny[0], people)


def other_joints(data):
    graph = onnx.load_from_string(data)
    onnx.helper.set_model_props(graph, {"joints": "nose"})
    return graph.SerializeToString()


def other_inputs(data):
    graph = onnx.load_from_string(data)
    for node in graph.graph.node:
        node.input[:] = ["pose" if name == "shown" else name for name in node.input]
    graph.graph.input[3].name = "pose"
    return graph.SerializeToString()


BAD_FILES = {
    "empty": (lambda d: b"", "cannot load it"),
    "truncated": (lambda d: d[: len(d) // 2], "cannot load it"),
    "a text": (lambda d: b"pose", "cannot load it"),
    "of another network": (other_joints, "expected a file of pose-refine export, got one whose joints are nose"),
    "of another version": (other_inputs, "expected the inputs .*'shown'.*, got .*'pose'.*: export it anew"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_export(tiny, tmp_path, name):
    damage, words = BAD_FILES[name]
    (tmp_path / "model.onnx").write_bytes(damage(tiny[1]))
    with pytest.raises(ValueError, match=rf"model\.onnx: .*{words}"):
        Refiner.from_pretrained(tmp_path / "model.onnx", device="cpu")


BAD_WISHES = {
    "unknown backend": ({"backend": "tensorrt"}, "backend must be one of .*'torch', 'onnx'.*, got 'tensorrt'"),
    "bfloat16": ({"dtype": torch.bfloat16}, "dtype: ONNX Runtime computes in torch.float32, got torch.bfloat16"),
    "revision": ({"revision": "v1"}, "revision: only weights on the hub"),
    "no such device": ({"device": "nonsense"}, "cannot use 'nonsense'"),
}


@pytest.mark.parametrize("name", BAD_WISHES)
def test_what_a_file_cannot_do(exported, name):
    wish, words = BAD_WISHES[name]
    with pytest.raises(ValueError, match=words):
        Refiner.from_pretrained(exported, **wish)


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_devices_that_onnx_runtime_lacks(tiny, monkeypatch, device):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=f"ONNX Runtime cannot use '{device}', it has .*CPUExecutionProvider"):
        OnnxModel(tiny[1], torch.device(device))


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        Refiner.from_pretrained("none.onnx")


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_without_the_package(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError) as caught:
        if name == "onnx":
            to_onnx(*weights.load(weights.find(None)))
        else:
            Refiner.from_pretrained("model.onnx")
    assert str(caught.value) == EXTRA == 'ONNX needs more packages: pip install "pose-refine[onnx]"'


def test_inputs_are_named_as_the_arguments():
    for called in (OnnxModel.__call__, Model.forward):
        first, second, *_ = called.__annotations__.items()
        assert (first[0], second) == ("crops", ("prompt", Prompt))
    assert ("crops", *Prompt._fields) == INPUTS


def test_whose_joints_are_meant_is_an_input(tiny):
    """One file for both; of the same person the answers differ."""
    exported, (crops, prompt) = OnnxModel(tiny[1], CPU), given(2)
    answers = [exported(crops, prompt._replace(mpii=torch.tensor([mpii] * 2)))[0] for mpii in (False, True)]
    assert not torch.allclose(*answers, atol=0.5)
