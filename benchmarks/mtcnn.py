"""MTCNN of facenet-pytorch on every frame of a video: processor time per frame. Runs in an environment of its own.

    MTCNN_PYTHON benchmarks/mtcnn.py VIDEO [--frames 60] [--turns 3] [--asked]

One line of JSON per turn. `benchmarks.front_end` takes turns with it where the variable MTCNN_PYTHON names that
environment's interpreter; benchmarks/README.md says how the environment is made. Nothing of this project is imported:
facenet-pytorch asks for a torch that the project can't use.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import types
from typing import Any

#: Side of the crop, as the front end's.
CROP_PX = 112


def stand_in_for_torchvision() -> None:
    """The two functions of torchvision that facenet-pytorch calls: on Linux its wheel needs CUDA to be imported.

    Non-maximum suppression is OpenCV's, in C++ as torchvision's is.
    """
    import cv2
    import numpy as np
    import torch

    def batched_nms(boxes: Any, scores: Any, groups: Any, threshold: float) -> Any:
        corners = boxes.detach().double().numpy()
        sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        values, kinds = scores.detach().float().numpy(), groups.numpy().astype(np.int32)
        kept = cv2.dnn.NMSBoxesBatched(sides, values, kinds, -1.0, threshold) if len(sides) else []
        return torch.as_tensor(np.asarray(kept, dtype=np.int64))

    def to_tensor(picture: Any) -> Any:
        return torch.from_numpy(np.asarray(picture)).permute(2, 0, 1)

    contents: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.transforms": {"functional": types.SimpleNamespace(to_tensor=to_tensor)},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": batched_nms},
    }
    for name, members in contents.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        sys.modules[name] = module


def one_turn(finder: Any, video: str, most_frames: int) -> dict[str, float]:
    """Decode, find and cut out the face of each frame, as facenet-pytorch's README does."""
    import av

    frames = found = 0
    began = time.process_time()
    with av.open(video) as container:
        for frame in container.decode(video=0):
            found += finder(frame.to_image()) is not None
            frames += 1
            if frames == most_frames:
                break
    return {"ms": 1000 * (time.process_time() - began) / frames, "frames": frames, "found": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=60, help="Of the video's beginning.")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--asked", action="store_true", help="A turn for each line of the input instead.")
    asked = parser.parse_args()
    stand_in_for_torchvision()
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    finder = MTCNN(image_size=CROP_PX, margin=0, post_process=False)
    one_turn(finder, asked.video, 3)
    for _ in sys.stdin if asked.asked else range(asked.turns):
        print(json.dumps(one_turn(finder, asked.video, asked.frames)), flush=True)


if __name__ == "__main__":
    main()
