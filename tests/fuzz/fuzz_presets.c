/* models.json: what is refused is told with a place that is in the text; what is taken can be written and read back, and nothing of it
 * could end a line of a request, or be another's name. */
#include "common/json_walk.h"
#include "common/presets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One JSON value, and nothing behind it. */
static void must_be_one_value(const char *json)
{
    struct json_walk w = {json, json + strlen(json)};
    struct json_value v;
    if (json_value(&w, &v) < 0 || w.at != w.end || w.at == json)
        abort();
    for (const char *c = json; *c; c++)
        if ((unsigned char)*c < ' ')
            abort();
}

static void check(const struct presets *p)
{
    char why[PARSE_WHY_BYTES];
    size_t used[3] = {0};
    if (p->items_n > PRESETS_MAX)
        abort();
    for (size_t i = 0; i < p->items_n; i++) {
        const struct preset *item = &p->items[i];
        if (presets_find(p, item->name, strlen(item->name)) != item || !*item->name || strlen(item->name) >= PRESET_NAME_BYTES)
            abort();
        if (item->use != PRESET_NAMED && (used[item->use]++ || presets_for(p, item->use) != item))
            abort();
        if (item->models.items_n == 0 || item->models.items_n > PRESET_MODELS_MAX || item->options_n > PRESET_OPTIONS_MAX)
            abort();
        for (size_t k = 0; k < item->models.items_n; k++)
            if (parse_model_name(item->models.items[k], why) < 0)
                abort();
        for (size_t k = 0; k < item->options_n; k++) {
            must_be_one_value(item->options[k].value);
            for (size_t l = 0; l < k; l++)
                if (strcmp(item->options[k].name, item->options[l].name) == 0)
                    abort();
            if (strcmp(item->options[k].name, "batch_size") == 0 || strpbrk(item->options[k].name, "\"\\ \n"))
                abort();
        }
        if (item->system)
            must_be_one_value(item->system);
        if (item->keep_alive)
            must_be_one_value(item->keep_alive);
    }
}

/* All of them in one file again. */
static void write_all(const struct presets *p, struct buf *out)
{
    int error = buf_text(out, "{");
    for (size_t i = 0; i < p->items_n; i++) {
        error |= buf_text(out, i ? ",\n" : "\n") | buf_json_string(out, p->items[i].name, strlen(p->items[i].name)) | buf_text(out, ": ");
        error |= presets_write(&p->items[i], out);
    }
    if (error | buf_text(out, "}"))
        abort();
}

static void read_back(const struct presets *p)
{
    struct presets again = {0};
    struct buf first, second;
    struct diag d;
    diag_init(&d);
    buf_init(&first, 0);
    buf_init(&second, 0);
    write_all(p, &first);
    if (buf_size(&first) <= PRESETS_FILE_BYTES && presets_read(&again, buf_data(&first), buf_size(&first), "again", &d) == 0) {
        write_all(&again, &second);
        if (buf_size(&first) != buf_size(&second) || memcmp(buf_data(&first), buf_data(&second), buf_size(&first)) != 0)
            abort();
    } else if (buf_size(&first) <= PRESETS_FILE_BYTES) {
        abort();
    }
    presets_fini(&again);
    buf_fini(&first);
    buf_fini(&second);
    diag_fini(&d);
}

/* `models.json:LINE: LEVEL: column N: …`, or without a place where the file is too large. */
static void check_places(const struct diag *d, const char *json, size_t json_n)
{
    long lines_n = 1;
    for (size_t i = 0; i < json_n; i++)
        lines_n += json[i] == '\n';
    const char *at = buf_data(&d->text), *end = at + buf_size(&d->text);
    while (at < end) {
        int line = 0, column = 0;
        const char *next = memchr(at, '\n', (size_t)(end - at));
        char text[200];
        if (!next)
            abort();
        snprintf(text, sizeof text, "%.*s", next - at < 199 ? (int)(next - at) : 199, at);
        if (sscanf(text, "models.json:%d: %*[a-z]: column %d: ", &line, &column) != 2 || line < 1 || line > lines_n || column < 1 ||
            (size_t)column > json_n + 1)
            abort();
        at = next + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct presets p = {0};
    struct diag d;
    diag_init(&d);
    int error = presets_read(&p, (const char *)data, size, "models.json", &d);
    if ((error == -EINVAL) != (d.errors_n > 0) || (error && error != -EINVAL))
        abort();
    check_places(&d, (const char *)data, size);
    if (!error) {
        check(&p);
        read_back(&p);
    }
    presets_fini(&p);
    diag_fini(&d);
    return 0;
}
