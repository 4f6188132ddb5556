"""Runs in the environment of `deploy/tools.py`: renders the chart with each of the values in standard input.

Writes {"documents": [...], "without_schema": [...]} or {"error": "..."} for each; what Kubernetes has
a schema for has been validated against it, strictly.
"""

from __future__ import annotations

import json
import sys

import helm_python  # type: ignore[import-not-found]
import kubernetes_validate  # type: ignore[import-not-found]
import yaml

VERSIONS = ("1.29", "1.37")


def main() -> None:
    json.dump([outcome(values) for values in json.load(sys.stdin)], sys.stdout)


def outcome(values: dict[str, object]) -> dict[str, object]:
    try:
        return render(sys.argv[1], values)
    except (helm_python.HelmError, kubernetes_validate.ValidationError) as exc:
        return {"error": str(exc)}


def render(chart_path: str, values: dict[str, object]) -> dict[str, object]:
    with helm_python.Chart.load(chart_path) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="demo", namespace="models")
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    documents = [each for text in texts for each in yaml.safe_load_all(text) if each]
    without = [each["kind"] for each in documents if not has_schema(each)]
    lint = helm_python.lint(chart_path)
    return {"documents": documents, "without_schema": without, "lint": lint["errors"]}


def has_schema(document: dict[str, object]) -> bool:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            return False
    return True


main()
