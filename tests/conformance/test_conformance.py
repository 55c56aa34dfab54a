"""Each case of HTTP/1.1 at our proxy: those that an RFC demands, and those where it leaves a choice. docs/conformance.md"""
import pytest

import broken
import cases
import taken
from subject import complaint_of_ours

ALL = cases.refusals() + taken.cases() + broken.cases()


@pytest.mark.parametrize("case", ALL, ids=[case.name.encode("unicode_escape").decode()[:80] for case in ALL])
def test_case(ours, case):
    wrong = complaint_of_ours(case, ours.play(case))
    assert not wrong, wrong


def test_no_case_is_met_by_whatever_comes():
    """Each can fail: by an answer that is not due, or by none."""
    nothing, fine = cases.Seen(b"", [], b""), cases.Seen(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}', [case_bytes()], case_bytes())
    for case in ALL:
        assert case.complaint(nothing) or case.complaint(fine) or case.ours, case.name
    assert len(ALL) > 500 and len({case.name for case in ALL}) == len(ALL)


def case_bytes() -> bytes:
    """A request that has all that is refused or taken away."""
    return b"GET /api/ps HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: a\rb\0\r\n c\r\nX-Mine: y\r\n\r\n"
