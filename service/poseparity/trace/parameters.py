"""What a stage ran with: the bundle's table, its weights, and the code that used them."""

from __future__ import annotations

import hashlib
import inspect
import sys
from functools import cache

from ..bundle.bundle import Bundle
from ..observe import Described
from ..stages.base import Stage

# A limit on what is read at all: no value depends on it, and golden traces from before it stay as they are.
_OF_NO_VALUE = {"min_decoded_share"}


def parameters_of(stage: Stage, bundle: Bundle) -> dict:
    """JSON-ready.

    Keys: those of the stage's table in bundle.toml; "weights_sha256" where it has weights; what the stage says of
    itself (see observe.Described); "code", the module that the stage is defined in and the sha256 of its source, and
    "engine_code", the same of the pose engine that it asks.
    """
    table = getattr(bundle, stage.row.table) if stage.row.table else None
    parameters = table.model_dump(mode="json", exclude=_OF_NO_VALUE) if table else {}
    if weights := bundle.weights.get(stage.row.weights):
        parameters["weights_sha256"] = weights.sha256
    if isinstance(stage, Described):
        parameters |= stage.describe()
    engine = getattr(stage, "engine", None)
    engine_code = {} if engine is None else {"engine_code": _code(type(engine).__module__)}
    return parameters | {"code": _code(type(stage).__module__)} | engine_code


@cache
def _code(module: str) -> dict:
    source = inspect.getsource(sys.modules[module])
    return {"module": module, "sha256": hashlib.sha256(source.encode()).hexdigest()}
