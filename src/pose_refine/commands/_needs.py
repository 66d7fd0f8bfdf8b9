"""What a command needs beside the plain install: asked for before any work is done."""

import argparse
import importlib

EXTRAS = {"pycocotools": "eval", "onnx": "onnx", "onnxruntime": "onnx"}  # package to extra


def needed(arguments: argparse.Namespace) -> list[str]:
    """Packages that a command with these arguments cannot do without."""
    given = vars(arguments)
    packages = []
    if given.get("metric") == "oks":
        packages.append("pycocotools")
    if arguments.command == "export":
        packages.append("onnx")
    sources = [given.get("weights"), given.get("source")]
    if arguments.command != "export" and any(str(source).endswith(".onnx") for source in sources):
        packages.append("onnxruntime")
    return packages


def there(package: str) -> bool:
    """Whether it is installed and can be imported."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def check(arguments: argparse.Namespace) -> None:
    """Raises ImportError, with the command that installs it, where a package is not there."""
    for package in needed(arguments):
        if not there(package):
            extra = EXTRAS[package]
            raise ImportError(f'{arguments.command} needs {package}: pip install "pose-refine[{extra}]"')
