"""Image features that outlive a plan: what towers and connector made of an image, by the weights they had.

A grid gives the same vision tower and connector many language models, and its samples ask about the same
images. Features depend on nothing else, so each pair of (weights, image) goes through the tower once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

LIMIT_BYTES = 1 << 30
DIGEST_BYTES = 16
LANGUAGE = ("language_model.", "lm_head.")
Embed = Callable[..., Sequence[Tensor]]


class FeatureCache:
    """Stands in front of a model's `embed_multimodal`; the least recently used features go first."""

    def __init__(self, embed: Embed, limit_bytes: int = LIMIT_BYTES) -> None:
        self._embed = embed
        self._limit = limit_bytes
        self._bytes = 0
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self._weights: dict[str, bytes] = {}
        self._state = b""
        self.computed = 0

    def take_on(self, tensors: Mapping[str, Tensor]) -> None:
        """Note which weights the model has from now on. All but the language model's count."""
        changed = {name: digest(each) for name, each in tensors.items() if not is_language(name)}
        if changed:
            self._weights |= changed
            content = hashlib.blake2b(digest_size=DIGEST_BYTES)
            for name in sorted(self._weights):
                content.update(name.encode() + b"\0" + self._weights[name])
            self._state = content.digest()

    def __call__(self, **inputs: Any) -> Sequence[Tensor]:
        """Features of a batch of images, in order; inputs are by item along their first axis."""
        counts = {len(value) for value in inputs.values()}
        if len(counts) != 1:
            return self._embed(**inputs)
        keys = [self._key(inputs, place) for place in range(counts.pop())]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = [place for place, key in enumerate(keys) if key not in found]
        if missing:
            self.computed += len(missing)
            made = self._embed(**{name: _take(value, missing) for name, value in inputs.items()})
            found |= {keys[place]: each for place, each in zip(missing, made, strict=True)}
        for key in keys:
            self._keep(key, found[key])
        return [found[key] for key in keys]

    def _key(self, inputs: Mapping[str, Any], place: int) -> bytes:
        content = hashlib.blake2b(self._state, digest_size=DIGEST_BYTES)
        for name in sorted(inputs):
            content.update(name.encode() + b"\0" + digest(inputs[name][place]))
        return content.digest()

    def _keep(self, key: bytes, features: Tensor) -> None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return
        # A slice of a batch would keep the whole batch alive.
        own = features.clone()
        self._kept[key] = own
        self._bytes += own.nbytes
        while self._bytes > self._limit and self._kept:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


def is_language(name: str) -> bool:
    """Whether a checkpoint's tensor belongs to the language model, which no feature depends on."""
    return name.startswith(LANGUAGE[1]) or LANGUAGE[0] in name


def digest(value: Tensor | Any) -> bytes:
    """A hash of a tensor's shape and content, or of any other value's text."""
    content = hashlib.blake2b(digest_size=DIGEST_BYTES)
    if isinstance(value, Tensor):
        content.update(f"{value.dtype} {tuple(value.shape)} ".encode())
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    else:
        content.update(repr(value).encode())
    return content.digest()


def _take(value: Tensor | Sequence[Any], places: Sequence[int]) -> Tensor | list[Any]:
    return value[list(places)] if isinstance(value, Tensor) else [value[place] for place in places]
