"""The artifact store: each quantized layer, and each unit's calibration statistics, computed once."""

from quantize.store.objects import ObjectStore, StoredObject

__all__ = ["ObjectStore", "StoredObject"]
