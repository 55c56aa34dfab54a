/*
 * See tool_found.h: blocks of XML. One pass: of each name the last opening tag that stands free is remembered until its closing tag comes. Which blocks lie in
 * others is nobody's concern here.
 */
#include "proxy/tool_found.h"

#include <string.h>

enum { UNKNOWN_MAX_BYTES = 4096 };

enum tag { TAG_OTHER, TAG_CALL, TAG_LIKELY, TAG_ELEMENT, TAG_ROOM };

static int is_name(struct json_text name, const char *wanted)
{
    return strlen(wanted) == name.n && memcmp(wanted, name.at, name.n) == 0;
}

static enum tag tag_of(struct json_text name)
{
    static const struct {
        const char *name;
        enum tag tag;
    } rows[] = {{"tools", TAG_ROOM},           {"functions", TAG_ROOM},           {"available_tools", TAG_ROOM}, {"tool_definitions", TAG_ROOM},
                {"tool", TAG_ELEMENT},         {"function", TAG_ELEMENT},         {"tool_description", TAG_ELEMENT},
                {"tool_definition", TAG_ELEMENT}, {"tool_name", TAG_ELEMENT},     {"tool_call", TAG_CALL},
                {"function_call", TAG_CALL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_name(name, rows[i].name))
            return rows[i].tag;
    return tool_name_is_likely(name) ? TAG_LIKELY : TAG_OTHER;
}

/* Nothing but white space is before it in its line, or another tag: in prose a tag is a mention. */
static int stands_free(const struct tool_founds *f, const char *at)
{
    while (at > f->text && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at == f->text || at[-1] == '\n' || at[-1] == '>';
}

/* Behind an opening tag, which may have attributes, in one line, or behind a closing one. NULL where it is none. */
static const char *tag_end(const struct tool_founds *f, const char *at, int is_close)
{
    const char *first = tool_skip_blank(at, f->end);
    int has_attributes = 0;
    for (at = first; !is_close && at < f->end && !memchr("<>\n", *at, 3); at++)
        has_attributes |= *at == '=';
    return at < f->end && *at == '>' && (at == first || has_attributes) ? at + 1 : NULL;
}

/* What agents write is nothing but elements, or a known tool's. */
static int is_like_a_tool(struct json_text name, const char *at, const char *end)
{
    const char *first = tool_skip_space(at, end), *last = tool_trim(first, end);
    if (tool_name_is_known(name))
        return first == last || *first == '<' || memchr(at, '\n', (size_t)(first - at)) || !memchr(at, '\n', (size_t)(end - at));
    return (size_t)(end - at) <= UNKNOWN_MAX_BYTES && (first == last || (*first == '<' && last[-1] == '>'));
}

/* What the name says may be a kind of definition, and not a tool: each such block may define another one. at: its opening tag, up to
 * inside. */
static int is_kind(struct json_text name, const char *at, const char *inside)
{
    int has_attributes = memchr(at, '=', (size_t)(inside - at)) != NULL;
    return !tool_name_is_known(name) && (has_attributes || memmem(name.at, name.n, "tool", 4) || memmem(name.at, name.n, "function", 8));
}

/* at: its opening tag; inside: behind that; close: its closing tag; end: behind that. */
static void add_block(struct tool_founds *f, enum tag tag, struct json_text name, const char *at, const char *close, const char *end)
{
    const char *inside = tag_end(f, at + 1 + name.n, 0);
    if (tag == TAG_ROOM) {
        tool_found_add(f, &(struct tool_found){at, end, name, TOOL_ROOM});
        tool_found_add(f, &(struct tool_found){at, inside, name, TOOL_FRAME});
        tool_found_add(f, &(struct tool_found){close, end, name, TOOL_FRAME});
    } else if (tag == TAG_CALL) {
        if ((size_t)(end - at) <= UNKNOWN_MAX_BYTES)
            tool_found_add(f, &(struct tool_found){at, end, {NULL, 0}, TOOL_FRAME});
    } else if (tag == TAG_ELEMENT) {
        tool_found_add(f, &(struct tool_found){at, end, {NULL, 0}, TOOL_DEFINITION});
    } else if (is_like_a_tool(name, inside, close)) {
        tool_found_add(f, &(struct tool_found){at, end, name, is_kind(name, at, inside) ? TOOL_EXAMPLES : TOOL_EXAMPLE});
    }
}

/* At an angle bracket. Behind what was looked at. */
static const char *look(struct tool_founds *f, struct tool_names *open, const char *at)
{
    int is_close = at + 1 < f->end && at[1] == '/';
    const char *from = at + 1 + is_close;
    struct json_text name = {from, tool_name_bytes(from, f->end)};
    enum tag tag = name.n > 0 ? tag_of(name) : TAG_OTHER;
    const char *end = tag == TAG_OTHER ? NULL : tag_end(f, from + name.n, is_close);
    struct tool_name *slot = !end ? NULL : is_close ? tool_names_find(open, name, 0) : stands_free(f, at) ? tool_names_find(open, name, 1) : NULL;
    if (slot && !is_close) {
        slot->at = at;
    } else if (slot && slot->at) {
        add_block(f, tag, name, slot->at, at, end);
        slot->at = NULL;
    }
    return from + name.n;
}

void tool_tags_find(struct tool_founds *f)
{
    struct tool_names open;
    int error = tool_names_init(&open);
    if (error) {
        f->error = error;
        return;
    }
    for (const char *at = f->text; at < f->end && (at = memchr(at, '<', (size_t)(f->end - at)));)
        at = look(f, &open, at);
    tool_names_fini(&open);
}
