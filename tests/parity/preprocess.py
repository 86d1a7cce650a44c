# SPDX-License-Identifier: MIT
"""Golden results of the image processor on pictures made by a formula."""

import hashlib

import numpy as np
import torch
from PIL import Image

import checkpoints

# (width, height) by the model's picture size.
SIZES = {
    40: [(40, 40), (39, 40), (40, 41), (70, 110), (131, 74), (1, 50), (50, 1), (1, 1), (7, 300),
         (13, 13), (200, 199)],
    96: [(96, 96), (95, 96), (96, 95), (97, 96), (193, 192), (70, 110), (131, 74), (1, 50),
         (50, 1), (1, 1), (3, 400), (400, 3), (33, 33), (640, 480), (61, 107), (107, 61)],
    112: [(61, 112), (112, 61), (122, 224)],
    384: [(384, 384), (383, 384), (384, 383), (385, 384), (640, 427), (427, 640), (1, 300),
          (1000, 20), (170, 94), (94, 170), (100, 100), (1537, 864)],
}
CROPS = {
    40: [(40, 40), (39, 40), (70, 110), (131, 74), (1, 50), (50, 1), (1, 1), (7, 300), (200, 199)],
    112: [(61, 112), (112, 61)],
    384: [(383, 384), (640, 427), (427, 640), (1, 30), (1000, 20), (100, 100), (1537, 864)],
}
STORED = 40  # canvases of this size are stored whole, the others as digests


def picture(width, height):
    """uint8 [h, w, 3]: a wrapping ramp plus hashed noise, all in uint32 arithmetic."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.uint32)
    with np.errstate(over="ignore"):
        noise = x * np.uint32(73856093) ^ y * np.uint32(19349663) ^ c * np.uint32(83492791)
        value = x * np.uint32(5) + y * np.uint32(3) + c * np.uint32(40)
        value += noise >> np.uint32(13) & np.uint32(63)
    return (value & np.uint32(255)).astype(np.uint8)


def fnv1a(data):
    """64-bit FNV-1a as hex."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"


def crops():
    """Digests of the other fit, ours: the shorter side becomes the size, the middle is taken."""
    listed = []
    for size, shapes in CROPS.items():
        for width, height in shapes:
            short = min(width, height)
            wide, high = max(int(width / short * size), size), max(int(height / short * size), size)
            image = Image.fromarray(picture(width, height), "RGB")
            x, y = (wide - size) // 2, (high - size) // 2
            image = image.resize((wide, high), Image.BICUBIC).crop((x, y, x + size, y + size))
            canvas = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
            listed.append({"size": size, "width": width, "height": height,
                           "canvas_fnv1a64": fnv1a(canvas.tobytes())})
    return listed


def golden(janus):
    """(tensors, cases): stored canvases and the table of normalised values; digests of all."""
    tensors, listed = {}, []
    for size, shapes in SIZES.items():
        processor = janus.image_processing_vlm.VLMImageProcessor(
            image_size=size, min_size=14, **checkpoints.IMAGE_STATS)
        for width, height in shapes:
            image = Image.fromarray(picture(width, height), "RGB")
            canvas = np.ascontiguousarray(processor.resize(image))
            values = processor([image], return_tensors="np")["pixel_values"][0]
            assert canvas.dtype == np.uint8 and values.dtype == np.float32
            listed.append({
                "size": size, "width": width, "height": height,
                "canvas_fnv1a64": fnv1a(canvas.tobytes()),
                "canvas_sha256": hashlib.sha256(canvas.tobytes()).hexdigest(),
                "values_sha256": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()})
            if size == STORED:
                tensors[f"canvas.{width}x{height}"] = torch.from_numpy(canvas)
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    processor.image_size = 16
    table = processor([Image.fromarray(ramp, "RGB")], return_tensors="pt")["pixel_values"]
    tensors["normalized"] = table[0, 0].reshape(256).contiguous()
    return tensors, listed
