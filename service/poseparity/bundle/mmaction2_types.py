"""What a bundle may say to MMAction2: a closed list of types, of the keys of each, and of their values.

mmengine takes any dotted name for a `type` and calls what it finds there, `os.system` as well as a backbone. So a table
is held to this list before it is given to mmengine, both where a bundle is read and where a model is built.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import BundleError
from .plain_files import shown

_FIX = (
    "use the types and arguments of MMAction2 that bundles run: import the model again with `poseparity bundle import`"
)


class _Closed(BaseModel):
    """Every key is known, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


_Channels = Annotated[int, Field(ge=1, le=4096)]  # the widest layer of STGCN has 256
_Count = Annotated[int, Field(ge=1, le=100)]  # STGCN has 10 stages
_Share = Annotated[float, Field(ge=0, lt=1)]
_Number = Annotated[float, Field(ge=-1e6, le=1e6)]  # beyond them float32 has no sixteenths any more
_Key = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
_Layout = Literal["coco", "openpose"]


# --- [[normalise.transforms]] ----------------------------------------------------------------------------------------


class _PreNormalize2D(_Closed):
    type: Literal["PreNormalize2D"]
    img_shape: Annotated[list[Annotated[int, Field(ge=1, le=10**5)]], Field(min_length=2, max_length=2)] | None = None


class _GenSkeFeat(_Closed):
    type: Literal["GenSkeFeat"]
    dataset: _Layout
    feats: Annotated[list[Literal["j", "b", "jm", "bm"]], Field(min_length=1, max_length=4)] | None = None
    axis: Literal[-1] | None = None


class _UniformSampleFrames(_Closed):
    type: Literal["UniformSampleFrames"]
    clip_len: Annotated[int, Field(ge=1, le=2000)]  # MMAction2 trains with 100 frames
    num_clips: Annotated[int, Field(ge=1, le=100)] | None = None
    test_mode: bool | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class _PoseDecode(_Closed):
    type: Literal["PoseDecode"]


class _FormatGCNInput(_Closed):
    type: Literal["FormatGCNInput"]
    num_person: Annotated[int, Field(ge=1, le=20)] | None = None
    mode: Literal["zero", "loop"] | None = None


class _PackActionInputs(_Closed):
    type: Literal["PackActionInputs"]
    meta_keys: Annotated[list[_Key], Field(max_length=20)] | None = None
    algorithm_keys: Annotated[list[_Key], Field(max_length=20)] | None = None


TRANSFORMS: dict[str, type[_Closed]] = {
    "PreNormalize2D": _PreNormalize2D,
    "GenSkeFeat": _GenSkeFeat,
    "UniformSampleFrames": _UniformSampleFrames,
    "PoseDecode": _PoseDecode,
    "FormatGCNInput": _FormatGCNInput,
    "PackActionInputs": _PackActionInputs,
}


# --- [recognise.model] -----------------------------------------------------------------------------------------------


class _Graph(_Closed):
    layout: _Layout | None = None
    mode: Literal["stgcn_spatial", "spatial", "binary_adj"] | None = None
    max_hop: Annotated[int, Field(ge=1, le=10)] | None = None  # no two joints of either graph are more than 8 apart


_NormName = Literal["BN", "BN2d", "SyncBN", "GN", "IN", "IN2d"]
_ActName = Literal[
    "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SiLU", "Swish", "GELU", "Sigmoid", "Tanh", "HSwish", "HSigmoid"
]


class _Norm(_Closed):
    type: _NormName
    eps: Annotated[float, Field(gt=0, le=1)] | None = None
    momentum: Annotated[float, Field(ge=0, le=1)] | None = None
    affine: bool | None = None
    track_running_stats: bool | None = None
    requires_grad: bool | None = None
    num_groups: _Channels | None = None


class _Activation(_Closed):
    type: _ActName
    inplace: bool | None = None
    negative_slope: _Number | None = None
    alpha: _Number | None = None


# A branch of ST-GCN++'s temporal convolutions: kernel and dilation, pooling, or the name of a 1x1 convolution.
_Kernel = Annotated[int, Field(ge=1, le=99)]
_Branch = Literal["1x1"] | Annotated[list[_Kernel | Literal["max"]], Field(min_length=2, max_length=2)]
_Branches = Annotated[list[_Branch], Field(min_length=1, max_length=20)]


def _for_each_stage(kind: Any) -> Any:
    """MMAction2 takes one value for all stages, or a list with one for each."""
    return kind | Annotated[list[kind], Field(min_length=1, max_length=100)] | None


class _STGCN(_Closed):
    type: Literal["STGCN"]
    graph_cfg: _Graph
    in_channels: Annotated[int, Field(ge=1, le=64)] | None = None
    base_channels: _Channels | None = None
    data_bn_type: Literal["VC", "MVC", "no"] | None = None
    ch_ratio: Annotated[float, Field(gt=0, le=16)] | None = None
    num_person: Annotated[int, Field(ge=1, le=20)] | None = None
    num_stages: _Count | None = None
    inflate_stages: Annotated[list[_Count], Field(max_length=100)] | None = None
    down_stages: Annotated[list[_Count], Field(max_length=100)] | None = None
    gcn_type: _for_each_stage(Literal["unit_gcn"]) = None
    gcn_adaptive: _for_each_stage(Literal["init", "offset", "importance"]) = None
    gcn_conv_pos: _for_each_stage(Literal["pre", "post"]) = None
    gcn_with_res: _for_each_stage(bool) = None
    gcn_norm: _for_each_stage(_NormName | _Norm) = None
    gcn_act: _for_each_stage(_ActName | _Activation) = None
    tcn_type: _for_each_stage(Literal["unit_tcn", "mstcn"]) = None
    tcn_dropout: _for_each_stage(_Share) = None
    tcn_dilation: _for_each_stage(_Kernel) = None
    tcn_norm: _for_each_stage(_NormName | _Norm) = None
    tcn_mid_channels: _for_each_stage(Annotated[float, Field(gt=0, le=16)]) = None
    tcn_ms_cfg: _for_each_stage(_Branches) = None


class _Loss(_Closed):
    """It has no part in a score, but MMAction2 makes it with the head."""

    type: Literal["CrossEntropyLoss"]
    loss_weight: _Number | None = None


class _GCNHead(_Closed):
    type: Literal["GCNHead"]
    num_classes: Annotated[int, Field(ge=2, le=10**5)]
    in_channels: Annotated[int, Field(ge=1, le=10**5)]
    loss_cls: _Loss | None = None
    dropout: _Share | None = None
    average_clips: Literal["prob", "score"] | None = None
    multi_class: bool | None = None
    label_smooth_eps: _Share | None = None
    topk: Annotated[int, Field(ge=1, le=10**5)] | None = None


class _TestConfig(_Closed):
    average_clips: Literal["prob", "score"] | None = None


class _RecognizerGCN(_Closed):
    type: Literal["RecognizerGCN"]
    backbone: _STGCN
    cls_head: _GCNHead
    test_cfg: _TestConfig | None = None


# --- the check -------------------------------------------------------------------------------------------------------

_MODEL = TypeAdapter(_RecognizerGCN)


def check_model(table: Any, where: str = "recognise.model") -> None:
    """Hold the table of a recogniser to the list.

    Raises:
        BundleError: a type, a key or a value in it is not on the list; the first is named.
    """
    _check(_MODEL, table, where)


def check_transform(table: Any, where: str = "normalise.transforms") -> None:
    """The same of one transform of the test pipeline.

    Raises:
        BundleError: as `check_model`.
    """
    kind = table.get("type") if isinstance(table, dict) else table
    if not isinstance(kind, str) or kind not in TRANSFORMS:
        raise BundleError(
            f"{where}: {shown(kind)} is no transform of MMAction2 that bundles run, expected one of "
            f"{', '.join(TRANSFORMS)}",
            fix=_FIX,
        )
    _check(TypeAdapter(TRANSFORMS[kind]), table, where)


def _check(adapter: TypeAdapter, table: Any, where: str) -> None:
    try:
        adapter.validate_python(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in (where, *first["loc"]))
        raise BundleError(f"{key:.160}: {first['msg']}, found {shown(first['input'])}", fix=_FIX) from error
    except RecursionError as error:
        raise BundleError(f"{where} is nested without end", fix=_FIX) from error
