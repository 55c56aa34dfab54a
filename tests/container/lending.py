"""What the fixtures for podman and for images have in common."""
import pytest

from podman import Unavailable


def lent(made):
    """For a fixture to yield from: it, opened, and closed at the end; the tests are skipped where it can't be had."""
    try:
        made.open()
    except Unavailable as why:
        made.close()
        pytest.skip(str(why))
    yield made
    made.close()
