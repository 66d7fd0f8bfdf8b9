"""Whatever an estimator gives, damaged at random; and what must hold of the answer all the same."""

import copy
import linecache
import struct
from pathlib import Path

import numpy as np
import torch

import pose_refine

PACKAGE = str(Path(pose_refine.__file__).parent)
NUMBERS = [0, -1, 1, 2, 3, 17, 51, 0.5, -0.0, 1e-320, 1e20, 3.5e38, -1e308, 2**31, 2**63, -(2**70), 10**400]
ODD_NUMBERS = [float("nan"), float("inf"), float("-inf")]
JSON = [
    None, True, False, *NUMBERS, *ODD_NUMBERS, "", "x", "1", "nan", "\ud800", "\0", "a" * 300, [], {}, [[]], [None],
    [{}], [[1, 2, 3]], [1.0, 2.0, 3.0], {"": None}, {"keypoints": []}, [0.0] * 51, ["1"] * 51, [None] * 51,
]  # fmt: skip
OBJECTS = [
    *JSON, (), b"", b"\xff" * 51, object(), set(), range(3), 1j, len, np.float32(3), np.array(1.0), np.array("x"),
    np.zeros((0, 17, 3)), np.zeros((2, 17, 3), object), np.full((1, 17, 3), np.nan), torch.tensor([]),
    torch.tensor(2.0), torch.zeros(1, 17, 3, dtype=torch.bfloat16), torch.zeros(1, 17, 2, device="meta"),
    torch.zeros(1, 17, 2).to_sparse(),
    np.ma.masked_all((1, 17, 3)), np.zeros((1, 17), [("x", "f4")]), np.datetime64("2020-01-01"), {1: 2, "a": 3},
]  # fmt: skip
DTYPES = [np.float16, np.float64, np.int8, np.int64, np.uint64, np.bool_, np.complex64, object, "U9", ">f4", "M8[s]"]
TENSORS = [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64]


def deliberate(error):
    """Whether this package raised it on purpose: what is wrong was seen, not stumbled upon."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename
    line = linecache.getline(file, trace.tb_lineno).lstrip()
    return file.startswith(PACKAGE) and line.startswith("raise") and len(str(error)) > 9


def answer(call):
    """What `call` gives; None where it refuses, which it must do in words of its own."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        if not deliberate(error):
            raise AssertionError(f"stumbled: {type(error).__name__}: {error}") from error
        return None


def damaged(chance, value, junk, times=3):
    """`value` with up to so many damages; what it shares with `value` is not changed."""
    for _ in range(chance.randint(1, times)):
        value = _damaged(chance, value, junk)
    return value


def _damaged(chance, value, junk):
    keys = list(_children(value))
    if not keys or chance.random() < 0.15:
        return _replaced(chance, value, junk)
    key = chance.choice(keys)
    child = _damaged(chance, _children(value)[key], junk)
    hidden = str(key).startswith("_") and not isinstance(child, type(_children(value)[key]))  # a fake's own
    return value if hidden else _with(value, key, child)


def _children(value):
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if isinstance(value, (np.ndarray, torch.Tensor, str, type)):
        return {}
    return getattr(value, "__dict__", {})


def _with(value, key, child):
    if isinstance(value, tuple):
        return (*value[:key], child, *value[key + 1 :])
    out = copy.copy(value)
    if isinstance(value, (dict, list)):
        out[key] = child
    else:
        vars(out)[key] = child
    return out


def _replaced(chance, value, junk):
    own = next((ways for kind, ways in WAYS.items() if isinstance(value, kind)), None)
    if not own or chance.random() < 0.3:
        return chance.choice(junk)
    return chance.choice(own)(chance, value, junk)


def _less(chance, value, junk):
    keys = list(value)
    return {k: value[k] for k in keys if k != chance.choice(keys or [None])}


def _more(chance, value, junk):
    return {**value, chance.choice(["people", "keypoints", "", 1, "scores", "image_id"]): chance.choice(junk)}


def _swapped(chance, value, junk):
    keys = list(value)
    chance.shuffle(keys)
    return dict(zip(value, [value[k] for k in keys], strict=True))


def _longer(chance, value, junk):
    return [*value, chance.choice([*junk, *value])]


def _shorter(chance, value, junk):
    return value[: chance.randint(0, max(len(value) - 1, 0))]


def _cells(chance, array):
    """A copy that may hold anything, and the index of one cell of it, None where there is none."""
    index = tuple(chance.randrange(n) for n in array.shape) if array.size else None
    return array.copy(), index


def _one_cell(chance, array, junk):
    out, index = _cells(chance, array)
    if index is not None and out.dtype.kind in "fc":
        with np.errstate(over="ignore"):
            out[index] = np.float64(chance.choice([0, -1, 1e-45, 1e-39, 3e38, 1e38, -1e30, *ODD_NUMBERS])).astype(
                out.dtype
            )
    return out


def _one_dtype(chance, array, junk):
    with np.errstate(all="ignore"):
        return np.nan_to_num(array).astype(np.int64).astype(chance.choice(DTYPES))


def _one_shape(chance, array, junk):
    ways = [
        lambda a: a[None], lambda a: a[:0], lambda a: a.T, lambda a: a.reshape(-1), lambda a: a[..., :1],
        lambda a: a[..., :0],
        lambda a: np.concatenate([a, a], -1), lambda a: np.concatenate([a, a]), lambda a: a[::-1], lambda a: a[:, :16],
        lambda a: np.asfortranarray(a), lambda a: np.broadcast_to(a, (2, *a.shape)), lambda a: a[0],
    ]  # fmt: skip
    try:
        return chance.choice(ways)(array)
    except (IndexError, ValueError):  # of fewer dimensions
        return array[None]


def _tensor(change):
    """Of a tensor, by way of an array."""

    def way(chance, value, junk):
        out = change(chance, value.detach().float().numpy(), junk) if _dense(value) else None
        fits = isinstance(out, np.ndarray) and out.dtype.kind in "fiub" and out.dtype.isnative
        return torch.from_numpy(np.array(out)) if fits else value

    return way


def _dense(value):
    return value.device.type == "cpu" and value.layout == torch.strided and not value.is_complex()


def _tensor_dtype(chance, value, junk):
    return value.to(chance.choice(TENSORS)) if _dense(value) else value


def _odd_tensor(chance, value, junk):
    if not _dense(value):
        return value
    floats = value.detach().clone().float()
    way = chance.choice([torch.Tensor.requires_grad_, torch.Tensor.to_sparse, torch.Tensor.numpy, torch.Tensor.tolist])
    return way(floats)


WAYS = {
    dict: [_less, _more, _swapped],
    list: [_longer, _shorter, lambda c, v, j: v[::-1], lambda c, v, j: [v], lambda c, v, j: v + v],
    tuple: [lambda c, v, j: list(v), lambda c, v, j: (*v, c.choice(j)), lambda c, v, j: v[:1]],
    np.ndarray: [_one_cell, _one_cell, _one_dtype, _one_shape, lambda c, v, j: v.tolist()],
    torch.Tensor: [_tensor(_one_cell), _tensor(_one_cell), _tensor(_one_shape), _tensor_dtype, _odd_tensor],
    str: [lambda c, v, j: v[:-1], lambda c, v, j: v * 2, lambda c, v, j: v.upper()],
}


def traits(value, depth=0):
    """What tells whether something has been changed: all that is in it, hashable."""
    if isinstance(value, torch.Tensor):
        value = value.detach().float().numpy() if _dense(value) else repr(value)
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), repr(value.tolist()) if value.dtype.hasobject else value.tobytes()
    if isinstance(value, float):
        return struct.pack("d", value)
    parts = _children(value)
    if parts and depth < 20:
        return type(value), tuple((repr(k), traits(v, depth + 1)) for k, v in parts.items())
    return type(value), repr(value)
