"""Procedural scenes with captions and questions: deterministic, free of torch.

`scene("test", 7)` is the same everywhere; `Scene.render()`, `.captions()`, `.questions()` and
`.distractors(count)` follow from it.
"""

from zoo.scenes.captions import CAPTION_PROMPTS
from zoo.scenes.model import Scene
from zoo.scenes.objects import SceneObject
from zoo.scenes.questions import QUESTION_KINDS, Question, match_question
from zoo.scenes.sampling import retrieval_scenes, scene
from zoo.scenes.splits import SPLITS, split_size
from zoo.scenes.vocabulary import IMAGE_SIDE

__all__ = [
    "CAPTION_PROMPTS",
    "IMAGE_SIDE",
    "QUESTION_KINDS",
    "SPLITS",
    "Question",
    "Scene",
    "SceneObject",
    "match_question",
    "retrieval_scenes",
    "scene",
    "split_size",
]
