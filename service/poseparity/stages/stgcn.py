"""MMAction2's ST-GCN, computed a few persons of clips at a time, with the bits of the whole batch.

`FormatGCNInput` pads a clip with persons of zeros, and `UniformSampleFrames` samples several clips of a skeleton, some
or all of them equal. MMAction2 computes all persons of all clips in one batch; none of them has a part in another's
features. Here each is computed once, by MMAction2's own modules, and the lanes share them.
"""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import chain

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..compute.lanes import InPlace

_WEIGHT = 4  # of its clips beside frames: a CSV beside two videos then has two thirds of the lanes' time
# Persons computed in one go: each layer's weights are read once for all. More no longer fit the caches.
_TOGETHER = 5
_SHAPES = 8  # a bundle has one shape of clips unless it samples none, and then a skeleton's length is in it
# What computes an element of the output from elements of one person alone, in an order that does not depend on where
# the person stands in a batch, nor on how many there are. An activation with a transcendental function does not: the
# last elements of a batch, which fill no vector, go through another implementation of it.
_APART = {nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout, nn.Identity}


class Inference:
    """What `inference_skeleton` answers of a sample, and the logits that its head made.

    Args:
        model: MMAction2's RecognizerGCN, in evaluation mode.
        lanes: compute the persons.
    """

    def __init__(self, model: nn.Module, lanes: InPlace) -> None:
        self._model = model
        self._lanes = lanes
        # Whether every module computes each person of a batch by himself; MVC normalises a clip's persons together.
        leaves = [module for module in model.backbone.modules() if not any(True for _ in module.children())]
        self._apart = model.backbone.data_bn_type != "MVC" and all(type(module) in _APART for module in leaves)
        # Its features depend on nothing but the shape. Two requests may compute them at once: they are equal.
        self._of_nobody = lru_cache(maxsize=_SHAPES)(self._pooled_nobody)

    def __call__(self, inputs: np.ndarray, sample) -> tuple[np.ndarray, np.ndarray]:
        """The logits, float32 (clips, classes), and the scores, float32 (classes,).

        Args:
            inputs: float32 (clips, persons, frames, joints, channels).
            sample: MMAction2's ActionDataSample of them, which gets the scores, too.
        """
        batch = {"inputs": [torch.from_numpy(inputs)], "data_samples": [sample]}
        (clips,) = self._model.data_preprocessor(batch)["inputs"]
        features, head = self._features(clips), self._model.cls_head
        with torch.no_grad():
            logits = head(features)
            (result,) = head.predict_by_feat(logits, [sample])
        return logits.numpy(), result.pred_score.numpy()

    def _features(self, clips: torch.Tensor) -> torch.Tensor:
        """What the head takes: (clips, persons, channels, frames, joints), or with both averaged, as it does first."""
        # Finishing what is nearly done comes before beginning more: a CSV's few clips do not wait for a video's frames.
        if not self._apart:
            (features,) = self._lanes.map(self._of_batch, [clips], weight=_WEIGHT)
            return features
        persons = clips.flatten(0, 1)
        content = [person.numpy().tobytes() for person in persons]
        distinct = dict(zip(content, persons, strict=True))
        nobody = bytes(len(content[0]))
        somebody = [each for each in distinct if each != nobody]
        # Parts as equal as can be: one for each lane, and so many that none has more than _TOGETHER.
        count = min(len(somebody), max(self._lanes.count, -(-len(somebody) // _TOGETHER)))
        parts = [somebody[n * len(somebody) // count : (n + 1) * len(somebody) // count] for n in range(count)]
        if nobody in distinct:
            parts.insert(0, [nobody])  # apart from the others: what is made of him is kept
        items = [torch.stack([distinct[each] for each in part]) for part in parts]
        work = partial(self._of_persons, batch=len(persons))
        pooled = torch.cat(list(self._lanes.map(work, items, weight=_WEIGHT)))
        place = {each: n for n, each in enumerate(chain.from_iterable(parts))}
        return pooled[[place[each] for each in content]].unflatten(0, clips.shape[:2])

    def _of_batch(self, clips: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._model.backbone(clips)

    def _of_persons(self, persons: torch.Tensor, batch: int) -> torch.Tensor:
        return self._pooled(persons, batch) if persons.any() else self._of_nobody(persons.shape, batch)

    def _pooled_nobody(self, shape: torch.Size, batch: int) -> torch.Tensor:
        return self._pooled(torch.zeros(shape), batch)

    def _pooled(self, persons: torch.Tensor, batch: int) -> torch.Tensor:
        """(persons, channels, 1, 1) of some persons, (persons, frames, joints, channels), of a batch of so many."""
        with torch.no_grad(), _ConvolutionsOfBatch(batch):  # both act on this thread alone
            return self._model.cls_head.pool(self._model.backbone(persons[:, None])[:, 0])


class _ConvolutionsOfBatch(TorchFunctionMode):
    """Within it a convolution of some persons takes the kernel that PyTorch chooses for a batch of `batch`.

    It chooses by the batch's size: on one thread a 1x1 convolution of 16 and more goes to oneDNN, of fewer to a matrix
    product, whose sums are rounded otherwise (ConvParams::use_mkldnn in aten/src/ATen/native/Convolution.cpp).
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.conv2d:
            x, weight, bias, *options = args
            if _takes_mkldnn((self._batch, *x.shape[1:]), weight.shape, *options):
                stride, padding, dilation, groups = options
                return torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
        # What is left to PyTorch goes to the same kernel: a batch that oneDNN does not get is no larger in parts.
        return func(*args, **(kwargs or {}))


@lru_cache(maxsize=1000)  # asking takes as long as a small convolution; ST-GCN++ has 60 of other shapes
def _takes_mkldnn(
    shape: tuple, weight: torch.Size, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> bool:
    """Whether PyTorch computes such a convolution of an input of `shape` with oneDNN: it is asked, not imitated."""
    nothing = torch.empty(1)
    chosen = torch._C._select_conv_backend(
        nothing.expand(shape), nothing.expand(weight), None, stride, padding, dilation, False, (0, 0), groups
    )
    return chosen == torch._C._ConvBackend.Mkldnn
