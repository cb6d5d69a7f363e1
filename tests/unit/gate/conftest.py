from __future__ import annotations

import pytest

from tests.unit.gate.support import Folders


@pytest.fixture
def folders(tmp_path) -> Folders:
    return Folders(tmp_path)
