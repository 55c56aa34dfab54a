/* Tool calls that a model writes as text. The first byte: the size of the pieces. Whatever they are, what comes of the text is the same; no
 * more is held than may be; each call is one of the tools, with an object; where there is no call, the text is what it was. */
#include "common/buf.h"
#include "proxy/repair.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"look\"}},{\"function\":{\"name\":\"f\"}}]";

struct came {
    struct buf all;  /* texts, and calls between control characters */
    size_t text_n, calls_n;
};

static void check(int is_so)
{
    if (!is_so)
        abort();
}

static void on_text(void *context, const char *text, size_t text_n)
{
    struct came *c = context;
    check(text_n > 0 && buf_append(&c->all, text, text_n) == 0);
    c->text_n += text_n;
}

static void on_call(void *context, struct json_text name, struct json_text arguments)
{
    struct came *c = context;
    struct json_walk w = {arguments.at, arguments.at + arguments.n};
    struct json_value v;
    check((name.n == 4 && memcmp(name.at, "look", 4) == 0) || (name.n == 1 && *name.at == 'f'));
    check(json_value(&w, &v) == 0 && v.kind == JSON_OBJECT && w.at == w.end);
    for (size_t i = 0; i < arguments.n; i++)
        check((unsigned char)arguments.at[i] >= 0x20);
    check(buf_printf(&c->all, "\x01%.*s\x02%.*s\x03", (int)name.n, name.at, (int)arguments.n, arguments.at) == 0);
    c->calls_n++;
}

static void repair(struct came *c, const char *text, size_t n, size_t piece_n)
{
    static const struct repair_ops ops = {on_text, on_call};
    struct json_value list = {JSON_ARRAY, tools, sizeof tools - 1};
    struct repair *r = repair_new(&list);
    check(r != NULL);
    *c = (struct came){.text_n = 0};
    buf_init(&c->all, 0);
    for (size_t at = 0; at < n; at += piece_n) {
        size_t now_n = n - at < piece_n ? n - at : piece_n;
        char *exact = malloc(now_n);
        check(exact != NULL);
        memcpy(exact, text + at, now_n);
        if (repair_passes(r, (struct json_text){exact, now_n}) && !memchr(exact, '\n', now_n))
            on_text(c, exact, now_n);
        else
            repair_take(r, exact, now_n, &ops, c);
        free(exact);
    }
    repair_end(r, &ops, c);
    repair_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct came whole, pieces;
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    repair(&whole, text, size - 1, size - 1);
    repair(&pieces, text, size - 1, 1 + data[0] % 32);
    check(whole.calls_n == pieces.calls_n && whole.text_n == pieces.text_n && buf_size(&whole.all) == buf_size(&pieces.all));
    check(memcmp(buf_data(&whole.all), buf_data(&pieces.all), buf_size(&whole.all)) == 0);
    if (whole.calls_n == 0)
        check(whole.text_n == size - 1 && memcmp(buf_data(&whole.all), text, size - 1) == 0);
    check(whole.text_n <= size - 1);
    buf_fini(&whole.all);
    buf_fini(&pieces.all);
    return 0;
}
