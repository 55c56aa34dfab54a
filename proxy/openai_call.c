/* See openai_call.h. Arguments are copied as they stand, their escapes undone. */
#include "proxy/openai_call.h"

#include <errno.h>

struct call {
    struct json_value id, name, arguments;
};

/* A call has its function inside, or is it; 0 where it is none. */
static int read_call(const struct json_value *item, struct call *out)
{
    static const char *const names[] = {"id", "function", "name", "arguments"};
    struct json_value v[4];
    if (item->kind != JSON_OBJECT)
        return 0;
    json_read_object(item, names, 4, JSON_FOLDED, v);
    if (v[1].kind == JSON_OBJECT)
        json_read_object(&v[1], names + 2, 2, JSON_FOLDED, &v[2]);
    *out = (struct call){v[0], v[2], v[3]};
    return out->name.kind == JSON_STRING && out->name.n > 2;
}

static void remember(struct openai_calls *seen, const struct call *call)
{
    if (call->id.kind != JSON_STRING)
        return;
    size_t place = seen->seen_n++ % OPENAI_CALLS_MAX;
    seen->items[place].id = call->id;
    seen->items[place].name = call->name;
}

/* The next call of an array, or the one that `calls` is. */
static int next_call(struct json_items *items, const struct json_value *calls, struct call *out)
{
    struct json_value item;
    if (calls->kind == JSON_OBJECT)
        return items->read_n++ == 0 && read_call(calls, out);
    while (json_items_next(items, &item))
        if (read_call(&item, out))
            return 1;
    return 0;
}

enum arguments { ARGUMENTS_NONE, ARGUMENTS_OBJECT, ARGUMENTS_OTHER };

/* What the decoded arguments are: an object, nothing but spaces, or something else. */
static enum arguments kind_of(const char *at, ssize_t n)
{
    struct json_value object;
    if (n < 0)
        return ARGUMENTS_OTHER;
    struct json_walk w = {at, at + n};
    if (n > 0)
        json_space(&w);
    if (n == 0 || w.at == w.end)
        return ARGUMENTS_NONE;
    if (json_value(&w, &object) < 0 || object.kind != JSON_OBJECT || !json_has_known_escapes((struct json_text){object.at, object.n}))
        return ARGUMENTS_OTHER;
    json_space(&w);
    return w.at == w.end ? ARGUMENTS_OBJECT : ARGUMENTS_OTHER;
}

/* Whether line ends or tabs stand in a string as they are, as models write them. */
static int has_raw_controls(const char *at, size_t n)
{
    int is_inside = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] == '"')
            is_inside = !is_inside;
        else if (is_inside && at[i] == '\\')
            i++;
        else if (is_inside && (unsigned char)at[i] < 0x20)
            return 1;
    }
    return 0;
}

/* What is written from `before_n` on, once more, and with escapes where JSON wants them. */
static void escape_written(struct openai_ask *a, size_t before_n)
{
    struct buf raw;
    buf_init(&raw, 0);
    a->w.error = buf_append(&raw, buf_data(a->w.out) + before_n, buf_size(a->w.out) - before_n);
    buf_truncate(a->w.out, before_n);
    json_write_safely(&a->w, &(struct json_value){JSON_OBJECT, buf_data(&raw), buf_size(&raw)});
    buf_fini(&raw);
}

/* What stands in `arguments` is an object, written as a string. Where a model once wrote something else, an agent sends that again
 * with every request: it becomes an argument, as Ollama takes nothing but an object. */
static void write_arguments(struct openai_ask *a, const struct json_value *arguments)
{
    size_t before_n = buf_size(a->w.out);
    const char *at = NULL;
    if (arguments->kind == JSON_OBJECT || !openai_is_there(arguments)) {
        json_write_bytes(&a->w, arguments->at ? arguments->at : "{}", arguments->at ? arguments->n : 2);
        return;
    }
    ssize_t n = arguments->kind == JSON_STRING ? json_write_decoded(&a->w, json_read_text(arguments), &at) : -EINVAL;
    if (a->w.error)
        return;
    enum arguments kind = kind_of(at, n);
    if (kind == ARGUMENTS_OBJECT) {
        if (has_raw_controls(at, (size_t)n))
            escape_written(a, before_n);
        return;
    }
    buf_truncate(a->w.out, before_n);
    json_write_text(&a->w, kind == ARGUMENTS_NONE ? "{}" : "{\"arguments\":");
    if (kind == ARGUMENTS_OTHER) {
        json_write_value(&a->w, arguments);
        json_write_text(&a->w, "}");
    }
}

void openai_calls_write(struct openai_ask *a, const struct json_value *calls, struct openai_calls *seen)
{
    struct json_items items;
    struct call call;
    size_t written_n = 0;
    if (!openai_is_there(calls))
        return;
    json_items_init(&items, calls);
    json_write_text(&a->w, ",\"tool_calls\":[");
    while (next_call(&items, calls, &call)) {
        json_write_text(&a->w, written_n++ ? ",{" : "{");
        if (call.id.kind == JSON_STRING) {
            json_write_text(&a->w, "\"id\":");
            json_write_value(&a->w, &call.id);
            json_write_text(&a->w, ",");
        }
        json_write_text(&a->w, "\"function\":{\"name\":");
        json_write_value(&a->w, &call.name);
        json_write_text(&a->w, ",\"arguments\":");
        write_arguments(a, &call.arguments);
        json_write_text(&a->w, "}}");
        remember(seen, &call);
    }
    json_write_text(&a->w, "]");
    if (written_n > 0)
        a->t->needs |= TRANSLATE_TOOLS;
}

/* As JSON first, behind what is written, and then once more as text of a string. */
static void quote_arguments(struct openai_ask *a, const struct json_value *arguments)
{
    struct buf json;
    struct openai_ask inner = *a;
    buf_init(&json, a->w.out->limit_bytes);
    inner.w = json_write_begin(&json);
    write_arguments(&inner, arguments);
    if (!a->w.error)
        a->w.error = json_write_end(&inner.w);
    json_write_quoted(&a->w, buf_data(&json), buf_size(&json));
    buf_fini(&json);
}

void openai_calls_write_text(struct openai_ask *a, const struct json_value *calls, struct openai_calls *seen, int is_behind)
{
    struct json_items items;
    struct call call;
    json_items_init(&items, calls);
    while (next_call(&items, calls, &call)) {
        json_write_text(&a->w, is_behind ? "\\n<tool_call>{\\\"name\\\":" : "<tool_call>{\\\"name\\\":");
        json_write_quoted(&a->w, call.name.at, call.name.n);
        json_write_text(&a->w, ",\\\"arguments\\\":");
        quote_arguments(a, &call.arguments);
        json_write_text(&a->w, "}</tool_call>");
        remember(seen, &call);
        is_behind = 1;
        a->t->needs |= TRANSLATE_TOOLS;
    }
}

const struct json_value *openai_calls_name(const struct openai_calls *seen, const struct json_value *id)
{
    size_t n = seen->seen_n < OPENAI_CALLS_MAX ? seen->seen_n : OPENAI_CALLS_MAX;
    for (size_t i = 1; i <= n; i++) {
        size_t place = (seen->seen_n - i) % OPENAI_CALLS_MAX;
        const struct json_value *other = &seen->items[place].id, *name = &seen->items[place].name;
        if (other->n == id->n && memcmp(other->at, id->at, id->n) == 0)
            return name->n <= OPENAI_CALL_NAME_BYTES ? name : NULL;
    }
    return NULL;
}
