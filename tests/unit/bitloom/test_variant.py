"""A variant directory is read only when it is what its manifest says."""

from pathlib import Path

import pytest

from bitloom.errors import VariantError
from bitloom.files import list_files
from bitloom.plan import Plan
from bitloom.provenance import provenance
from bitloom.variant import MANIFEST_NAME, Base, Footprint, VariantManifest, read_manifest, verify_files


@pytest.fixture
def variant(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    plan = Plan.parse({"name": "v", "base": "b", "rules": [{"bits": 4}]}, source="test")
    whole = Footprint(
        parameters=1,
        quantized_parameters=1,
        stored_bytes=1,
        bpw=4.5,
        bpw_paper=4.0,
        resident_bytes={"vllm": 2},
    )
    manifest = VariantManifest(
        name="v",
        plan=plan,
        plan_hash=plan.hash,
        base=Base(path="b", revision=None, family="llava", weights_sha256="0" * 64),
        calibration_hash=None,
        provenance=provenance(),
        total=whole,
        components={"language": whole},
        layers=(),
        engines=("vllm",),
        files=list_files(tmp_path),
    )
    (tmp_path / MANIFEST_NAME).write_text(manifest.model_dump_json())
    return tmp_path


def test_a_manifest_survives_the_file(variant: Path) -> None:
    manifest = read_manifest(variant)
    verify_files(variant, manifest)
    assert manifest.plan.rules[0].bits == 4
    assert manifest.components["language"].bpw == 4.5


def test_a_directory_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VariantError, match=MANIFEST_NAME):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"weightz", "SHA-256"), (b"weight", "6 bytes, expected 7")]
)
def test_changed_weights_are_refused(variant: Path, content: bytes, message: str) -> None:
    (variant / "model.safetensors").write_bytes(content)
    with pytest.raises(VariantError, match=message):
        verify_files(variant, read_manifest(variant))


def test_missing_weights_are_refused(variant: Path) -> None:
    (variant / "model.safetensors").unlink()
    with pytest.raises(VariantError, match="missing"):
        verify_files(variant, read_manifest(variant))


def test_an_unknown_field_is_refused(variant: Path) -> None:
    path = variant / MANIFEST_NAME
    path.write_text(path.read_text().replace('"name"', '"nom"', 1))
    with pytest.raises(VariantError, match="nom"):
        read_manifest(variant)
