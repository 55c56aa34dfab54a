"""Forms as clients write them, and images: headers that are real, and bytes of any number behind them."""
import hashlib
import random

TYPE = "multipart/form-data; boundary={}"
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014400 3b".replace(" ", ""))
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def image(size: int, seed: int = 1) -> bytes:
    """A PNG by its header, with noise behind it: as many bytes as that, all values among them, CR LF and dashes too."""
    return (PNG + b"\r\n--" + BOUNDARY.encode() + b"x\r\n\r\n--" + random.Random(seed).randbytes(size))[:size]


def sum_of(content: bytes) -> list:
    """As the stand-in's journal has it."""
    return [len(content), hashlib.sha256(content).hexdigest()]


def part(name: str, content, filename=None, more: str = "") -> bytes:
    """A part; with a filename it is a file."""
    content = content if isinstance(content, bytes) else content.encode()
    file = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'.encode() + content


def form(*parts: bytes, boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """The body of a form."""
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + each + b"\r\n" for each in parts) + line + end.encode()


def form_headers(boundary: str = BOUNDARY) -> list:
    """Its Content-Type."""
    return [("Content-Type", TYPE.format(boundary))]
