"""Stand-ins for what is too heavy to install for a test, or too far away."""

import hashlib
import http.server


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


class Hub(http.server.BaseHTTPRequestHandler):
    """The file endpoints of the Hugging Face hub; `root` holds {org}/{name}/{revision}/{file}.

    As there, large files are elsewhere: a redirect carries what is to be known about them. Protocol:
    https://huggingface.co/docs/huggingface_hub/package_reference/file_download
    """

    def do_HEAD(self):
        _, *parts = self.path.split("/")
        self.server.asked.append((self.command, self.path))
        if parts == ["stop"]:
            self.server.shutdown()
            self.server.server_close()
            self.answer(200)
        elif parts[0] == "cdn":
            self.send_file(self.server.root.joinpath(*parts[1:]))
        elif parts[1] != "hangs-up":  # that one closes the connection without a word
            self.resolve(*parts)

    do_GET = do_HEAD

    def resolve(self, org, name, _, revision, file):
        path = self.server.root / org / name / revision / file
        for level, code in ((2, "RepoNotFound"), (1, "RevisionNotFound"), (0, "EntryNotFound")):
            if not [path, *path.parents][level].exists():
                return self.answer(404, {"X-Error-Code": code})
        commit = f"{path.parent}{file if name == 'moving' else ''}"
        headers = {"X-Repo-Commit": hashlib.sha1(commit.encode()).hexdigest()}
        if path.suffix != ".safetensors":
            return self.send_file(path, headers)
        data = path.read_bytes()
        headers |= {"X-Linked-Size": len(data), "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        where = f"http://localhost:{self.server.server_port}/cdn/{org}/{name}/{revision}/{file}"
        return self.answer(302, headers | {"Location": where})

    def send_file(self, path, headers=None):
        data = path.read_bytes()
        self.answer(200, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', **(headers or {})}, data)

    def answer(self, status, headers=None, data=b""):
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass
