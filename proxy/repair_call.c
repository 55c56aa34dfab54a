/* See repair_call.h. A call is JSON of just this shape, with the name of a tool that the request has; anything else is left alone. */
#include "proxy/repair_call.h"

#include "common/parse.h"
#include "proxy/json_write.h"

#include <string.h>

enum { DEPTH_MAX = 3 }; /* {"tool_calls":[{"function":{…}}]} */

/* Members of a call; another one makes it none. */
enum { NAME, TOOL_NAME, ARGUMENTS, PARAMETERS, FUNCTION, TYPE, ID, TOOL_CALLS, MEMBERS_N };
static const char *const members[] = {"name", "tool_name", "arguments", "parameters", "function", "type", "id", "tool_calls"};

static const struct tag {
    const char *opener, *name_end, *closer; /* name_end: the tool's name is in the tag, its arguments behind it; NULL: not */
} tags[] = {
    {"<tool_call>", NULL, "</tool_call>"},
    {"<function_call>", NULL, "</function_call>"},
    {"<tools>", NULL, "</tools>"},
    {"<function=", ">", "</function>"},
    {"[TOOL_CALLS]", "[ARGS]", ""},
};
enum { TAGS_N = sizeof tags / sizeof *tags };

enum repair_verdict repair_word(const struct repair_look *l, const char *at, const char *word)
{
    size_t n = strlen(word), there_n = (size_t)(l->end - at);
    if (memcmp(at, word, n < there_n ? n : there_n) != 0)
        return REPAIR_NO;
    return n <= there_n ? REPAIR_YES : l->is_end ? REPAIR_NO : REPAIR_MAYBE;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
    return at;
}

/* The object or array at `at`: its length; 0 where it is not whole, -1 where it can be none. Brackets are only counted. */
static ssize_t json_length(const char *at, const char *end)
{
    size_t depth = 0;
    int is_inside = 0;
    for (const char *c = at; c < end; c++) {
        if (is_inside && *c == '\\') {
            if (++c < end && (!strchr("\"\\/bfnrtu", *c) || !*c))
                return -1;
            for (const char *digit = c + 1; c < end && *c == 'u' && digit < end && digit < c + 5; digit++)
                if (parse_hex_digit(*digit) < 0)
                    return -1;
        } else if (*c == '"') {
            is_inside = !is_inside;
        } else if (!is_inside && (*c == '{' || *c == '[')) {
            depth++;
        } else if (!is_inside && (*c == '}' || *c == ']') && --depth == 0) {
            return c + 1 - at;
        }
    }
    return 0;
}

/* Whether the first member's name, as far as it is there, is one that a call has: what is none must not wait for its end. *is_sure: it is
 * there as a whole. */
static int may_be_call(const char *at, const char *end, int *is_sure)
{
    while (at < end && strchr("[{ \t\r\n", *at) && *at)
        at++;
    *is_sure = 0;
    if (at == end)
        return 1;
    const char *close = *at == '"' ? memchr(at + 1, '"', (size_t)(end - at - 1)) : at;
    size_t n = (size_t)((close ? close : end) - at) - (*at == '"');
    *is_sure = close != NULL;
    for (int i = 0; *at == '"' && i < MEMBERS_N; i++)
        if (strncmp(members[i], at + 1, n) == 0 && (!close || strlen(members[i]) == n))
            return 1;
    return 0;
}

/* The tool of this name, or NULL. */
static const char *find_tool(const struct repair_look *l, const char *name, size_t name_n)
{
    for (const char *tool = l->names; *tool; tool += strlen(tool) + 1)
        if (strlen(tool) == name_n && memcmp(tool, name, name_n) == 0)
            return tool;
    return NULL;
}

/* Models write line ends and tabs into strings as they are, which JSON does not have: those are escaped. Nothing else is mended. */
static void tell(struct repair_look *l, const char *tool, const struct json_value *arguments)
{
    struct json_text name = {tool, strlen(tool)};
    struct buf safe;
    buf_init(&safe, 0);
    struct json_write w = json_write_begin(&safe);
    json_write_safely(&w, arguments);
    if (json_write_end(&w) == 0)
        l->ops->call(l->context, name, (struct json_text){buf_data(&safe), buf_size(&safe)});
    buf_fini(&safe);
}

/* Arguments are an object, or one that stands in a string. 1 where they are. */
static int take_call(struct repair_look *l, const char *tool, const struct json_value *arguments)
{
    struct json_value inside = *arguments;
    struct buf text;
    buf_init(&text, 0);
    if (arguments->kind == JSON_STRING && arguments->n > 2) {
        struct json_write w = json_write_begin(&text);
        const char *at = "";
        ssize_t n = json_write_decoded(&w, json_read_text(arguments), &at);
        struct json_walk walk = {at, at + (n > 0 ? n : 0)};
        inside.kind = JSON_STRING;
        if (n > 0 && json_length(at, at + n) == n && json_value(&walk, &inside) < 0)
            inside.kind = JSON_STRING;
    }
    int is_call = tool && inside.kind == JSON_OBJECT;
    if (is_call && l->ops)
        tell(l, tool, &inside);
    buf_fini(&text);
    return is_call;
}

static const char *tool_of(const struct repair_look *l, const struct json_value *name)
{
    char text[REPAIR_NAME_BYTES];
    ssize_t n = name->kind == JSON_STRING ? json_decode(json_read_text(name), text, sizeof text) : 0;
    return n > 0 ? find_tool(l, text, (size_t)n) : NULL;
}

/* Whether it is a schema of arguments: models tell their tools just as they were told of them. */
static int is_schema(const struct json_value *parameters)
{
    static const char *const names[] = {"type", "properties"};
    struct json_value v[2];
    json_read_object(parameters, names, 2, JSON_EXACT, v);
    return json_read_is(&v[0], "object") && v[1].kind == JSON_OBJECT;
}

/* How many calls a value is, in all of which nothing is wrong; else 0. */
static size_t count_calls(struct repair_look *l, const struct json_value *value, int depth) /* NOLINT(misc-no-recursion): DEPTH_MAX */
{
    struct json_walk w = {value->at, value->at + value->n};
    struct json_value v[MEMBERS_N], item;
    struct json_items items;
    size_t n = 0;
    if (depth > DEPTH_MAX)
        return 0;
    if (value->kind == JSON_ARRAY) {
        for (json_items_init(&items, value); json_items_next(&items, &item);) {
            size_t more_n = count_calls(l, &item, depth + 1);
            if (more_n == 0)
                return 0;
            n += more_n;
        }
        return n;
    }
    for (int i = 0; i < MEMBERS_N; i++)
        v[i] = (struct json_value){JSON_NULL, NULL, 0};
    struct json_member m = {.is_last = value->kind != JSON_OBJECT || !json_take(&w, '{')};
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        int i = 0;
        while (i < MEMBERS_N && json_match(m.name, members[i]) != JSON_EXACT)
            i++;
        if (i == MEMBERS_N)
            return 0;
        v[i] = m.value;
    }
    if (v[TOOL_CALLS].kind == JSON_ARRAY || v[FUNCTION].kind == JSON_OBJECT)
        return count_calls(l, v[TOOL_CALLS].kind == JSON_ARRAY ? &v[TOOL_CALLS] : &v[FUNCTION], depth + 1);
    const struct json_value *name = v[NAME].kind != JSON_NULL ? &v[NAME] : v[TOOL_NAME].kind != JSON_NULL ? &v[TOOL_NAME] : &v[FUNCTION];
    if (v[ARGUMENTS].kind == JSON_NULL && is_schema(&v[PARAMETERS]))
        return 0;
    return (size_t)take_call(l, tool_of(l, name), v[ARGUMENTS].kind != JSON_NULL ? &v[ARGUMENTS] : &v[PARAMETERS]);
}

/* The JSON at *at, which is stepped over. tool: whose arguments it is; NULL: it is calls. */
static enum repair_verdict take_json(struct repair_look *l, const char **at, const char *tool)
{
    int is_sure = 1;
    if (!tool && !may_be_call(*at, l->end, &is_sure)) /* before it is looked through for its end */
        return REPAIR_NO;
    ssize_t n = json_length(*at, l->end);
    struct json_walk w = {*at, *at + (n > 0 ? n : 0)};
    struct json_value value;
    if (n == 0 && l->is_end)
        return REPAIR_NO;
    l->is_json_cut = n == 0 && is_sure;
    if (n <= 0)
        return n == 0 ? REPAIR_MAYBE : REPAIR_NO;
    if (json_value(&w, &value) < 0 || !(tool ? take_call(l, tool, &value) : count_calls(l, &value, 0) > 0))
        return REPAIR_NO;
    *at += n;
    return REPAIR_YES;
}

static enum repair_verdict find(struct repair_look *l, const char *end)
{
    l->found_n = (size_t)(end - l->at);
    return REPAIR_YES;
}

/* What opens a call stands where the one before should have been closed. */
static enum repair_verdict find_opener(const struct repair_look *l, const char *at)
{
    enum repair_verdict best = REPAIR_NO;
    for (int i = 0; i < TAGS_N; i++) {
        enum repair_verdict v = repair_word(l, at, tags[i].opener);
        best = v > best ? v : best;
    }
    return best;
}

/* JSON from `at` on, one behind the other, up to closer ("": one is enough; NULL: up to the end). A closer may be missing at the end, and
 * before another tag. */
static enum repair_verdict match_body(struct repair_look *l, const char *at, const char *tool, const char *closer)
{
    const char *behind = NULL; /* … the last one */
    for (;;) {
        at = skip_space(at, l->end);
        if (behind && !tool && at < l->end && *at == ';')
            at = skip_space(at + 1, l->end);
        if (at == l->end)
            return !l->is_end ? REPAIR_MAYBE : behind ? find(l, at) : REPAIR_NO;
        enum repair_verdict closed = behind && closer ? repair_word(l, at, closer) : REPAIR_NO;
        if (closed != REPAIR_NO)
            return closed == REPAIR_YES ? find(l, at + strlen(closer)) : REPAIR_MAYBE;
        enum repair_verdict opened = behind && closer && *closer == '<' ? find_opener(l, at) : REPAIR_NO;
        if (opened != REPAIR_NO)
            return opened == REPAIR_YES ? find(l, behind) : REPAIR_MAYBE;
        if ((behind && tool) || (*at != '{' && (*at != '[' || tool)))
            return REPAIR_NO;
        enum repair_verdict taken = take_json(l, &at, tool);
        if (taken != REPAIR_YES)
            return taken;
        behind = at;
        if (closer && !*closer)
            return find(l, at);
    }
}

/* A name, its end, and an object. */
static enum repair_verdict match_named(struct repair_look *l, const char *at, const struct tag *tag)
{
    size_t there_n = (size_t)(l->end - at);
    const char *end = memmem(at, there_n < 2 * REPAIR_NAME_BYTES ? there_n : 2 * REPAIR_NAME_BYTES, tag->name_end, strlen(tag->name_end));
    if (!end) /* a part of its end may be there */
        return !l->is_end && there_n < REPAIR_NAME_BYTES ? REPAIR_MAYBE : REPAIR_NO;
    const char *tool = find_tool(l, at, (size_t)(end - at));
    return tool ? match_body(l, end + strlen(tag->name_end), tool, tag->closer) : REPAIR_NO;
}

static enum repair_verdict match_tag(struct repair_look *l, const struct tag *tag)
{
    enum repair_verdict v = repair_word(l, l->at, tag->opener);
    if (v != REPAIR_YES)
        return v;
    const char *at = l->at + strlen(tag->opener), *first = skip_space(at, l->end);
    if (!tag->name_end)
        return match_body(l, at, NULL, tag->closer);
    if (first == l->end)
        return l->is_end ? REPAIR_NO : REPAIR_MAYBE;
    return *first == '[' || *first == '{' ? match_body(l, at, NULL, tag->closer) : match_named(l, at, tag);
}

enum repair_verdict repair_tags(struct repair_look *l)
{
    enum repair_verdict best = REPAIR_NO;
    for (int i = 0; i < TAGS_N && best != REPAIR_YES; i++) {
        enum repair_verdict v = match_tag(l, &tags[i]);
        best = v > best ? v : best;
    }
    return best;
}

/* The line of a fence: of JSON, or of a call, or of nothing. */
static enum repair_verdict match_fence(struct repair_look *l, const char *at)
{
    static const char *const openers[] = {"```json\n", "```tool_call\n", "```\n", "```json\r\n"};
    enum repair_verdict best = REPAIR_NO;
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        enum repair_verdict v = repair_word(l, at, openers[i]);
        if (v == REPAIR_YES)
            return match_body(l, at + strlen(openers[i]), NULL, "```");
        best = v > best ? v : best;
    }
    return best;
}

enum repair_verdict repair_fences(struct repair_look *l)
{
    const char *at = l->at;
    for (;;) {
        enum repair_verdict v = match_fence(l, at);
        if (v != REPAIR_YES)
            return v;
        at = skip_space(l->at + l->found_n, l->end);
        if (at == l->end)
            return l->is_end ? find(l, at) : REPAIR_MAYBE;
    }
}

enum repair_verdict repair_bare(struct repair_look *l)
{
    return match_body(l, l->at, NULL, NULL);
}
