#!/usr/bin/env python3
"""refuse_subreaper.py COMMAND…: execs the command, with prctl(PR_SET_CHILD_SUBREAPER) refused from there on."""
import ctypes
import errno
import os
import platform
import struct
import sys

# Numbers of the kernel's interface (prctl(2), seccomp(2), linux/bpf_common.h).
SET_NO_NEW_PRIVS, SET_SECCOMP, SET_CHILD_SUBREAPER, FILTER = 38, 22, 36, 2
PRCTL_NUMBER = {"x86_64": 157, "aarch64": 167}
LOAD, JUMP_IF_EQUAL, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
CALL_AT, FIRST_ARGUMENT_AT = 0, 16


def refuse_subreaper() -> None:
    """A filter of system calls: that one call fails with EPERM, as a sandbox may have it."""
    steps = [(LOAD, 0, 0, CALL_AT), (JUMP_IF_EQUAL, 0, 3, PRCTL_NUMBER[platform.machine()]),
             (LOAD, 0, 0, FIRST_ARGUMENT_AT), (JUMP_IF_EQUAL, 0, 1, SET_CHILD_SUBREAPER),
             (RETURN, 0, 0, ERRNO | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((SET_NO_NEW_PRIVS, 1, 0, 0, 0), (SET_SECCOMP, FILTER, ctypes.addressof(program), 0, 0)):
        if libc.prctl(*map(ctypes.c_ulong, words)) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_subreaper()
    os.execvp(sys.argv[1], sys.argv[1:])
