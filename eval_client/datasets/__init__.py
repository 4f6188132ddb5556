"""Data sets: the formats they come in, and the one shape that tasks use."""

from eval_client.datasets.fingerprint import dataset_hash
from eval_client.datasets.load import load_dataset
from eval_client.datasets.model import Candidate, CaptionItem, Dataset, Limits, QuestionItem, Shard

__all__ = [
    "Candidate",
    "CaptionItem",
    "Dataset",
    "Limits",
    "QuestionItem",
    "Shard",
    "dataset_hash",
    "load_dataset",
]
