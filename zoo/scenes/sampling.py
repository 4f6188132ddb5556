"""Scenes by split and index, and sets of near-duplicates for retrieval."""

import numpy as np

from zoo.scenes.model import Scene
from zoo.scenes.objects import SceneObject, random_objects
from zoo.scenes.splits import split_named


def scene(split: str, index: int) -> Scene:
    """The scene at an index of a split: always the same. Raises ValueError, IndexError."""
    chosen = split_named(split)
    if not 0 <= index < chosen.size:
        raise IndexError(f"split {split!r} has scenes 0..{chosen.size - 1}, not {index}")
    rng = np.random.default_rng(chosen.first_seed + index)
    while not chosen.owns(objects := random_objects(rng)):
        pass
    return Scene.of(f"{split}:{index}", objects, rng)


def retrieval_scenes(split: str, count: int, cluster: int = 8) -> tuple[Scene, ...]:
    """`count` scenes with different descriptions, in clusters of one scene and its distractors.

    Every candidate has `cluster - 1` others that differ from it in one or two attributes. Raises ValueError
    where `count` is no multiple of `cluster`.
    """
    if count % cluster:
        raise ValueError(f"count {count} is no multiple of cluster {cluster}: choose one that is")
    picked: dict[tuple[SceneObject, ...], Scene] = {}
    index = 0
    while len(picked) < count:
        base = scene(split, index)
        index += 1
        members = (base, *base.distractors(cluster - 1))
        if len(members) == cluster and not any(each.objects in picked for each in members):
            picked |= {each.objects: each for each in members}
    return tuple(picked.values())
