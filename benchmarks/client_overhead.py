"""What the client costs: its request rate against `vllm bench serve`, and its TTFT against the truth.

    python -m benchmarks.client_overhead

Both clients drive the same stub (`benchmarks.stub_endpoint`), 32 requests at a time, in turns, each time in
a fresh process; of each side the best round counts, since other load only ever slows a client down. Ours
sends what a timed pass sends, a picture with every request; vLLM's openai-chat backend sends text of about
the same length. For the second figure the stub waits 40 to 80 ms and writes a token every 10 ms, and each
answer begins with the time that the stub itself took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness import Figures, run_isolated
from benchmarks.stub_endpoint import MODEL
from bitloom.results import SampleRecord
from eval_client.endpoint import open_client, open_session
from eval_client.event_loop import run_loop
from eval_client.images import EncodedImage, encode_png
from eval_client.latency import summarise
from eval_client.run.arrivals import Load, send_all
from eval_client.run.ask import NO_RETRIES, ask
from eval_client.tasks.samples import Sample

CONCURRENCY = 32
ROUNDS = 3
RATE_REQUESTS, TTFT_REQUESTS, TOKENS = 2000, 1000, 16
MOST_P50_MS, MOST_P99_MS = 0.5, 2.0
FAST = ("--tokens", str(TOKENS))
PACED = (*FAST, "--first-ms", "40", "80", "--gap-ms", "10")
# What `vllm bench serve` runs; the command itself wants a distribution named vllm, the CPU one has another.
_BENCH_SERVE = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
PROMPT = "Describe the picture in one sentence. " * 8


class _Picture:
    """One small picture, encoded once."""

    image_id = "picture"

    def __init__(self) -> None:
        self._encoded = encode_png(Image.new("RGB", (16, 16), (200, 30, 30)))

    def read(self) -> EncodedImage:
        """The picture."""
        return self._encoded


@contextmanager
def running_stub(*flags: str) -> Iterator[str]:
    """The stub in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "benchmarks.stub_endpoint", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def send(url: str, count: int) -> list[SampleRecord]:
    """Send so many timed requests and return their records. RuntimeError where one failed."""
    picture = _Picture()
    samples = [Sample(f"s/{number}", "caption", picture, PROMPT, 64) for number in range(count)]
    async with (
        open_session(CONCURRENCY, None) as session,
        open_client(session, f"{url}/v1", timeout_s=60, stall_s=30) as client,
    ):

        async def one(sample: Sample) -> SampleRecord:
            return await ask(client, sample, MODEL, NO_RETRIES, picture.read())

        await send_all(samples[: 2 * CONCURRENCY], one, Load(CONCURRENCY))
        records = await send_all(samples, one, Load(CONCURRENCY))
    if failed := [record for record in records if record.state == "failed"]:
        raise RuntimeError(f"{len(failed)} requests failed, the first: {failed[0].error}")
    return records


def our_rate(url: str) -> dict[str, float]:
    """Requests a second of our client."""
    figures = summarise(run_loop(send(url, RATE_REQUESTS)), CONCURRENCY)
    return {"rate": figures.requests_per_s or 0.0}


def our_ttft(url: str) -> dict[str, float]:
    """How much later than the stub says our client saw first tokens: quantiles in ms."""
    records = run_loop(send(url, TTFT_REQUESTS))
    pairs = [(record.chunk_times_s[0], float((record.answer or "").split()[0])) for record in records]
    return _quantiles([seen - truth for seen, truth in pairs])


def _quantiles(errors_s: Sequence[float]) -> dict[str, float]:
    p50, p99 = (1000 * float(each) for each in np.quantile(np.abs(errors_s), [0.5, 0.99]))
    return {"p50_ms": p50, "p99_ms": p99}


def peer_run(url: str, count: int) -> dict[str, object]:
    """What `vllm bench serve` writes down after so many requests to the stub."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": PROMPT}) + "\n" for _ in range(count)))
        flags = {
            "--backend": "openai-chat",
            "--base-url": url,
            "--endpoint": "/v1/chat/completions",
            "--model": MODEL,
            "--dataset-name": "custom",
            "--dataset-path": str(prompts),
            "--custom-output-len": str(TOKENS),
            "--num-prompts": str(count),
            "--max-concurrency": str(CONCURRENCY),
            "--num-warmups": str(2 * CONCURRENCY),
            "--result-dir": folder,
            "--result-filename": "result.json",
        }
        switches = ["--skip-tokenizer-init", "--skip-chat-template", "--disable-tqdm", "--save-result"]
        words = [word for pair in flags.items() for word in pair]
        command = [sys.executable, "-c", _BENCH_SERVE, *words, *switches]
        done = subprocess.run([*command, "--save-detailed"], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"vllm bench serve failed: {done.stderr[-2000:]}")
        result: dict[str, object] = json.loads((Path(folder) / "result.json").read_text())
        return result


def peer_rate(url: str) -> float:
    """Requests a second of `vllm bench serve`. RuntimeError where not all were answered."""
    result = peer_run(url, RATE_REQUESTS)
    if result["completed"] != RATE_REQUESTS:
        raise RuntimeError(f"vllm bench serve completed {result['completed']} of {RATE_REQUESTS}")
    return float(str(result["request_throughput"]))


def peer_ttft(url: str) -> dict[str, float]:
    """The same error of `vllm bench serve`, for comparison."""
    result = peer_run(url, TTFT_REQUESTS)
    seen, texts = result["ttfts"], result["generated_texts"]
    assert isinstance(seen, list)
    assert isinstance(texts, list)
    return _quantiles([ttft - float(text.split()[0]) for ttft, text in zip(seen, texts, strict=True) if text])


def main() -> int:
    """Measure both clients in turns and compare."""
    with running_stub(*FAST) as url:
        rounds = [(_isolated("--rate", url)["rate"], peer_rate(url)) for _ in range(ROUNDS)]
    with running_stub(*PACED) as url:
        errors = [_isolated("--ttft", url) for _ in range(ROUNDS)]
        peer_error = peer_ttft(url)
    ours, peer = (max(side) for side in zip(*rounds, strict=True))
    error = min(errors, key=lambda each: each["p99_ms"])
    figures: dict[str, float | int | str] = {
        "concurrency": CONCURRENCY,
        "requests_per_s": ours,
        "vllm_bench_requests_per_s": peer,
        "ratio": ours / peer,
        "ttft_error_p50_ms": error["p50_ms"],
        "ttft_error_p99_ms": error["p99_ms"],
        "vllm_bench_ttft_error_p50_ms": peer_error["p50_ms"],
        "vllm_bench_ttft_error_p99_ms": peer_error["p99_ms"],
    }
    bar = (
        f"at least vllm bench's request rate, TTFT within {MOST_P50_MS} ms of the stub's at p50 and "
        f"{MOST_P99_MS} ms at p99"
    )
    holds = ours >= peer and error["p50_ms"] <= MOST_P50_MS and error["p99_ms"] <= MOST_P99_MS
    return Figures("client_overhead", figures, bar, holds).close()


def _isolated(flag: str, url: str) -> dict[str, float]:
    figures: dict[str, float] = json.loads(run_isolated("benchmarks.client_overhead", flag, url))
    return figures


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rate"]:
        print(json.dumps(our_rate(sys.argv[2])))
    elif sys.argv[1:2] == ["--ttft"]:
        print(json.dumps(our_ttft(sys.argv[2])))
    else:
        sys.exit(main())
