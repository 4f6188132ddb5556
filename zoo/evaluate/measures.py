"""What is measured: answers by kind, exact captions, retrieval among near-duplicates."""

from collections import Counter
from dataclasses import dataclass

import torch
from rich.progress import track

from zoo.evaluate.subject import Subject
from zoo.scenes import retrieval_scenes, scene


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall at one among the candidates, both ways."""

    text_to_image: float
    image_to_text: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares between 0 and 1.

    `exact_captions` is the share of captions that are, letter by letter, one of the five references.
    """

    vqa: float
    vqa_by_kind: dict[str, float]
    exact_captions: float
    retrieval: Recall


def measure(subject: Subject, split: str, scenes: int, candidates: int) -> Quality:
    """Examine a model on the first scenes of a split, and on so many retrieval candidates of it."""
    chosen = [scene(split, index) for index in range(scenes)]
    images = [each.render() for each in chosen]
    asked = [
        (image, question) for image, each in zip(images, chosen, strict=True) for question in each.questions()
    ]
    answers = subject.answer([image for image, _ in asked], [question.text for _, question in asked])
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for (_, question), answer in zip(asked, answers, strict=True):
        total[question.kind] += 1
        right[question.kind] += answer == question.answer
    captions = subject.caption(images)
    exact = sum(text in each.captions() for text, each in zip(captions, chosen, strict=True))
    return Quality(
        vqa=right.total() / total.total(),
        vqa_by_kind={kind: right[kind] / total[kind] for kind in sorted(total)},
        exact_captions=exact / len(chosen),
        retrieval=_retrieval(subject, split, candidates),
    )


def _retrieval(subject: Subject, split: str, candidates: int) -> Recall:
    """Among near-duplicates, by the log-likelihood of their most complete captions."""
    chosen = retrieval_scenes(split, candidates)
    captions = [each.captions()[0] for each in chosen]
    scores = [subject.caption_scores(each.render(), captions) for each in track(chosen, "retrieval")]
    return recall_at_one(torch.stack(scores))


def recall_at_one(scores: torch.Tensor) -> Recall:
    """Recall of log scores [images, texts] whose diagonal is right; a tie counts as a miss.

    From image to text every text's scores are first normalised over the images, as the probability of an
    image given a text would be: else short, likely captions win everywhere.
    """
    posterior = scores - scores.logsumexp(0, keepdim=True)
    return Recall(text_to_image=_hits(scores.T), image_to_text=_hits(posterior))


def _hits(scores: torch.Tensor) -> float:
    """The share of rows whose diagonal element is larger than all others."""
    right = scores.diagonal()[:, None]
    rivals = (scores >= right).sum(1) - 1
    return float((rivals == 0).float().mean())
