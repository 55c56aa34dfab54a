"""Cline's command-line agents do the task of test_cline.py by `auto`: the optimizer makes their prompts small, and they keep their tools."""
import json
import re

import pytest

from test_cline import CLINE_2, CLINE_3, CPU, TASK, TEXT, XML, Model, call_of_editor, created, need, played, run_cline_2, run_cline_3, said, told, world  # noqa: F401

NAMES = ("qwen3:4b", "qwen3:0.6b")
TOOLS_OF_2 = ("execute_command", "read_file", "write_to_file", "replace_in_file", "search_files", "list_files", "list_code_definition_names",
              "use_mcp_tool", "access_mcp_resource", "attempt_completion", "plan_mode_respond", "load_mcp_documentation")
TOOLS_OF_3 = ("read_files", "editor", "run_commands")
WHOLE = r"(?s)## {0}\nDescription: (?:(?!\n## ).)*?Usage:\n<{0}>\n.*?</{0}>"  # a tool as Cline 2 tells of it
STRATEGIES = {"A": {"model": "qwen3:4b", "tools": "native"}, "B": {"model": "qwen3:0.6b"},
              "C": {"map_model": "qwen3:0.6b", "reduce_model": "qwen3:4b"}}


def optimizer(name=None):
    """The sections of supervisor.ini: the built-in strategies, or one of them for all sizes."""
    return {"optimizer": {"enabled": "yes"}, **({f"strategy:{name}": {**STRATEGIES[name], "options": "num_ctx=16384"}} if name else {})}


@pytest.mark.limit(200)
def test_r4_3_cline_2_keeps_its_tools_as_the_profile_has_it(folder, played, world):  # noqa: F811
    """Its prompt has 46,000 characters: strategy C, of which its own tools are more than system_budget, and whole."""
    need(CLINE_2, "cline 2 (npm)")
    model = Model(["completion"], lambda n, asked: said(XML[min(n, 1)]), NAMES)
    assert run_cline_2(folder, world, played(model, optimizer()), "auto") == ["hello.txt is there."]
    assert created(folder) == TEXT
    first, second = model.asked
    for asked in (first, second):
        system = asked["messages"][0]["content"]
        assert asked["model"] == "qwen3:4b" and asked["options"]["num_ctx"] == 8192
        assert len(system) < 20000 and all(re.search(WHOLE.format(name), system) for name in TOOLS_OF_2), system
    assert f"<task>\n{TASK}\n</task>" in first["messages"][-1]["content"] and "a file was made" not in json.dumps(first)
    assert second["messages"][-1]["content"].startswith("[write_to_file for 'hello.txt'] Result:")
    assert model.mapped and "a file was made" in json.dumps(second)  # the task and the call are the history now
    assert {asked["model"] for asked in model.mapped} == {"qwen3:0.6b"}


@pytest.mark.limit(200)
@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_r4_4_cline_3_keeps_its_tools(folder, played, world, name):  # noqa: F811
    need(CLINE_3, f"@cline/cli-linux-{CPU} (npm)")
    tool, arguments = call_of_editor(folder)

    def turns(n, _asked):
        if n > 0:
            return said("hello.txt is there.")
        if name == "A":
            return [told({"content": "", "tool_calls": [{"function": {"name": tool, "arguments": arguments}}]})]
        return said(f"<tool_call>\n{json.dumps({'name': tool, 'arguments': arguments})}\n</tool_call>")

    model = Model(["completion", "tools"], turns, NAMES)
    assert run_cline_3(folder, world, played(model, optimizer(name)), "auto") == ("completed", "hello.txt is there.")
    assert created(folder) == TEXT
    for asked in model.asked:
        native = {each["function"]["name"] for each in asked.get("tools", [])}
        lines = "\n".join(message["content"] for message in asked["messages"] if message["role"] == "system").splitlines()
        in_words = {json.loads(line)["name"] for line in lines if line.startswith('{"name":')}
        assert set(TOOLS_OF_3) <= (native if name == "A" else in_words) and not (in_words if name == "A" else native)
        assert name == "A" or {message["role"] for message in asked["messages"]} <= {"system", "user", "assistant"}
