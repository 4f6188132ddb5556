"""Let a CUDA build of torchvision be imported under a CPU build of torch.

torchvision registers shape functions for `torchvision::nms` and `torchvision::qnms` when it is
imported, and fails where its compiled library, which defines them, cannot be loaded. Bitloom needs
its image transforms only, so the two operators are declared (without an implementation) in that
case. A `.pth` file runs `install` at the start of every interpreter; it costs one finder on
`sys.meta_path`, and nothing is imported until torchvision is. Where torch is a CUDA build, or
torchvision's library loads, nothing is changed.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[object] = []


class TorchvisionFinder:
    """Finds torchvision where it is, and has `declare_operators` run right before its code."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Spec of the installed torchvision; None for any other module."""
        if name != "torchvision":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None or not spec.submodule_search_locations:
            return None
        loader, folder = spec.loader, spec.submodule_search_locations[0]
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            declare_operators(folder)
            execute(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def declare_operators(folder: str) -> None:
    """Declare torchvision's operators under a CPU torch if its library in `folder` does not load."""
    from pathlib import Path

    import torch

    if torch.version.cuda is not None:
        return
    for library in sorted(Path(folder).glob("_C*.so")):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            continue
    missing = [name for name in OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in missing:
            fragment.define(name + SCHEMA)  # type: ignore[no-untyped-call]
        _declared.append(fragment)  # a library that is collected takes its operators with it


def install() -> None:
    """Put the finder before all others, once."""
    if not any(isinstance(finder, TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionFinder())
