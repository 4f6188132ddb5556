"""The auxiliary loss: what stands in each cell must be readable from the student's view of the image.

Only training uses it. Without it a small model on little data does not learn to see within minutes.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo.scenes import Scene
from zoo.scenes.vocabulary import CELLS, COLORS, GRID_SIDE, MAX_OBJECTS, PATTERNS, SHAPES, SIZES

_EMPTY = len(SHAPES)
_NO_OBJECT = -1


def cell_labels(scenes: list[Scene]) -> torch.Tensor:
    """int64 [scenes, cells, 4]: indices of colour, shape, size and pattern; -1 where the cell is empty."""
    labels = np.full((len(scenes), len(CELLS), 4), _NO_OBJECT)
    for row, scene in enumerate(scenes):
        for each in scene.objects:
            labels[row, each.cell] = (
                COLORS.index(each.color),
                SHAPES.index(each.shape),
                SIZES.index(each.size),
                PATTERNS.index(each.pattern),
            )
    return torch.from_numpy(labels)


def patch_pooling(side: int) -> torch.Tensor:
    """Initial pooling logits [cells, side * side]: a patch counts most for the cell it lies in."""
    place = (torch.arange(side) + 0.5) / side * GRID_SIDE - 0.5
    cell = torch.arange(GRID_SIDE)
    along = -4 * (place[None, :] - cell[:, None]) ** 2
    return (along[:, None, :, None] + along[None, :, None, :]).reshape(GRID_SIDE**2, side**2)


def query_pooling(queries: int) -> torch.Tensor:
    """Initial pooling logits [cells, queries]: the first queries are each one cell's."""
    return 4 * torch.eye(GRID_SIDE**2, queries)


class Probe(nn.Module):
    """Linear readers of every cell's attributes, over tokens pooled by learned weights."""

    def __init__(self, width: int, pooling: torch.Tensor) -> None:
        super().__init__()
        self.pooling = nn.Parameter(pooling.clone())
        self.shape = nn.Linear(width, len(SHAPES) + 1)
        self.color = nn.Linear(width, len(COLORS))
        self.size = nn.Linear(width, len(SIZES))
        self.pattern = nn.Linear(width, len(PATTERNS))
        self.count = nn.Linear(width, MAX_OBJECTS + 1)

    def forward(
        self, tokens: torch.Tensor, summary: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """Loss, and the share of objects whose shape is read correctly.

        tokens [batch, tokens, width], summary [batch, width], labels as of `cell_labels`.
        """
        cells = self.pooling.softmax(-1) @ tokens
        is_object = labels[..., 1] != _NO_OBJECT
        shapes = torch.where(is_object, labels[..., 1], _EMPTY)
        read_shapes = self.shape(cells)
        found, (colors, _, sizes, patterns) = cells[is_object], labels[is_object].unbind(-1)
        loss = (
            2 * cross_entropy(read_shapes.flatten(0, 1), shapes.flatten())
            + cross_entropy(self.color(found), colors)
            + 0.5 * cross_entropy(self.size(found), sizes)
            + 0.5 * cross_entropy(self.pattern(found), patterns)
            + 0.5 * cross_entropy(self.count(summary), is_object.sum(1))
        )
        hits = (read_shapes.argmax(-1) == shapes)[is_object].float().mean()
        return loss, float(hits)
