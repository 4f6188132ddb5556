"""Places are counted by variant and by key, and given back whatever happens."""

from __future__ import annotations

import pytest

from server.app.admission import Admission
from server.config import Limits, VariantConfig
from server.errors import TooMany
from server.keys import KeyRecord
from server.metrics import Metrics


def test_a_full_variant_refuses_and_others_do_not() -> None:
    metrics = Metrics()
    admission = Admission(Limits(outstanding=2), (), metrics)
    with admission.enter("a"), admission.enter("a"), admission.enter("b"):
        with pytest.raises(TooMany) as caught, admission.enter("a"):
            pytest.fail("there was no place left")
        assert metrics.registry.get_sample_value("bitloom_requests_in_flight", {"variant": "a"}) == 2
    assert caught.value.headers() == {"retry-after": "1"}
    assert metrics.registry.get_sample_value("bitloom_requests_in_flight", {"variant": "a"}) == 0


def test_a_failed_request_gives_its_place_back() -> None:
    admission = Admission(Limits(outstanding=1), (), Metrics())
    with pytest.raises(RuntimeError), admission.enter("a"):
        raise RuntimeError
    with admission.enter("a"):
        pass


def test_a_variant_has_a_limit_of_its_own() -> None:
    variants = [
        VariantConfig(name=name, url="unix:/x", outstanding=own) for name, own in (("a", 1), ("b", None))
    ]
    admission = Admission(Limits(outstanding=2), variants, Metrics())
    with admission.enter("a"), admission.enter("b"), admission.enter("b"):
        for name in "ab":
            with pytest.raises(TooMany), admission.enter(name):
                pytest.fail("there was no place left")
        admission.apply(Limits(outstanding=3), [VariantConfig(name="a", url="unix:/x")])
        with admission.enter("a"), admission.enter("b"):
            pass


def test_a_key_has_places_over_all_variants() -> None:
    admission = Admission(Limits(), (), Metrics())
    few = KeyRecord(id="few", sha256="0" * 64, scopes=("infer",), outstanding=2, created_at="now")
    many = few.model_copy(update={"id": "many", "outstanding": None})
    with admission.enter("a", few), admission.enter("b", few), admission.enter("a", many):
        with pytest.raises(TooMany) as caught, admission.enter("c", few):
            pytest.fail("the key had no place left")
        with admission.enter("c", many):
            pass
    assert (caught.value.code, caught.value.status) == ("key_queue_full", 429)
    assert caught.value.headers() == {"retry-after": "1"}
    with admission.enter("c", few):
        pass
