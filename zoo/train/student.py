"""What training needs of a model, whatever its family."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from zoo.train.packing import Packed
from zoo.train.probe import Probe
from zoo.train.prompts import PromptFormat

IMAGE_MEAN = IMAGE_STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class View:
    """The image as one part of the student sees it: tokens [batch, tokens, width], summary [batch, width]."""

    tokens: torch.Tensor
    summary: torch.Tensor


class Student(Protocol):
    """A vision-language model in training."""

    model: Any
    prompts: PromptFormat
    image_tokens: int
    probes: list[Probe]
    """One for every view."""

    @property
    def vision(self) -> nn.Module:
        """The vision tower."""

    @property
    def query_former(self) -> list[nn.Module]:
        """What makes the second view, if there is one."""

    @property
    def language(self) -> list[nn.Module]:
        """Everything after the last view."""

    def look(self, pixels: torch.Tensor, views: int) -> list[View]:
        """The first `views` views of float32 pixels [batch, 3, side, side] in -1..1."""

    def read(self, view: View, packed: Packed) -> torch.Tensor:
        """The language model's last hidden states [batch, length, width], given the last view."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The next-token scores of hidden states [..., width]."""


class Parameters(nn.Module):
    """Makes loose parameters a module, so that they can be trained like one."""

    def __init__(self, *parameters: nn.Parameter) -> None:
        super().__init__()
        self.parameters_ = nn.ParameterList(parameters)


def normalized(images: torch.Tensor) -> torch.Tensor:
    """uint8 images [batch, 3, side, side] as the processors scale them: float32 in -1..1."""
    return images.float() / 127.5 - 1
