"""A variant as an AutoAWQ or GPTQ checkpoint: the same integers and scales, packed the other way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitloom import packing
from bitloom.dequantize import PACKED, SCALE, ZERO_POINT
from bitloom.errors import VariantError
from bitloom.files import check_new_directory, new_directory, write_atomic
from bitloom.packing import Integers
from bitloom.tensors import TensorEntry, index_tensors, read_array, read_bytes
from bitloom.variant import LayerRecord, VariantManifest, read_manifest, verify_files
from quantize.checkpoint import read_config
from quantize.families import FAMILIES, Family
from quantize.foreign.formats import Format, check_exportable, export_config
from quantize.foreign.packing import AWQ_ORDER, pack_awq, pack_gptq, pack_gptq_zeros
from quantize.write.layout import TensorSpec
from quantize.write.manifest import copy_companions
from quantize.write.shards import MAX_SHARD_BYTES, ShardWriter

QUANTIZATION_CONFIG = "quantization_config"


def export_variant(
    directory: Path, out: Path, target: Format, max_shard_bytes: int = MAX_SHARD_BYTES
) -> VariantManifest:
    """Write the variant in `directory` as a `target` checkpoint to the new directory `out`.

    Its manifest is returned. Raises InputError naming a layer that the format cannot hold, before a weight
    is read; VariantError where the variant is damaged.
    """
    manifest = read_manifest(directory)
    check_exportable(manifest.layers, target)
    check_new_directory(out)
    verify_files(directory, manifest)
    family = _family(manifest)
    tensors = index_tensors(directory)
    packed = {layer.name: layer for layer in manifest.layers if f"{layer.name}.{PACKED}" in tensors}
    specs = [spec for name in tensors for spec in _specs(name, tensors[name], tensors, packed, target)]
    with new_directory(out) as fresh:
        copy_companions(directory, fresh)
        with ShardWriter(fresh, specs, max_shard_bytes) as shards:
            for name, entry in tensors.items():
                module, _, parameter = name.rpartition(".")
                if module not in packed or parameter == "bias":
                    shards.write(name, read_bytes(entry))
                elif parameter == PACKED:
                    for own, content in _contents(tensors, packed[module], target):
                        shards.write(own, content)
        config = read_config(directory)
        config[QUANTIZATION_CONFIG] = export_config(family, manifest.layers, target)
        write_atomic(fresh / "config.json", json.dumps(config, indent=2) + "\n")
    return manifest


def _family(manifest: VariantManifest) -> Family:
    found = next((family for family in FAMILIES if family.name == manifest.base.family), None)
    if found is None:
        raise VariantError(f"{manifest.name}: family {manifest.base.family} is unknown to this version")
    return found


def _specs(
    name: str,
    entry: TensorEntry,
    tensors: Mapping[str, TensorEntry],
    packed: Mapping[str, LayerRecord],
    target: Format,
) -> Iterator[TensorSpec]:
    module, _, parameter = name.rpartition(".")
    if module not in packed or parameter == "bias":
        yield TensorSpec(name, entry.dtype, entry.shape)
        return
    if parameter != PACKED:
        return
    (rows, cols), bits = packed[module].shape, _bits(packed[module])
    scale = tensors[f"{module}.{SCALE}"]
    groups = scale.shape[1]
    if target == "awq":
        words = rows // len(AWQ_ORDER)
        yield TensorSpec(f"{module}.qweight", "I32", (cols, words))
        yield TensorSpec(f"{module}.qzeros", "I32", (groups, words))
    else:
        yield TensorSpec(f"{module}.qweight", "I32", (packing.packed_words(cols, bits), rows))
        yield TensorSpec(f"{module}.qzeros", "I32", (groups, packing.packed_words(rows, bits)))
        yield TensorSpec(f"{module}.g_idx", "I32", (cols,))
    yield TensorSpec(f"{module}.scales", scale.dtype, (groups, rows))


def _contents(
    tensors: Mapping[str, TensorEntry], layer: LayerRecord, target: Format
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    (rows, cols), bits, module = layer.shape, _bits(layer), layer.name
    integers = packing.unpack(read_array(tensors[f"{module}.{PACKED}"]), bits, cols)
    scale = tensors[f"{module}.{SCALE}"]
    groups = scale.shape[1]
    zeros: Integers = np.zeros((rows, groups), dtype=np.int8)
    if not layer.symmetric:
        zeros = packing.unpack_zero_points(read_array(tensors[f"{module}.{ZERO_POINT}"]), bits, rows)
    if target == "awq":
        yield f"{module}.qweight", pack_awq(integers)
        yield f"{module}.qzeros", pack_awq(zeros)
    else:
        yield f"{module}.qweight", pack_gptq(integers, bits)
        yield f"{module}.qzeros", pack_gptq_zeros(zeros, bits, less_one=True)
        yield f"{module}.g_idx", np.repeat(np.arange(groups, dtype=np.int32), cols // groups)
    yield f"{module}.scales", _transposed(scale)


def _transposed(entry: TensorEntry) -> NDArray[np.generic]:
    """A matrix transposed in the dtype it is stored in (bfloat16, which numpy lacks, moves as it is)."""
    content = read_bytes(entry).view(f"u{entry.size // entry.count}").reshape(entry.shape)
    return np.ascontiguousarray(content.T)


def _bits(layer: LayerRecord) -> int:
    return layer.container_bits or layer.bits
