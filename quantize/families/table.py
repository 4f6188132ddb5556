"""What a model family is to Bitloom: a table. Nothing here reads a file or imports a model.

Names are *written names*: the tensor names that variants are written with, which transformers 5.19
and vLLM 0.32 both load. `renames` maps the names that other transformers versions save onto them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitloom.plan import Component, LayerType
from bitloom.variant import Engine


@dataclass(frozen=True, slots=True)
class Stack:
    """Transformer blocks of a component: `{prefix}.{block}.{linear}` for each of `linears`.

    `fused` are the groups of linears that an engine merges into one, and so must share a scheme.
    """

    component: Component
    prefix: str
    linears: dict[str, LayerType]
    fused: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Single:
    """A Linear outside the blocks, by its whole module name."""

    component: Component
    name: str
    layer_type: LayerType


@dataclass(frozen=True, slots=True)
class DenseOnly:
    """Modules that an engine can only hold dense, by prefix, and why."""

    prefix: str
    engine: Engine
    reason: str


@dataclass(frozen=True, slots=True)
class Family:
    """One model family; at most one stack a component.

    `component_prefixes` says which component each tensor counts for, first match first.
    `targets` are (written prefix, regex) pairs: what replaces the prefix in a config's module
    targets so that one regex names the module in every engine. `tied_head` is the module that shares
    its weight with the embeddings where the text config says `tie_word_embeddings`, None without one.
    `bare_prefix` is one that vLLM's own module names lack. `forward` are arguments that the model's forward
    needs beside a sample's tensors.
    """

    name: str
    architectures: tuple[str, ...]
    stacks: tuple[Stack, ...]
    singles: tuple[Single, ...]
    component_prefixes: tuple[tuple[str, Component], ...]
    renames: tuple[tuple[str, str], ...]
    targets: tuple[tuple[str, str], ...]
    engines: tuple[Engine, ...]
    tied_head: str | None
    tied_by_default: bool = False
    dense_only: tuple[DenseOnly, ...] = ()
    bare_prefix: str = ""
    forward: tuple[tuple[str, object], ...] = ()

    def written_name(self, name: str) -> str:
        """The name a tensor is written with, whatever version of transformers saved it."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def bare_name(self, name: str) -> str:
        """The part of a module's written name that every engine's name for it contains."""
        return name.removeprefix(self.bare_prefix) if self.bare_prefix else name

    def component_of(self, name: str) -> Component | None:
        """The component that a tensor (written name) counts for, or None for an unknown tensor."""
        for prefix, component in self.component_prefixes:
            if name.startswith(prefix):
                return component
        return None

    def dense_reason(self, name: str) -> str | None:
        """Why an engine of this family can hold the module `name` only dense, or None."""
        return next((rule.reason for rule in self.dense_only if name.startswith(rule.prefix)), None)
