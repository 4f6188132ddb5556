"""What a server is told: its variants, limits and timeouts, validated whole before anything starts.

Resolved once from defaults < file < environment < flags (`server.settings`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bitloom.schema import Schema
from bitloom.variant import Engine
from server.experiments.config import Name, Positive, RouteConfig, Seconds
from server.media.config import FetchConfig
from server.supervisor.config import CircuitConfig, PlacementConfig
from server.workers.command import WorkerOptions

MIB = 1 << 20


class VariantConfig(Schema):
    """One model that clients can name: a local directory (a worker is started) or a URL.

    `url` is `http(s)://host[:port]` or `unix:/path/to/socket` of a server that already runs. `outstanding`
    replaces `limits.outstanding` for this variant.
    """

    name: Name
    directory: Path | None = None
    url: str | None = None
    engine: Engine | Literal["auto"] | None = None
    outstanding: Positive | None = None

    @property
    def source(self) -> tuple[Path | None, str | None, str | None]:
        """What is served; all else can change without another worker."""
        return self.directory, self.url, self.engine

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.directory is None) == (self.url is None):
            raise ValueError(f"variant {self.name}: give either `directory` or `url`")
        return self

    @field_validator("url")
    @classmethod
    def _url_is_usable(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        # `port` raises ValueError where it is none.
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        if not is_http and not (parts.scheme == "unix" and parts.path.startswith("/")):
            raise ValueError("a url is http://host:port, https://host or unix:/path/to/socket")
        return url


class Limits(Schema):
    """What one request may ask of the server; beyond it the answer is a 4xx.

    `request_pixels` is the sum over the images of one request. `image_side` and `image_aspect` keep
    out images that a model's resizing would blow up: a strip of 8 x 400,000 pixels becomes gigabytes.
    `json_elements` bounds what parsing costs: 30 MB of empty lists would take 800 MB of memory.
    `outstanding` counts the requests of one variant that are not answered yet; a variant or a key may have a
    number of its own.
    """

    header_bytes: Positive = 32 << 10
    body_bytes: Positive = 32 * MIB
    json_elements: Positive = 100_000
    image_bytes: Positive = 16 * MIB
    image_pixels: Positive = 40_000_000
    request_pixels: Positive = 80_000_000
    image_side: Positive = 8
    image_aspect: Annotated[float, Field(ge=1)] = 50.0
    max_tokens: Positive = 32_768
    n: Positive = 16
    prompts: Positive = 64
    stop_strings: Positive = 16
    stop_characters: Positive = 256
    messages: Positive = 1024
    outstanding: Positive = 256


class Timeouts(Schema):
    """Seconds after which the server gives up on a client or on a worker."""

    start_s: Seconds = 600
    stop_s: Seconds = 15
    drain_s: Seconds = 30
    body_s: Seconds = 30
    connect_s: Seconds = 5
    first_byte_s: Seconds = 600
    idle_s: Seconds = 120
    health_s: Seconds = 10
    health_interval_s: Seconds = 5
    backoff_first_s: Seconds = 1
    backoff_max_s: Seconds = 60


class TracingConfig(Schema):
    """Where spans go: the OTLP/HTTP endpoint, as in http://collector:4318/v1/traces."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]
    service_name: Annotated[str, Field(min_length=1, max_length=96)] = "bitloom"


class ServerConfig(Schema):
    """Everything `create_app` needs.

    `command` replaces the engines: its words may hold {directory}, {name} and {socket}. `log_dir`
    keeps the workers' logs; without it they go to a private directory that ends with the server.
    With `keys_file` (`bitloom keys create`) every path needs a key but health, readiness and metrics.
    `state_dir` holds what outlives a restart: rollbacks, ramps, statistics, feedback. One server at a
    time uses it. `study` is the results file of a study that the page at `GET /` shows.
    """

    schema_version: Literal[1] = 1
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    variants: Annotated[tuple[VariantConfig, ...], Field(min_length=1)]
    routes: tuple[RouteConfig, ...] = ()
    engine: Engine | Literal["auto"] = "auto"
    worker: WorkerOptions = WorkerOptions()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    placement: PlacementConfig = PlacementConfig()
    circuit: CircuitConfig = CircuitConfig()
    fetch: FetchConfig = FetchConfig()
    log_dir: Path | None = None
    keys_file: Path | None = None
    state_dir: Path | None = None
    study: Path | None = None
    log_format: Literal["text", "json"] = "text"
    tracing: TracingConfig | None = None
    command: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [variant.name for variant in self.variants] + [route.name for route in self.routes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two variants or routes are called {', '.join(twice)}; "
                "name one of them otherwise, as in NAME=DIR"
            )
        return self

    @model_validator(mode="after")
    def _arms_are_variants(self) -> Self:
        variants = {variant.name for variant in self.variants}
        for route in self.routes:
            arms = [arm.variant for arm in route.arms]
            unknown = sorted(set(arms) - variants)
            if unknown or len(set(arms)) < len(arms):
                raise ValueError(
                    f"route {route.name}: its arms must be different variants of this server "
                    f"({', '.join(sorted(variants))}), not {', '.join(arms)}"
                )
            if route.shadow is not None and route.shadow.variant not in variants:
                raise ValueError(
                    f"route {route.name}: its shadow {route.shadow.variant} must be a variant of this server "
                    f"({', '.join(sorted(variants))})"
                )
        return self

    @model_validator(mode="after")
    def _state_has_a_place(self) -> Self:
        needing = [route.name for route in self.routes if route.needs_state]
        if needing and self.state_dir is None:
            raise ValueError(
                f"route {needing[0]} has guardrails, whose rollbacks must outlive a restart; give a state_dir"
            )
        return self
