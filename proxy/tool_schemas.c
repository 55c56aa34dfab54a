/*
 * See tool_found.h: objects of JSON. One that is no definition may have some in it, and is looked into; what is read more than once, or in vain, is bounded, so
 * that the time is linear whatever stands there.
 */
#include "proxy/tool_found.h"

#include "common/json_read.h"
#include "proxy/openai_tools.h"

#include <string.h>

enum { SPARE_BYTES = 64 * 1024, SPARE_TIMES = 16 };

struct schemas {
    struct tool_founds *f;
    size_t tags_n, tag;     /* what was found before */
    const char *room_over;  /* up to here any object is a definition */
    const char *line;       /* of the proxy's own list the next line */
    size_t spare_bytes;     /* so much may be read in vain */
};

enum { NAME, PARAMETERS, INPUT_SCHEMA, INPUTSCHEMA, DESCRIPTION, FUNCTION, TYPE, ARGUMENTS, MEMBER_N };
static const char *const names[] = {"name", "parameters", "input_schema", "inputschema", "description", "function", "type", "arguments"};

/* A schema, and not the arguments of a call. */
static int is_schema(const struct json_value *value)
{
    static const char *const schema_names[] = {"type", "properties", "$ref"};
    struct json_value v[3];
    json_read_object(value, schema_names, 3, JSON_EXACT, v);
    return value->kind == JSON_OBJECT && (v[0].kind != JSON_NULL || v[1].kind != JSON_NULL || v[2].kind != JSON_NULL || value->n == 2);
}

/* any: whatever has a name. */
static int is_definition(const struct json_value *object, int any, struct json_text *name)
{
    struct json_value v[MEMBER_N];
    json_read_object(object, names, MEMBER_N, JSON_FOLDED, v);
    int is_function = json_read_is(&v[TYPE], "function");
    if (v[FUNCTION].kind == JSON_OBJECT) {
        struct json_value function = v[FUNCTION];
        json_read_object(&function, names, MEMBER_N, JSON_FOLDED, v);
    }
    if (v[NAME].kind != JSON_STRING || v[NAME].n == 2 || v[ARGUMENTS].kind != JSON_NULL)
        return 0;
    *name = json_read_text(&v[NAME]);
    return any || is_function || is_schema(&v[PARAMETERS]) || is_schema(&v[INPUT_SCHEMA]) || is_schema(&v[INPUTSCHEMA]);
}

/* Whether `at` is in a block that has nothing but tools. */
static int is_in_room(struct schemas *s, const char *at)
{
    for (; s->tag < s->tags_n && s->f->items[s->tag].at < at; s->tag++) {
        const struct tool_found *t = &s->f->items[s->tag];
        if (t->form == TOOL_ROOM && *t->at == '<' && t->end > s->room_over)
            s->room_over = t->end;
    }
    return at < s->room_over;
}

/* So much was read, and nothing came of it. */
static void spend(struct schemas *s, size_t n)
{
    s->spare_bytes -= n < s->spare_bytes ? n : s->spare_bytes;
}

/* Where the line behind this place begins; NULL where something else is there. */
static const char *next_line(const struct schemas *s, const char *at)
{
    return at < s->f->end && *at == '\n' ? at + 1 : NULL;
}

/* At an opening brace. Behind what was looked at. */
static const char *look(struct schemas *s, const char *at)
{
    const char *first = tool_skip_space(at + 1, s->f->end);
    struct json_walk w = {at, s->f->end};
    struct json_value object;
    struct json_text name;
    if (first == s->f->end || *first != '"')
        return first;
    if (json_value(&w, &object) < 0) {
        int is_string = w.at < w.end && *w.at == '"'; /* without an end */
        spend(s, (size_t)((is_string ? w.end : w.at) - at));
        return first;
    }
    if (!is_definition(&object, is_in_room(s, at) || at == s->line, &name)) {
        spend(s, object.n);
        return first;
    }
    tool_found_add(s->f, &(struct tool_found){at, w.at, name, TOOL_DEFINITION});
    if (at == s->line)
        s->line = next_line(s, w.at);
    return w.at;
}

void tool_schemas_find(struct tool_founds *f)
{
    struct schemas s = {.f = f, .tags_n = f->items_n, .room_over = f->text, .spare_bytes = SPARE_BYTES + SPARE_TIMES * (size_t)(f->end - f->text)};
    size_t n = (size_t)(f->end - f->text);
    const char *own = memmem(f->text, n, OPENAI_TOOLS_BEGIN, sizeof OPENAI_TOOLS_BEGIN - 1);
    const char *end = own ? memmem(own, (size_t)(f->end - own), OPENAI_TOOLS_END, sizeof OPENAI_TOOLS_END - 1) : NULL;
    if (end) {
        end += sizeof OPENAI_TOOLS_END - 1;
        tool_found_add(f, &(struct tool_found){own, end, {NULL, 0}, TOOL_FRAME});
        s.line = next_line(&s, end);
    }
    for (const char *at = f->text; at < f->end && s.spare_bytes > 0 && (at = memchr(at, '{', (size_t)(f->end - at)));)
        at = look(&s, at);
}
