"""PP-TinyPose's layers as published, which move channels about, with weights of one's own; and its ONNX file."""

import torch
import torch.nn.functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which its images are normalised by


class TinyPose:
    """Called with images (B, 3, H, W), normalised; gives maps (B, 17, H / 4, W / 4).

    `layers` are weights and biases in the order in which they run: random ones, made at the first call.
    """

    def __init__(self, seed=0):
        self.layers, self.place = [], 0
        self.random = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def __call__(self, image):
        self.place = 0
        return self.conv(self.features(image), 17)

    def conv(self, x, outputs, kernel=1, *, stride=1, depthwise=False):
        if self.place == len(self.layers):
            inputs = 1 if depthwise else x.shape[1]
            weight = torch.randn(outputs, inputs, kernel, kernel, generator=self.random)
            bias = torch.randn(outputs, generator=self.random)
            self.layers.append((weight * (inputs * kernel**2) ** -0.5, 0.2 * bias))
        weight, bias = self.layers[self.place]
        self.place += 1
        return F.conv2d(x, weight, bias, stride, kernel // 2, groups=x.shape[1] if depthwise else 1)

    def separable(self, x, outputs, stride=1):
        return self.conv(self.conv(x, x.shape[1], 3, stride=stride, depthwise=True), outputs)

    def unit(self, x, hidden, outputs, stride=1):
        return self.separable(self.conv(x, hidden).relu(), outputs, stride).relu()

    def shuffle_block(self, x):
        kept, changed = x.chunk(2, 1)
        half = x.shape[1] // 2
        return shuffled(kept, self.unit(changed, half, half))

    def stem(self, image):
        plain, changed = self.conv(image, 32, 3, stride=2).relu().chunk(2, 1)
        return shuffled(self.separable(plain, 16, 2).relu(), self.unit(changed, 32, 16, 2))

    def path(self, x, source, target):
        if source > target:
            return F.interpolate(self.conv(x, WIDTHS[target]), scale_factor=2.0 ** (source - target))
        for _ in range(target - source - 1):
            x = self.separable(x, WIDTHS[source], 2).relu()
        return self.separable(x, WIDTHS[target], 2)

    def exchange(self, branches):
        branches = [self.shuffle_block(self.shuffle_block(x)) for x in branches]
        out = []
        for i in range(len(branches)):
            total = branches[0] if i == 0 else self.path(branches[0], 0, i)
            for j, x in enumerate(branches):
                total = total + (total if j == 0 else x if i == j else self.path(x, j, i))
                if i == 0:
                    branches[0] = total
            out.append(total.relu())
        return out

    def features(self, image):
        x = self.stem(image)
        branches = [self.separable(x, 40).relu(), self.separable(x, 80, 2).relu()]
        for count, exchanges in ((2, 2), (3, 4), (4, 2)):
            if count > len(branches):
                branches.append(self.separable(branches[-1], WIDTHS[count - 1], 2).relu())
            for _ in range(exchanges):
                branches = self.exchange(branches)
        y = None
        for i in (3, 2, 1, 0):
            if y is not None:
                larger = F.interpolate(y, branches[i].shape[2:], mode="bilinear", align_corners=True)
            y = self.separable(branches[i] if y is None else branches[i] + larger, WIDTHS[max(i - 1, 0)]).relu()
        return y


WIDTHS = (40, 80, 160, 320)


def shuffled(first, second):
    """Channels of both in turns."""
    return torch.stack([first, second], 2).flatten(1, 2)


def write_onnx(path, layers, order=None):
    """A file of these convolutions alone, which is what is read of the published one; nodes in any `order`."""
    import onnx

    nodes, values = [], []
    for n, layer in enumerate(layers):
        names = [f"Conv_{n}.weight", f"Conv_{n}.bias"][: len(layer)]
        values += [onnx.numpy_helper.from_array(t.numpy(), name) for t, name in zip(layer, names, strict=True)]
        nodes.append(onnx.helper.make_node("Conv", [f"x{n}", *names], [f"y{n}"]))
    nodes = nodes if order is None else [nodes[n] for n in order]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "tinypose", [], [], values)), path)
    return path
