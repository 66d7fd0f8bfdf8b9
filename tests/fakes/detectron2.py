"""Detectron2, which does not install everywhere."""


class Instances:
    """Behaves as detectron2.structures.Instances where it counts: any field, all of one length, indexed together.

    Schema: https://github.com/facebookresearch/detectron2/blob/main/detectron2/structures/instances.py
    """

    def __init__(self, image_size, **fields):
        self._image_size = image_size
        self._fields = {}
        for name, value in fields.items():
            self.set(name, value)

    @property
    def image_size(self):
        return self._image_size

    def __setattr__(self, name, value):
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self.set(name, value)

    def __getattr__(self, name):
        if name == "_fields" or name not in self._fields:
            raise AttributeError(f"Cannot find field '{name}' in the given Instances!")
        return self._fields[name]

    def set(self, name, value):
        assert not self._fields or len(value) == len(self), f"{name}: {len(value)} values for {len(self)} instances"
        self._fields[name] = value

    def get(self, name):
        return self._fields[name]

    def has(self, name):
        return name in self._fields

    def get_fields(self):
        return self._fields

    def __len__(self):
        if not self._fields:
            # what detectron2 itself raises, here and where it is iterated over: readers must live with it
            raise NotImplementedError("Empty Instances does not support __len__!")
        return len(next(iter(self._fields.values())))

    def __iter__(self):
        raise NotImplementedError("`Instances` object is not iterable!")

    def __getitem__(self, item):
        if type(item) is int:
            if not -len(self) <= item < len(self):
                raise IndexError("Instances index out of range!")
            item = slice(item, None, len(self))
        return Instances(self._image_size, **{name: value[item] for name, value in self._fields.items()})
