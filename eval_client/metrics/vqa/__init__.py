"""VQA accuracy in the three variants that published figures use."""

from eval_client.metrics.vqa.accuracy import (
    VQA_VARIANTS,
    HumanAnswers,
    VqaScores,
    VqaVariant,
    score_vqa,
    vqa_accuracy,
)

__all__ = ["VQA_VARIANTS", "HumanAnswers", "VqaScores", "VqaVariant", "score_vqa", "vqa_accuracy"]
