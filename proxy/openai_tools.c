/* See openai_tools.h. Definitions are copied as they stand: schemas have integers of any length, and an order. */
#include "proxy/openai_tools.h"

/* One that can be called. */
struct tool {
    struct json_value whole, function, name;
    int is_as_sent; /* whole is as Ollama wants it; else function is wrapped once more */
};

/* Of tools an entry is {"type":"function","function":{…}}, or flat as in other APIs of OpenAI's; of functions it is the function. Those
 * that OpenAI itself would run, such as web_search, are none. */
static int read_tool(const struct json_value *item, struct tool *out)
{
    static const char *const names[] = {"type", "function", "name"};
    struct json_value v[3];
    if (item->kind != JSON_OBJECT)
        return 0;
    json_read_object(item, names, 3, JSON_FOLDED, v);
    int is_function = json_read_is(&v[0], "function");
    *out = (struct tool){.whole = *item, .function = v[1], .name = v[2], .is_as_sent = is_function};
    if (v[1].kind == JSON_OBJECT) {
        json_read_object(&v[1], names + 2, 1, JSON_FOLDED, &out->name);
    } else {
        out->is_as_sent = 0;
        out->function = *item;
        if (openai_is_there(&v[0]) && !is_function)
            return 0;
    }
    return out->name.kind == JSON_STRING && out->name.n > 2;
}

static int is_same(const struct json_value *a, const struct json_value *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n) == 0;
}

/* The next one that may be called. */
static int next_tool(const struct openai_tools *tools, struct json_items *items, struct tool *out)
{
    struct json_value item;
    while (json_items_next(items, &item))
        if (read_tool(&item, out) && (!openai_is_there(&tools->only) || is_same(&out->name, &tools->only)))
            return 1;
    return 0;
}

static void count(struct openai_tools *tools)
{
    struct json_items items;
    struct tool tool;
    json_items_init(&items, &tools->list);
    tools->usable_n = 0;
    tools->is_as_sent = 1;
    while (next_tool(tools, &items, &tool)) {
        tools->usable_n++;
        tools->is_as_sent &= tool.is_as_sent;
    }
    tools->is_as_sent &= tools->usable_n == items.read_n;
}

/* The name in {"type":"function","function":{"name":…}}, in {"name":…}, or in either without more around it. */
static void read_named(struct openai_ask *a, struct openai_tools *tools, const struct json_value *choice, const char *name)
{
    static const char *const names[] = {"type", "function", "name"};
    struct json_value v[3];
    json_read_object(choice, names, 3, JSON_FOLDED, v);
    if (json_read_is(&v[0], "allowed_tools")) /* a hint which of them; all are there still */
        return;
    if (v[1].kind == JSON_OBJECT)
        json_read_object(&v[1], names + 2, 1, JSON_FOLDED, &v[2]);
    if (v[2].kind != JSON_STRING) {
        mistakes_add(&a->mistakes, "%s: must name a function: {\"type\":\"function\",\"function\":{\"name\":…}}", name);
        return;
    }
    tools->only = v[2];
    tools->is_required = 1;
    count(tools);
    if (tools->usable_n == 0)
        mistakes_add(&a->mistakes, "%s: no function of this name is among the tools", name);
}

static void read_choice(struct openai_ask *a, struct openai_tools *tools, const struct json_value *choice, const char *name)
{
    if (!openai_is_there(choice) || json_read_is(choice, "auto") || json_read_is(choice, ""))
        return;
    if (json_read_is(choice, "none")) {
        tools->list.kind = JSON_NULL;
        tools->usable_n = 0;
    } else if (choice->kind == JSON_OBJECT) {
        read_named(a, tools, choice, name);
    } else if (!json_read_is(choice, "required") && !json_read_is(choice, "any")) {
        mistakes_add(&a->mistakes, "%s: must be none, auto, required or an object that names a function", name);
    } else if (tools->usable_n == 0) {
        mistakes_add(&a->mistakes, "%s: there are no tools that could be called", name);
    } else {
        tools->is_required = 1;
    }
}

void openai_tools_read(struct openai_ask *a, struct openai_tools *tools, const struct openai_tools_sent *sent)
{
    int has_tools = openai_is_there(sent->tools), has_choice = openai_is_there(sent->tool_choice);
    const struct json_value *list = has_tools ? sent->tools : sent->functions;
    *tools = (struct openai_tools){.list = {.kind = JSON_NULL}, .only = {.kind = JSON_NULL}};
    if (openai_is_a(a, list, OPENAI_KIND(JSON_ARRAY), has_tools ? "tools" : "functions", "an array")) {
        tools->list = *list;
        count(tools);
        a->t->is_function_wanted = !has_tools;
    }
    if (has_choice || openai_is_there(sent->function_call))
        read_choice(a, tools, has_choice ? sent->tool_choice : sent->function_call, has_choice ? "tool_choice" : "function_call");
    if (tools->usable_n > 0)
        a->t->needs |= TRANSLATE_TOOLS;
}

void openai_tools_write(struct openai_ask *a, const struct openai_tools *tools)
{
    struct json_items items;
    struct tool tool;
    if (tools->usable_n == 0 || (a->t->lacks & TRANSLATE_TOOLS))
        return;
    if (tools->is_as_sent) {
        json_write_member(&a->w, "tools", &tools->list);
        return;
    }
    json_items_init(&items, &tools->list);
    for (const char *before = ",\"tools\":["; next_tool(tools, &items, &tool); before = ",") {
        json_write_text(&a->w, before);
        json_write_text(&a->w, tool.is_as_sent ? "" : "{\"type\":\"function\",\"function\":");
        json_write_value(&a->w, tool.is_as_sent ? &tool.whole : &tool.function);
        json_write_text(&a->w, tool.is_as_sent ? "" : "}");
    }
    json_write_text(&a->w, "]");
}

int openai_tools_has_words(const struct openai_ask *a, const struct openai_tools *tools)
{
    return tools->usable_n > 0 && (tools->is_required || (a->t->lacks & TRANSLATE_TOOLS));
}

/* The form in which openai_call.h writes calls of the past, too. */
static void explain(struct openai_ask *a, const struct openai_tools *tools)
{
    struct json_items items;
    struct tool tool;
    json_write_text(&a->w, OPENAI_TOOLS_BEGIN ", and nothing behind it:\\n"
                    "<tool_call>{\\\"name\\\":\\\"NAME\\\",\\\"arguments\\\":{…}}</tool_call>\\n"
                    "Several calls are several such blocks. What a tool says comes in the next message, as [tool result: NAME]. "
                    "Where no tool is needed, answer without a block. " OPENAI_TOOLS_END "\\n");
    json_items_init(&items, &tools->list);
    while (next_tool(tools, &items, &tool)) {
        json_write_quoted(&a->w, tool.function.at, tool.function.n);
        json_write_text(&a->w, "\\n");
    }
}

void openai_tools_words(struct openai_ask *a, const struct openai_tools *tools)
{
    json_write_text(&a->w, "{\"role\":\"system\",\"content\":\"");
    if (a->t->lacks & TRANSLATE_TOOLS)
        explain(a, tools);
    if (openai_is_there(&tools->only)) {
        json_write_text(&a->w, "Answer with a call of the tool ");
        json_write_bytes(&a->w, tools->only.at + 1, tools->only.n - 2);
        json_write_text(&a->w, ".");
    } else if (tools->is_required) {
        json_write_text(&a->w, "Answer with a call of one of the tools.");
    }
    json_write_text(&a->w, "\"}");
}
