"""What the tests of the pages share."""

import pytest

from tests.web.fakes import Site


@pytest.fixture
def site() -> Site:
    return Site()
