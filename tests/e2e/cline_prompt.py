"""System prompts as Cline writes them: chapters parted by ====, tools as headings with an example of their use, and tens of thousands of characters around them."""

FIGURE = 64356  # characters, and
TOOLS = 20      # tools, of the prompt that R4.3's owner measured
BUDGET = 8444   # characters that became of it

NAMES = ("execute_command", "read_file", "write_to_file", "replace_in_file", "search_files", "list_files", "list_code_definition_names", "browser_action",
         "web_fetch", "use_mcp_tool", "access_mcp_resource", "ask_followup_question", "attempt_completion", "new_task", "plan_mode_respond",
         "load_mcp_documentation", "insert_content", "search_and_replace", "switch_mode", "codebase_search")

HEAD = """You are an agent that writes software: careful, brief, and at home in many languages.

====

TOOL USE

You have tools that run once the user has agreed. You use one of them in each message, and are told what came of it.

# Tool Use Formatting

A use of a tool is written with tags. The name of the tool is the outer one, each parameter has its own:

<tool_name>
<parameter1_name>value1</parameter1_name>
</tool_name>

For example:

<read_file>
<path>src/main.js</path>
</read_file>

# Tools

"""

EXAMPLES = """# Tool Use Examples

## Example 1: a command

<execute_command>
<command>npm run dev</command>
<requires_approval>false</requires_approval>
</execute_command>

## Example 2: a new file

<write_to_file>
<path>src/frontend-config.json</path>
<content>
# A title

{"name": "example", "theme": {"primaryColor": "#007bff"}}
</content>
</write_to_file>

# Tool Use Guidelines

1. Think about what you know, and what you need to know.
2. Choose the tool that fits. To look at a folder, list_files is better than `ls`; <read_file> in the middle of a line is no tool.

====

EDITING FILES

You have write_to_file and replace_in_file.

# write_to_file

## Purpose

- Makes a new file, or writes all of an old one anew.

"""

CHAPTERS = ("MCP SERVERS", "RULES", "SYSTEM INFORMATION", "OBJECTIVE", "USER'S CUSTOM INSTRUCTIONS")
LINES = ("- The working directory is /srv/project; a path is relative to it, and `cd` has no effect on the next command.",
         "- Größere Änderungen werden in kleinen Schritten gemacht; nach jedem laufen die Prüfungen.",
         "- 请不要猜测文件的内容，先读取再修改。",
         "- Не удаляй файлы, которых ты не создавал.",
         "- 絵文字🐢や👩‍💻も一文字ずつ数えられる。",
         "- Never end with a question; say what was done, and how it can be seen.",
         "```sh\n# Tools are not what this heading is about\nmake check\n```")


def definition(name: str) -> str:
    """What Cline says of a tool, in short."""
    return (f"## {name}\nDescription: Request to {name.replace('_', ' ')}. Use it where nothing else will do, in the working directory, and say why: "
            f"what it changes can not be undone.\nParameters:\n- path: (required) what it is about, relative to the working directory\nUsage:\n<{name}>\n<path>path here</path>\n</{name}>")


class Prompt:
    """text: all of it, just `chars` characters; tools: the definitions, byte for byte."""

    def __init__(self, chars: int = FIGURE, tools: int = TOOLS):
        self.tools = [definition(NAMES[i] if i < len(NAMES) else f"{NAMES[i % len(NAMES)]}_{i}") for i in range(tools)]
        text = HEAD + "\n\n".join(self.tools) + "\n\n" + EXAMPLES
        assert len(text) < chars, "these tools alone take more"
        tail = "\n\n====\n\nThis is the end of it, and it must not be lost."
        number = 0
        while len(text) + len(tail) < chars:
            if number % 40 == 0:
                text += f"\n====\n\n{CHAPTERS[number // 40 % len(CHAPTERS)]}\n\n"
            text += LINES[number % len(LINES)] + "\n"
            number += 1
        self.text = text[:chars - len(tail)] + tail
