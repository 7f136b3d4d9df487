"""One page for all that only looks, and is told apart by its devices."""

from collections.abc import Iterator

import pytest

from tests.served_page import ServedPage, page_settings, served_page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A page with a PIN."""
    with served_page(page_settings(tmp_path_factory.mktemp("page"))) as served:
        yield served
