"""The gateway starts without the engines, and soon."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import resource, sys
from server.app import create_app
from server.config import ServerConfig
import server.cli, server.serve
create_app(ServerConfig(variants=[{"name": "a", "url": "unix:/run/none.sock"}]))
heavy = {"torch", "vllm", "transformers", "torchvision", "compressed_tensors", "quantize", "eval_client"}
loaded = heavy & {name.partition(".")[0] for name in sys.modules}
used = resource.getrusage(resource.RUSAGE_SELF)
print(",".join(sorted(loaded)), used.ru_utime + used.ru_stime)
"""


def test_no_engine_is_imported_and_the_start_is_short() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    loaded, _, seconds = done.stdout.strip("\n").rpartition(" ")
    assert loaded == ""
    # Processor time, not the clock: other work on the machine must not decide this test.
    assert float(seconds) < 1.5
