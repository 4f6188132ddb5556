"""The splits: which scenes are for training, calibration, validation and test.

Splits are disjoint twice. Their seed ranges do not overlap, and what a scene shows decides its split: the
first byte of the description's hash falls into one split's share, and a seed draws until it gets a scene of
its own split. So no test scene has the description of a training scene, not even the simple ones.
"""

from dataclasses import dataclass
from typing import Final

from zoo.scenes.objects import SceneObject, description_hash


@dataclass(frozen=True, slots=True)
class Split:
    """A range of seeds, and the shares (first byte of the description hash) its scenes fall into."""

    first_seed: int
    size: int
    shares: range

    def owns(self, objects: tuple[SceneObject, ...]) -> bool:
        """Whether a scene of these objects belongs to this split."""
        return int(description_hash(objects)[:2], 16) in self.shares


SPLITS: Final = {
    "train": Split(first_seed=0, size=100_000, shares=range(128)),
    "calibration": Split(first_seed=1_000_000, size=2_000, shares=range(128, 160)),
    "validation": Split(first_seed=2_000_000, size=2_000, shares=range(160, 192)),
    "test": Split(first_seed=3_000_000, size=5_000, shares=range(192, 256)),
}


def split_named(name: str) -> Split:
    """The split of a name. Raises ValueError for an unknown one."""
    if name not in SPLITS:
        raise ValueError(f"unknown split {name!r}: one of {', '.join(SPLITS)}")
    return SPLITS[name]


def split_owning(objects: tuple[SceneObject, ...]) -> Split:
    """The split that a scene of these objects belongs to."""
    return next(split for split in SPLITS.values() if split.owns(objects))


def split_size(split: str) -> int:
    """How many scenes a split has. Raises ValueError for an unknown split."""
    return split_named(split).size
