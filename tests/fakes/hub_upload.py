"""The Hugging Face hub, as one that takes weights, too."""

import base64
import json

from fakes.hub import Hub


class UploadHub(Hub):
    """Beside what Hub answers, the endpoints by which a repository is made and a folder uploaded.

    Who has no token is refused; what is committed lies in `root` as Hub has it, on branch main. Protocol:
    https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/_commit_api.py, and Git LFS's batches.
    """

    def do_POST(self):
        body = self.body()
        self.server.asked.append((self.command, self.path))
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/api/validate-yaml":
            return self.answer_json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self.answer(401)
        if parts == ["api", "repos", "create"]:
            return self.create(json.loads(body))
        if parts[-1] == "batch":
            return self.answer_json({"objects": [self.batch(o) for o in json.loads(body)["objects"]]})
        repository = self.server.root / parts[2] / parts[3] / "main"
        if parts[4] == "preupload":
            files = [self.mode(file["path"]) for file in json.loads(body)["files"]]
            return self.answer_json({"files": files})
        for line in map(json.loads, body.splitlines()):
            self.commit(repository, line["key"], line["value"])
        return self.answer_json({"commitUrl": f"{self.origin()}/{parts[2]}/{parts[3]}/commit/1", "commitOid": "1"})

    def do_PUT(self):
        self.server.blobs[self.path.split("/")[-1]] = self.body()
        self.answer(200)

    def body(self):
        """Of a known length, or in chunks."""
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def create(self, asked):
        self.server.created.append(asked)
        repository = self.server.root / asked["organization"] / asked["name"]
        where = {"url": f"{self.origin()}/{asked['organization']}/{asked['name']}"}
        if repository.exists():
            return self.answer_json({"error": "You already created this model repo", **where}, 409)
        (repository / "main").mkdir(parents=True)
        return self.answer_json(where)

    def origin(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def batch(self, wanted):
        return {**wanted, "actions": {"upload": {"href": f"{self.origin()}/blobs/{wanted['oid']}"}}}

    def mode(self, path):
        kind = "lfs" if path.endswith(".safetensors") else "regular"
        return {"path": path, "uploadMode": kind, "shouldIgnore": False, "oid": None}

    def commit(self, repository, key, value):
        if key == "file":
            (repository / value["path"]).write_bytes(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            (repository / value["path"]).write_bytes(self.server.blobs[value["oid"]])

    def answer_json(self, content, status=200):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", len(data))
        self.end_headers()
        self.wfile.write(data)
