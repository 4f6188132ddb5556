# syntax=docker/dockerfile:1
# Two targets: `cpu` (default) and `gpu`:  docker build --target gpu -t bitloom:gpu .
# docker run --read-only --tmpfs /tmp -v "$PWD/variants:/variants:ro" -p 127.0.0.1:8000:8000 bitloom
# serves every variant in the folder, or its server.yaml; arguments are those of `bitloom serve`.
ARG CPU_BASE=python:3.11-slim-bookworm
ARG GPU_BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04

FROM ${CPU_BASE} AS build-cpu
# The compiler is for the CPU kernels. Without versions: the base image's tag pins the release.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ libc6-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/bitloom
COPY . .
# The kernels go beside their package, because the last stage has neither a compiler nor this stage's cache.
RUN python -m server.workers.kernels.build \
  && python deploy/environment.py --directory /opt/venv --engine cpu --runtime

FROM ${GPU_BASE} AS build-gpu
# Without versions: the base image's tag pins the release, whose archive keeps no older ones.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 python3-venv python3-dev gcc libc6-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/bitloom
COPY . .
RUN python3 deploy/environment.py --directory /opt/venv --engine gpu --runtime

FROM ${GPU_BASE} AS gpu
ARG VERSION=0.1.0
ARG REVISION=unknown
# vLLM's Triton kernels are compiled when they are first used. Where its log asks for a C compiler:
# --build-arg GPU_PACKAGES="gcc libc6-dev python3-dev"
ARG GPU_PACKAGES=""
LABEL org.opencontainers.image.title="bitloom" \
  org.opencontainers.image.description="Mixed-precision multimodal LLMs behind one endpoint, on NVIDIA GPUs" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.licenses="Apache-2.0"
# As above; and an empty GPU_PACKAGES must give no argument.
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 ${GPU_PACKAGES} \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --no-create-home bitloom \
  && install --directory --owner 10001 /state
COPY --from=build-gpu /opt/venv /opt/venv
COPY --from=build-gpu /opt/bitloom /opt/bitloom
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 BITLOOM_IMAGE=gpu
WORKDIR /opt/bitloom
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "deploy.start"]

FROM ${CPU_BASE} AS cpu
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bitloom" \
  org.opencontainers.image.description="Mixed-precision multimodal LLMs behind one endpoint, on CPUs" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home bitloom && install --directory --owner 10001 /state
COPY --from=build-cpu /opt/venv /opt/venv
COPY --from=build-cpu /opt/bitloom /opt/bitloom
# TORCH_COMPILE_DISABLE: compiling needs a compiler, which this stage has not.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 BITLOOM_IMAGE=cpu \
  TORCH_COMPILE_DISABLE=1
WORKDIR /opt/bitloom
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "deploy.start"]
