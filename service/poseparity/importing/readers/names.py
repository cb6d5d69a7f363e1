"""Which names an honest checkpoint holds, and what to think of every other.

A checkpoint holds objects, so it names their classes, and the few functions that put objects back together. A function
of Python itself, of torch or of NumPy that is not one of those was put there to be called. This is not what keeps us
safe, since no name is looked up here: it tells whether the file is an attack on whoever else reads it.
"""

from __future__ import annotations

import re
import sys
from typing import Literal

Verdict = Literal["expected", "unknown", "hostile"]

# Of Python itself: a list, because its modules hold all that an attack needs. Exceptions and enums are not on it.
_PYTHON = {
    "builtins": {
        "object", "int", "float", "bool", "complex", "str", "bytes", "bytearray", "list", "tuple", "dict", "set",
        "frozenset", "slice", "range", "type", "getattr", "NotImplemented", "Ellipsis",
    },
    "collections": {"OrderedDict", "defaultdict", "deque", "Counter", "ChainMap", "UserDict", "UserList"},
    "copyreg": {"_reconstructor", "__newobj__", "__newobj_ex__"},
    "_codecs": {"encode"},
    "pathlib": {"PosixPath", "WindowsPath", "Path", "PurePath", "PurePosixPath", "PureWindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath", "Path", "PurePath", "PurePosixPath", "PureWindowsPath"},
    "argparse": {"Namespace"},
    "types": {"SimpleNamespace"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "uuid": {"UUID"},
    "logging": {"Logger", "getLogger"},
    "re": {"_compile"},
}  # fmt: skip
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
# Modules that Python had once: pickles that name them are for older Pythons.
_PYTHON_MODULES = set(sys.stdlib_module_names) | {
    "__builtin__", "copy_reg", "commands", "distutils", "imp", "asynchat", "asyncore", "smtpd", "popen2", "urllib2",
    "httplib", "cPickle", "StringIO", "cStringIO", "new", "exceptions", "test", "lib2to3", "telnetlib", "pipes",
    "posixfile", "dl", "rexec", "Bastion", "nt", "ntpath", "msvcrt", "winreg", "_winreg", "winsound", "_winapi",
    "anydbm", "whichdb", "sitecustomize", "usercustomize", "idlelib", "turtledemo", "pydoc_data",
}  # fmt: skip
# Of packages that training uses: where the classes of what it saves lie. Their other modules download, read and start.
_CLASSES = (
    "torch", "torch._tensor", "torch.storage", "torch.amp", "torch.cuda.amp", "torch.nn", "torch.optim", "torch.ao",
    "torchvision.models", "torchvision.ops", "torchvision.transforms", "mmengine.logging", "mmengine.config.config",
    "mmengine.model", "mmengine.optim", "mmengine.structures", "mmcv.cnn", "mmcv.ops", "mmcv.transforms",
    "mmcv.utils.config", "mmaction.models", "mmaction.structures", "mmaction.datasets", "mmaction.evaluation",
    "ultralytics.nn.modules", "ultralytics.nn.tasks", "ultralytics.utils.torch_utils", "ultralytics.utils.ops",
)  # fmt: skip
_PACKAGES = {name.partition(".")[0] for name in _CLASSES} | {"numpy", "scipy"}
_WITHOUT_PARTS = {"torch"}  # not what is below it
# Classes that begin with a small letter, and functions that rebuild an object from its parts.
_EXACT = re.compile(
    r"""
    torch\.(device|dtype|layout|memory_format|strided|contiguous_format|channels_last|preserve_format)
    | torch\.(float|half|double|bfloat|int|long|short|uint|complex|cfloat|bool|qint|quint)\w*
    | torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|sparse_tensor|qtensor
        |device_tensor_from_numpy|meta_tensor_no_storage|wrapper_subclass)
    | torch\._tensor\._rebuild_from_type(_v2)?
    | torch\.serialization\._get_layout
    | torch\.nn\.functional\.[a-z]\w*
    | torch\._C\._nn\.(gelu|silu|mish|relu6|elu_|leaky_relu|softplus|hardtanh|hardsigmoid|hardswish|log_sigmoid)_?
    | torch\.(relu|sigmoid|tanh)
    | ultralytics\.(yolo\.)?utils\.(IterableSimpleNamespace|loss\.\w+|tal\.\w+)
    | ultralytics\.nn\.modules\.head\.v10Detect
    | numpy\.(dtype|ndarray|bool_?|(u?int|float|complex)\d+|float_|int_|intc|uint|str_|bytes_|void)
    | numpy\.(datetime64|timedelta64)
    | numpy\._?core\.multiarray\.(_reconstruct|scalar)
    | numpy\._?core\.numeric\._frombuffer
    | numpy\._?core\._internal\._convert_to_stringdtype_kwargs
    | numpy\.dtypes\.\w+DType
    | numpy\.ma\.core\.(MaskedArray|_mareconstruct)
    | numpy\.random\._pickle\.__(randomstate|generator|bit_generator)_ctor
    | numpy\.random\.(mtrand\.RandomState|_generator\.Generator)
    | numpy\.random\._(pcg64\.PCG64|mt19937\.MT19937|philox\.Philox|sfc64\.SFC64)
    """,
    re.VERBOSE,
)
# Third parties that no training saves an object of, and that run, fetch or load what they are told to.
_TOOLS = {
    "pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel", "dill", "cloudpickle", "joblib", "jsonpickle",
    "requests", "urllib3", "httpx", "paramiko", "fabric", "invoke", "pexpect", "ptyprocess", "IPython", "ipykernel",
    "cffi", "numba", "fire", "yaml", "jinja2", "flask", "werkzeug", "gunicorn", "fsspec", "docker", "ansible", "pytest",
    "_pytest", "sympy", "onnxruntime", "tensorflow", "keras", "transformers", "huggingface_hub", "torchaudio",
}  # fmt: skip


def verdict(module: str, name: str) -> Verdict:
    """What to think of a name in a pickle: of what training saves, of what nobody knows, or of an attack."""
    module = _PYTHON_2.get(module, module)
    top, parts = module.partition(".")[0], name.split(".")
    if is_pythons_own(module):
        return "expected" if name in _PYTHON.get(module, ()) else "hostile"
    if top in _PACKAGES:
        # Classes begin with a capital, as Python's style guide has it; so torch, MMEngine and ultralytics write them.
        is_class = all(part.lstrip("_")[:1].isupper() for part in parts) and any(
            module == place or (place not in _WITHOUT_PARTS and module.startswith(f"{place}.")) for place in _CLASSES
        )
        return "expected" if is_class or _EXACT.fullmatch(f"{module}.{name}") else "hostile"
    return "hostile" if top in _TOOLS else "unknown"


def is_pythons_own(name: str) -> bool:
    """Whether a module, or what is in it, comes with Python or came with one."""
    return name.partition(".")[0] in _PYTHON_MODULES
