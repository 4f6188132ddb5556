"""Draws scenes: signed distance fields, anti-aliased, on noisy backgrounds.

Every shape is a function from coordinates relative to its centre (x to the right, y down, pixels) and a
radius to a signed distance in pixels: negative inside. Coverage of a pixel is 0.5 - distance, within 0..1.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from zoo.scenes.objects import SceneObject
from zoo.scenes.vocabulary import GRID_SIDE, IMAGE_SIDE, RGB, row_and_column

Plane = npt.NDArray[np.float64]
Shape = Callable[[Plane, Plane, float], Plane]

_ROWS, _COLUMNS = (axis + 0.5 for axis in np.mgrid[0:IMAGE_SIDE, 0:IMAGE_SIDE])
_TEXTURE_CELL = 8
_STRIPE_PERIOD, _STRIPE_WIDTH, _STRIPE_SHADE = 4.0, 1.6, 0.45


def _circle(x: Plane, y: Plane, radius: float) -> Plane:
    return np.sqrt(x * x + y * y) - radius


def _square(x: Plane, y: Plane, radius: float) -> Plane:
    distance: Plane = np.maximum(np.abs(x), np.abs(y)) - radius * 0.86
    return distance


def _triangle(x: Plane, y: Plane, radius: float) -> Plane:
    return np.maximum(y - radius * 0.75, np.abs(x) * 0.87 - (y + radius) * 0.46)


def _diamond(x: Plane, y: Plane, radius: float) -> Plane:
    distance: Plane = (np.abs(x) + np.abs(y)) * np.sqrt(0.5) - radius * 0.75
    return distance


def _star(x: Plane, y: Plane, radius: float) -> Plane:
    point = 2 * np.pi / 5
    angle = np.arctan2(x, -y) % point
    angle = np.minimum(angle, point - angle)
    taper = np.maximum(0, 1 - angle / (point / 2)) ** 1.3
    return np.sqrt(x * x + y * y) - radius * 1.12 * (0.45 + 0.55 * taper)


def _cross(x: Plane, y: Plane, radius: float) -> Plane:
    across, down = np.abs(x), np.abs(y)
    horizontal = np.maximum(across - radius, down - radius * 0.32)
    vertical = np.maximum(down - radius, across - radius * 0.32)
    distance: Plane = np.minimum(horizontal, vertical)
    return distance


def _ring(x: Plane, y: Plane, radius: float) -> Plane:
    return np.abs(np.sqrt(x * x + y * y) - radius * 0.74) - radius * 0.24


def _heart(x: Plane, y: Plane, radius: float) -> Plane:
    lobes = np.sqrt((np.abs(x) - radius * 0.45) ** 2 + (y + radius * 0.3) ** 2) - radius * 0.5
    point = np.maximum((np.abs(x) + y) * np.sqrt(0.5) - radius * 0.6, -(y + radius * 0.25))
    distance: Plane = np.minimum(lobes, point)
    return distance


SHAPE_DISTANCES: Final[dict[str, Shape]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "heart": _heart,
}


def draw(objects: tuple[SceneObject, ...], background: str, seed: int) -> npt.NDArray[np.uint8]:
    """The picture of the objects: uint8, [64, 64, 3]. The seed places, tilts, shades and disturbs."""
    rng = np.random.default_rng(seed)
    canvas = _background(background, rng)
    for each in objects:
        canvas = _paint(canvas, each, rng)
    canvas = (canvas - 128) * rng.uniform(0.75, 1.1) + 128 + rng.uniform(-14, 14)
    canvas += rng.normal(0, rng.uniform(3, 13), canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _background(kind: str, rng: np.random.Generator) -> Plane:
    tone = np.clip(rng.uniform(40, 215) + rng.normal(0, 10, 3), 10, 245)
    canvas = np.broadcast_to(tone, (IMAGE_SIDE, IMAGE_SIDE, 3)).copy()
    if kind == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        cosine, sine = np.cos(angle), np.sin(angle)
        slope = (cosine * _COLUMNS + sine * _ROWS) / IMAGE_SIDE - 0.5 * (cosine + sine)
        canvas += (slope * rng.uniform(40, 110))[..., None]
    elif kind == "texture":
        side = IMAGE_SIDE // _TEXTURE_CELL
        patches = rng.normal(0, 1, (side, side, 3)).repeat(_TEXTURE_CELL, 0).repeat(_TEXTURE_CELL, 1)
        canvas += patches * rng.uniform(6, 22)
    elif kind == "lines":
        period = rng.integers(4, 10)
        on_line = (_COLUMNS if rng.random() < 0.5 else _ROWS) % period < 1.5
        canvas += (on_line * rng.uniform(-45, 45))[..., None]
    return canvas


def _paint(canvas: Plane, drawn: SceneObject, rng: np.random.Generator) -> Plane:
    row, column = row_and_column(drawn.cell)
    pitch = IMAGE_SIDE / GRID_SIDE
    x = _COLUMNS - (column + 0.5) * pitch + rng.uniform(-2.6, 2.6)
    y = _ROWS - (row + 0.5) * pitch + rng.uniform(-2.6, 2.6)
    radius = rng.uniform(5.2, 6.8) if drawn.size == "small" else rng.uniform(8.2, 10.0)
    tilt = rng.uniform(-0.22, 0.22)
    cosine, sine = np.cos(tilt), np.sin(tilt)
    x, y = cosine * x + sine * y, -sine * x + cosine * y
    coverage = np.clip(0.5 - SHAPE_DISTANCES[drawn.shape](x, y, radius), 0, 1)[..., None]
    color = np.asarray(RGB[drawn.color]) * rng.uniform(0.78, 1.1) + rng.normal(0, 11, 3)
    paint = np.broadcast_to(color, canvas.shape)
    if drawn.pattern == "striped":
        direction = rng.choice([0.0, np.pi / 2, np.pi / 4])
        across = (np.cos(direction) * x + np.sin(direction) * y) % _STRIPE_PERIOD
        paint = np.where((across < _STRIPE_WIDTH)[..., None], paint * _STRIPE_SHADE, paint)
    return canvas * (1 - coverage) + paint * coverage
