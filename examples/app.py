"""Try it in a browser: a photograph and its poses in, a slider between before and after. Needs gradio: python app.py"""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from pose_refine import Refiner, viz

HELP = """# pose_refine
A photograph and poses found on it, as JSON (OpenPose, COCO ...); else the demo's. White arrows show what moved."""
load = cache(Refiner.from_pretrained)


def correct(image, poses_file):
    """Before and after, RGB, and what became of the joints; of the demo where either is missing."""
    if image is None or poses_file is None:
        image, poses = (str(files("pose_refine") / "demo" / name) for name in ("cameraman.jpg", "mediapipe.json"))
    else:
        poses = json.loads(Path(poses_file).read_text(encoding="utf-8"))
        if isinstance(poses, list) and any(isinstance(person, list) for person in poses):
            poses = np.array(poses, dtype=float)
    result = load().analyze(image, poses)
    names, counts = np.unique(result.verdict, return_counts=True)
    words = ", ".join(f"{count} joints {name}" for name, count in zip(names, counts, strict=True))
    both = viz.draw(image, result.initial, least_score=-np.inf), viz.draw(image, result.poses, result.initial)
    return both, words or "nobody there"


def build():
    import gradio as gr

    with gr.Blocks(title="pose_refine") as page:
        gr.Markdown(HELP)
        inputs = [gr.Image(label="Photograph", type="numpy"), gr.File(label="Poses", file_types=[".json"])]
        button = gr.Button("Refine", variant="primary")
        outputs = [gr.ImageSlider(label="Before and after", type="numpy"), gr.Textbox(label="What changed")]
        button.click(correct, inputs, outputs)
    return page


if __name__ == "__main__":
    build().launch()
