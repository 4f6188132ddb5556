"""A table that is wrong about what feeds what is found out."""

import pytest
import torch
from torch import Tensor, nn

from quantize.calibration.preservation import check_pairs
from quantize.errors import QuantizationError
from quantize.families.smoothing import Feeds

X = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """norm -> (a * b), where only a may be in the table; `c` is behind an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.a, self.b = nn.Linear(16, 32), nn.Linear(16, 32)
        self.c = nn.Linear(32, 16)
        nn.init.normal_(self.norm.weight)

    def forward(self, x: Tensor, activation: str = "relu") -> Tensor:
        h = self.norm(x)
        gated = getattr(torch.nn.functional, activation)(self.a(h)) * self.b(h).tanh()
        moved: Tensor = x + self.c(gated)
        return moved


@pytest.fixture
def block() -> Block:
    torch.manual_seed(1)
    return Block().eval()


def run(block: Block, activation: str) -> Tensor:
    with torch.no_grad():
        found: Tensor = block(X, activation)
    return found


def test_right_pairs_pass_and_leave_the_weights_alone(block: Block) -> None:
    before = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    pairs = (Feeds("norm", ("a", "b")), Feeds("a", ("c",), is_norm=False))
    check_pairs("block", block, pairs, None, lambda: run(block, "relu"))
    for name, tensor in block.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("pairs", "activation"),
    [
        ((Feeds("norm", ("a",)),), "relu"),  # it feeds b too
        ((Feeds("a", ("c",), is_norm=False),), "gelu"),  # no scale passes a GELU
        ((Feeds("b", ("c",), is_norm=False),), "relu"),  # nor a tanh
    ],
)
def test_wrong_pairs_are_an_error_that_names_the_block(
    block: Block, pairs: tuple[Feeds, ...], activation: str
) -> None:
    with pytest.raises(QuantizationError, match=r"^layers\.3: moving scales between"):
        check_pairs("layers.3", block, pairs, None, lambda: run(block, activation))


def test_no_pairs_need_no_proof(block: Block) -> None:
    check_pairs("block", block, (), None, lambda: pytest.fail("the block ran"))
