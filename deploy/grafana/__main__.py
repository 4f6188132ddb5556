"""`python -m deploy.grafana [FOLDER]`: write the dashboards as Grafana's provisioning reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy.grafana.comparison import comparison
from deploy.grafana.overview import overview
from deploy.grafana.panel import Dashboard
from deploy.grafana.variant import variant
from server.metrics import Metrics

FOLDER = Path(__file__).resolve().parent / "dashboards"


def main() -> int:
    """Write one JSON file a dashboard."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in dashboards():
        (folder / f"{dashboard.uid}.json").write_text(text(dashboard), encoding="utf-8")
    return 0


def dashboards() -> tuple[Dashboard, ...]:
    """All dashboards, from the metric module as it is now."""
    metrics = Metrics()
    return overview(metrics), comparison(metrics), variant(metrics)


def text(dashboard: Dashboard) -> str:
    """A dashboard as the file holds it."""
    return json.dumps(dashboard.document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
