"""Paths of the page: its files, and the two documents that only it reads."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from server.app.gateway import gateway_of
from server.page.files import FILES, HEADERS, INDEX, asset
from server.page.overview import Overview, overview
from server.page.study import StudyFigures, study_figures

router = APIRouter()


def _answer(request: Request, name: str) -> Response:
    found = asset(name)
    headers = {**HEADERS, "etag": found.tag}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.kind, headers=headers)


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _answer(request, INDEX)


@router.get("/page/overview")
async def page_overview(request: Request) -> Overview:
    """What is served, in which state, how large, and how traffic divides."""
    gateway = gateway_of(request)
    await gateway.supervisor.measure_memory()
    return overview(gateway)


@router.get("/page/study")
async def page_study(request: Request) -> StudyFigures:
    """Size and scores of the plans of the configured study, with the Pareto front of each score."""
    return study_figures(gateway_of(request).config.study)


@router.get("/page/{name}", include_in_schema=False)
async def page_file(request: Request, name: str) -> Response:
    """A file of the page."""
    if name not in FILES:
        raise HTTPException(404)
    return _answer(request, name)
