"""POST /v1/score: pairs of texts and images, passed on to a worker whose model matches them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from server.app.describe import DirectRoute, json_body
from server.app.score_request import ScoreRequest, parse_score
from server.app.text import Arrival, dispatch_counted

router = APIRouter(route_class=DirectRoute)


@router.post("/v1/score", response_model=None, openapi_extra=json_body(ScoreRequest))
async def score(request: Request) -> Response:
    """Score how well texts and images fit, where the variant's worker can."""
    here = await Arrival.of(request)
    config, media = here.gateway.config, here.gateway.media
    asked = parse_score(here.body, config.limits, config.worker.max_images)
    images = asked.images()

    async def make_body(variant: str) -> bytes:
        urls = await media.canonicalize(images) if images else []
        return asked.with_images(urls).body(variant)

    return dispatch_counted(here, request, "/v1/score", asked, make_body, asked.text_length())
