/* See openai_repair.h. What was found is written as Ollama writes its own calls, so that there is one way on for both. */
#include "proxy/openai_repair.h"

#include "proxy/json_write.h"
#include "proxy/repair.h"

#include <errno.h>

static void on_text(void *context, const char *text, size_t text_n)
{
    struct openai_repaired *r = context;
    if (buf_append(&r->text, text, text_n) < 0)
        r->text.limit_bytes = 1; /* nothing more, and it is seen at the end */
}

static void on_call(void *context, struct json_text name, struct json_text arguments)
{
    struct openai_repaired *r = context;
    struct json_write w = json_write_begin(&r->calls);
    json_write_text(&w, r->calls_n++ ? ",{\"function\":{\"name\":" : "[{\"function\":{\"name\":");
    json_write_string(&w, name.at, name.n);
    json_write_text(&w, ",\"arguments\":");
    json_write_bytes(&w, arguments.at, arguments.n);
    json_write_text(&w, "}}");
    if (json_write_end(&w) < 0)
        r->calls.limit_bytes = 1;
}

void openai_repaired_fini(struct openai_repaired *r)
{
    buf_fini(&r->text);
    buf_fini(&r->calls);
}

void openai_repair_fini(struct translation *t)
{
    repair_free(&t->repair);
}

/* The text as a string, in its own place. */
static int quote(struct openai_repaired *r, struct json_value *content)
{
    struct buf quoted;
    buf_init(&quoted, 0);
    int error = buf_json_string(&quoted, buf_data(&r->text), buf_size(&r->text));
    buf_fini(&r->text);
    r->text = quoted;
    *content = (struct json_value){JSON_STRING, buf_data(&r->text), buf_size(&r->text)};
    return error;
}

static int take_text(struct translation *t, const struct repair_ops *ops, struct openai_repaired *r, const struct json_value *content)
{
    struct buf decoded;
    const char *at = "";
    if (content->kind != JSON_STRING || content->n <= 2)
        return 0;
    buf_init(&decoded, 0);
    struct json_write w = json_write_begin(&decoded);
    ssize_t n = json_write_decoded(&w, json_read_text(content), &at);
    if (n >= 0)
        repair_take(t->repair, at, (size_t)n, ops, r);
    else if (!w.error) /* an escape that is none: as it stands */
        repair_take(t->repair, content->at + 1, content->n - 2, ops, r);
    buf_fini(&decoded);
    return w.error;
}

int openai_repair(struct translation *t, struct openai_repaired *r, enum openai_repair_how how, struct json_value *content, struct json_value *calls)
{
    static const struct repair_ops ops = {on_text, on_call};
    struct json_text raw = content->kind == JSON_STRING ? json_read_text(content) : (struct json_text){"", 0};
    if (!t->repair || (how == OPENAI_REPAIR_GO_ON && repair_passes(t->repair, raw)))
        return 0;
    if (take_text(t, &ops, r, content) < 0)
        return -ENOMEM;
    if (how == OPENAI_REPAIR_END)
        repair_end(t->repair, &ops, r);
    else if (how == OPENAI_REPAIR_STOP)
        repair_stop(t->repair, &ops, r);
    if (r->text.limit_bytes || r->calls.limit_bytes || quote(r, content) < 0)
        return -ENOMEM;
    if (r->calls_n > 0) {
        t->repaired_n += r->calls_n;
        if (buf_append(&r->calls, "]", 1) < 0)
            return -ENOMEM;
        *calls = (struct json_value){JSON_ARRAY, buf_data(&r->calls), buf_size(&r->calls)};
    }
    return 0;
}
