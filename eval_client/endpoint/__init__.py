"""An OpenAI-style endpoint: what it says of itself, requests to it, and how they fail."""

from eval_client.endpoint.card import ModelCard, is_answering, normalise_endpoint, read_card
from eval_client.endpoint.chat import ChatReply, ChatRequest, TokenLogprob
from eval_client.endpoint.client import ChatClient, open_client, open_session

__all__ = [
    "ChatClient",
    "ChatReply",
    "ChatRequest",
    "ModelCard",
    "TokenLogprob",
    "is_answering",
    "normalise_endpoint",
    "open_client",
    "open_session",
    "read_card",
]
