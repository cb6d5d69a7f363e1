"""What is added to MMAction2, MMEngine and torchvision while they are imported, and what is not."""

from __future__ import annotations

import io
import pickle
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from poseparity.libraries import mmaction2_autoload as mmaction2


class Calls:
    """Pickles as a call of getattr."""

    def __init__(self, owner: type, name: str) -> None:
        self.call = getattr, (owner, name)

    def __reduce__(self):
        return self.call


def read_back(content: object) -> object:
    """Through torch.load as MMEngine calls it."""
    import mmengine.runner  # noqa: F401

    stream = io.BytesIO()
    torch.save(content, stream)
    stream.seek(0)
    return torch.load(stream, map_location="cpu")


def test_pytorch_calls_it():
    names = {point.name: point.value for point in entry_points(group="torch.backends")}
    assert names == {"poseparity": "poseparity.libraries.mmaction2_autoload:complete"}
    assert sum(isinstance(finder, mmaction2._Finder) for finder in sys.meta_path) == 1


def test_a_torchvision_of_another_build_is_a_module_that_is_missing():
    assert find_spec("torchvision")
    with pytest.raises(ModuleNotFoundError, match="built for another PyTorch") as error:
        import torchvision  # noqa: F401
    assert error.value.name == "torchvision"
    assert "torchvision" not in sys.modules, "ultralytics would take its NMS"


def load_as_torchvision(tmp_path, monkeypatch, content: str):
    """Import another torchvision than the installed one."""
    (tmp_path / "torchvision.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    import torchvision

    del sys.modules["torchvision"]  # monkeypatch would put it back, and ultralytics would take its NMS
    return torchvision


def test_a_torchvision_that_fits_is_imported(tmp_path, monkeypatch):
    assert load_as_torchvision(tmp_path, monkeypatch, "__version__ = '0'").__version__ == "0"


def test_another_error_of_torchvision_stays_what_it_is(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="no CUDA"):
        load_as_torchvision(tmp_path, monkeypatch, "raise RuntimeError('no CUDA')")


def test_the_log_of_a_training_is_read():
    from mmengine.logging import HistoryBuffer

    written = HistoryBuffer([0.5, 0.25], [1, 1])
    read = read_back({"loss": written, "best": np.float64(0.75)})
    assert (read["loss"].mean(), read["loss"].statistics("min"), read["best"]) == (0.375, 0.25, 0.75)


@pytest.mark.parametrize("owner, name", [(torch.Tensor, "mean"), (dict, "get")])
def test_no_other_attribute_is_given_to_a_checkpoint(owner, name):
    with pytest.raises(pickle.UnpicklingError):
        read_back(Calls(owner, name))


def test_no_other_attribute_of_the_log_either():
    from mmengine.logging import HistoryBuffer

    with pytest.raises(pickle.UnpicklingError, match="asks for the attribute '__init__'"):
        read_back(Calls(HistoryBuffer, "__init__"))


def test_a_checkpoint_still_runs_nothing():
    with pytest.raises(pickle.UnpicklingError, match="print"):
        read_back(print)


def test_the_absent_localizer_has_a_stand_in():
    from mmaction.models import DRN

    assert DRN.__doc__ == "Absent from MMAction2's wheel."


def test_mmactions_own_tests_find_its_configs():
    from mmaction.testing import get_skeletongcn_cfg

    config = get_skeletongcn_cfg("stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py")
    assert config.model.type == "RecognizerGCN"
