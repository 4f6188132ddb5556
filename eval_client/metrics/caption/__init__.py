"""CIDEr-D, BLEU-1..4 and ROUGE-L of one caption an image, as pycocoevalcap 1.2 computes them."""

from eval_client.metrics.caption.bleu import BleuStatistics, corpus_bleu
from eval_client.metrics.caption.scorer import CAPTION_METRICS, CaptionScorer, CaptionScores

__all__ = ["CAPTION_METRICS", "BleuStatistics", "CaptionScorer", "CaptionScores", "corpus_bleu"]
