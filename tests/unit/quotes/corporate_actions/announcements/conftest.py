from collections.abc import Iterator

import pytest
from exchange_server import Exchange, exchange_server


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with exchange_server() as server:
        yield server
