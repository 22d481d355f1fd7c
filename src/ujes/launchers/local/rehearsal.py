"""Imported by the warm parent: what pyarrow itself loads only when it is first used, pandas above all."""

from __future__ import annotations

import pyarrow as pa

pa.record_batch([pa.array(["rehearsal"], pa.string())], schema=pa.schema([pa.field("text", pa.string())]))
