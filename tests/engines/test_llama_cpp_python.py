"""llama-cpp-python's server, by the template of docs/engines.md: it has no /health, and tells no counts in a stream. It is compiled where it is
installed: `scripts/deps engines`."""
import os
import re
import textwrap

import pytest

from conftest import TESTS, engines_python, needs


@pytest.mark.limit(240)
def test_the_template_of_the_docs(serving, hub, gguf):
    needs("llama_cpp", "fastapi")
    with open(os.path.join(os.path.dirname(TESTS), "docs", "engines.md"), encoding="utf-8") as file:
        block = re.search(r"### llama-cpp-python\n[\s\S]*?((?:^    .*\n)+)", file.read(), re.M).group(1)
    keys = dict(line.split(" = ", 1) for line in textwrap.dedent(block).splitlines()[1:])
    keys["command"] = keys["command"].replace("python3", engines_python(), 1)
    hub.commit("tiny/one", {"one-Q4_K_M.gguf": gguf("one")})
    serving.use("llama")
    serving.configure("engine:llama", **keys)
    serving.serve()
    serving.pull("tiny/one")
    assert serving.said("tiny/one")["eval_count"] >= 4
    streamed = serving.chat("tiny/one", stream=True)
    last = list(streamed.body.splitlines())[-1]
    assert streamed.status == 200 and b'"done":true' in last.replace(b" ", b"") and b'"eval_count":null' in last.replace(b" ", b"")
