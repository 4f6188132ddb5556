"""Places are counted by variant and given back whatever happens."""

from __future__ import annotations

import pytest

from server.app.admission import Admission
from server.errors import TooMany
from server.metrics import Metrics


def test_a_full_variant_refuses_and_others_do_not() -> None:
    metrics = Metrics()
    admission = Admission(2, metrics)
    with admission.enter("a"), admission.enter("a"), admission.enter("b"):
        with pytest.raises(TooMany) as caught, admission.enter("a"):
            pytest.fail("there was no place left")
        assert metrics.registry.get_sample_value("bitloom_requests_in_flight", {"variant": "a"}) == 2
    assert caught.value.headers() == {"retry-after": "1"}
    assert metrics.registry.get_sample_value("bitloom_requests_in_flight", {"variant": "a"}) == 0


def test_a_failed_request_gives_its_place_back() -> None:
    admission = Admission(1, Metrics())
    with pytest.raises(RuntimeError), admission.enter("a"):
        raise RuntimeError
    with admission.enter("a"):
        pass
