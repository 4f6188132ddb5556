"""Grafana dashboards, generated from the gateway's metric module: `python -m deploy.grafana`."""
