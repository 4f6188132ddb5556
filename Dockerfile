# syntax=docker/dockerfile:1
# Two targets: `cpu` (default) and `gpu`.  docker build --target gpu -t bitloom:gpu .
# Run:  docker run --read-only --tmpfs /tmp -v "$PWD/variants:/variants:ro" -p 8000:8000 bitloom /variants/NAME
ARG CPU_BASE=python:3.11-slim-bookworm
ARG GPU_BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04

FROM ${CPU_BASE} AS build-cpu
WORKDIR /opt/bitloom
COPY . .
RUN python deploy/environment.py --directory /opt/venv --engine cpu

FROM ${CPU_BASE} AS cpu
LABEL org.opencontainers.image.title="bitloom" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-cpu /opt/venv /opt/venv
COPY --from=build-cpu /opt/bitloom /opt/bitloom
RUN useradd --system --uid 10001 --no-create-home bitloom
USER 10001
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
WORKDIR /opt/bitloom
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["bitloom", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM ${GPU_BASE} AS build-gpu
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv python3-dev gcc \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/bitloom
COPY . .
RUN python3 deploy/environment.py --directory /opt/venv --engine gpu

FROM ${GPU_BASE} AS gpu
LABEL org.opencontainers.image.title="bitloom" org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update && apt-get install --yes --no-install-recommends python3 \
  && rm -rf /var/lib/apt/lists/* && useradd --system --uid 10001 --no-create-home bitloom
COPY --from=build-gpu /opt/venv /opt/venv
COPY --from=build-gpu /opt/bitloom /opt/bitloom
USER 10001
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/bitloom
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["bitloom", "serve", "--host", "0.0.0.0", "--port", "8000"]
