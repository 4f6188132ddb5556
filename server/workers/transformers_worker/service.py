"""What every model of this worker answers, whatever it is asked to do."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from server.errors import UnknownModel
from server.workers.transformers_worker.engine import Engine
from server.workers.transformers_worker.metrics import WorkerMetrics


class Service:
    """One engine under one name, with its metrics."""

    def __init__(self, name: str, engine: Engine, metrics: WorkerMetrics) -> None:
        self.name = name
        self.engine = engine
        self.metrics = metrics
        self._created = int(time.time())

    def check_model(self, asked: str) -> None:
        """Raise UnknownModel for any name but this one's."""
        if asked != self.name:
            raise UnknownModel(
                f"model: {asked!r} is not served here; ask for {self.name!r}",
                code="model_not_found",
                param="model",
            )

    async def models(self) -> dict[str, Any]:
        """GET /v1/models."""
        model = {"id": self.name, "object": "model", "created": self._created, "owned_by": "bitloom"}
        return {"object": "list", "data": [{**model, "max_model_len": self.engine.loaded.context}]}

    async def scrape(self) -> Response:
        """GET /metrics."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)
