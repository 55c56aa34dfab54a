"""llama.cpp's own server out of the package xllamacpp, a wheel that has it as a library, under the flags of llama-server that the built-in
engine uses: it is compiled nowhere, and each test run can have it."""
import argparse
import signal

import xllamacpp


def main():
    """Serve until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in its threads, too
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("model", "alias", "host"):
        parser.add_argument("--" + name, required=True)
    for name in ("port", "ctx-size"):
        parser.add_argument("--" + name, type=int, required=True)
    given = parser.parse_args()
    wanted = xllamacpp.CommonParams()
    wanted.model.path = given.model
    wanted.model_alias = {given.alias}
    wanted.hostnames = [given.host]
    wanted.port = given.port
    wanted.n_ctx = given.ctx_size
    server = xllamacpp.Server(wanted)
    signal.sigwait({signal.SIGTERM})
    del server


if __name__ == "__main__":
    main()
