"""The Hugging Face hub."""

import hashlib
import http.server


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
        elif parts[1] == "goes-round":
            self.answer(307, {"Location": self.path})
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
            half = "stops" in self.path and self.path.endswith(".safetensors")  # in the middle of the tensors
            self.wfile.write(data[: len(data) // 2] if half else data)
            self.close_connection = self.close_connection or half

    def log_message(self, *_):
        pass
