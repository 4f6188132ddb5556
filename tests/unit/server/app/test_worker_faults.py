"""A client's fault keeps the worker's words; the worker's own do not leak."""

from __future__ import annotations

import json

import pytest

from server.app.worker_faults import connection_fault, refusal
from server.errors import WorkerConnectionLost, WorkerUnreachable


def test_a_refusal_keeps_message_and_param_and_drops_the_rest() -> None:
    body = json.dumps({"error": {"message": "too long", "param": "max_tokens", "code": 400, "type": "x"}})
    error = refusal(400, body.encode(), "a")
    assert error.document() == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": "refused_by_worker",
        }
    }


@pytest.mark.parametrize("status", [301, 401, 404, 500, 503])
def test_a_workers_own_failure_is_a_502_without_its_words(status: int) -> None:
    body = b'{"error": {"message": "secret trace", "param": null}}'
    error = refusal(status, body, "a")
    assert error.status == 502
    assert "secret" not in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"message": 5}}'])
def test_a_refusal_that_is_no_error_object_is_a_502(body: bytes) -> None:
    assert refusal(400, body, "a").status == 502


def test_connection_faults_have_statuses_of_their_own() -> None:
    refused = WorkerUnreachable("no connection")
    assert connection_fault(refused, "a", 7).status == 503
    assert connection_fault(refused, "a", 7).headers() == {"retry-after": "7"}
    assert connection_fault(TimeoutError(), "a", 7).status == 504
    assert connection_fault(WorkerConnectionLost("closed"), "a", 7).status == 502
