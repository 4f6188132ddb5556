"""vLLM's IR norms as the plugin has them computed, against its own operators in float64."""

from __future__ import annotations

import pytest
import torch

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_norms_are_preferred_and_agree_with_the_definition(dtype: torch.dtype) -> None:
    from vllm import ir
    from vllm.platforms import current_platform

    from server.workers import vllm_norms

    vllm_norms.register_norms()
    vllm_norms.register_norms()  # as every process may
    preferred = current_platform.get_default_ir_op_priority(None)
    assert preferred.rms_norm == preferred.fused_add_rms_norm == [vllm_norms.PROVIDER, "native"]
    generator = torch.Generator().manual_seed(0)
    x, residual = (torch.randn(3, 64, generator=generator).to(dtype) for _ in range(2))
    weight = torch.randn(64, generator=generator).to(dtype)

    def expected(value: torch.Tensor) -> torch.Tensor:
        wide = value.double()
        return wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5) * weight.double()

    # In bfloat16 the quotient is rounded before the product is.
    rtol, atol = (1e-6, 1e-6) if dtype is torch.float32 else (2**-6, 2**-8)
    with ir.ops.rms_norm.set_priority([vllm_norms.PROVIDER, "native"]):
        found = ir.ops.rms_norm(x, weight, 1e-5)
    torch.testing.assert_close(found.double(), expected(x), rtol=rtol, atol=atol)
    total = x + residual
    with ir.ops.fused_add_rms_norm.set_priority([vllm_norms.PROVIDER, "native"]):
        found, summed = ir.ops.fused_add_rms_norm.maybe_inplace(x.clone(), residual.clone(), weight, 1e-5)
    torch.testing.assert_close(found.double(), expected(total), rtol=rtol, atol=atol)
    torch.testing.assert_close(summed, total)


def test_what_the_compiled_norms_do_not_take_is_left_to_vllm() -> None:
    from server.workers.vllm_norms import takes_added_norm, takes_norm

    x, weight = torch.ones(2, 64), torch.ones(64)
    assert takes_norm(x, weight, 1e-5)
    assert takes_added_norm(x, x, weight, 1e-5)
    strided, odd = torch.ones(64, 2).t(), torch.ones(2, 33)
    assert not takes_norm(x, None, 1e-5)
    assert not takes_norm(x.bfloat16(), weight, 1e-5)
    assert not takes_norm(strided, weight, 1e-5)
    assert not takes_norm(odd, weight, 1e-5)
    assert not takes_norm(x, weight, 1e-5, 32)
    assert not takes_added_norm(x, strided, weight, 1e-5)
