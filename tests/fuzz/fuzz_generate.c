/* Requests of POST /generate as Ollama's. The first byte: bits 0 and 1 which presets there are, bit 2 a small limit of images. What comes
 * out is an object that names a model, has no preset, and stays as it is a second time; a refusal says why and moves nothing. The second
 * half of an odd input is Accept. */
#include "proxy/accept.h"
#include "proxy/ask.h"
#include "proxy/generate.h"
#include "proxy/json_scan.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
    ("{\"cheap_text\":{\"model\":\"m\",\"options\":{\"num_ctx\":1024,\"batch_size\":256,\"stop\":[\"a\"]}},"
     "\"vision\":{\"model\":[\"l\",\"v\"],\"options\":{\"num_ctx\":2048},\"system\":\"s\\\"\",\"keep_alive\":\"5m\"},\"other\":{\"model\":\"q\"}}"),
    "{\"cheap_text\":{\"model\":\"m\"}}",
    "{\"vision\":{\"model\":\"m\",\"options\":{\"top_k\":1}}}",
    "{}",
};
static struct presets presets[4];

static void read_presets(void)
{
    struct diag d;
    if (presets[0].items_n > 0)
        return;
    diag_init(&d);
    for (size_t i = 0; i < 4; i++)
        if (presets_read(&presets[i], texts[i], strlen(texts[i]), "", &d) < 0)
            abort();
    diag_fini(&d);
}

static void fill(struct buf *body, const char *json, size_t n)
{
    buf_init(body, n ? n : 1);
    if (buf_append(body, json, n) < 0)
        abort();
}

/* A second time it is left as it is. */
static void check_again(const struct generate_rules *rules, const struct buf *first)
{
    struct generate g;
    struct buf body;
    fill(&body, buf_data(first), buf_size(first));
    if (generate_read(&g, rules, &body) != 0 || g.preset || g.load_options || buf_size(&body) != buf_size(first) ||
        memcmp(buf_data(&body), buf_data(first), buf_size(first)) != 0)
        abort();
    buf_fini(&body);
}

static void check_taken(const struct generate *g, const struct generate_rules *rules, const struct buf *body)
{
    char text[16];
    struct ask ask;
    int is_read = ask_read(&ask, buf_data(body), buf_size(body)) == 0; /* not the client's model where an escape in it is none: Ollama says so */
    if (*g->why || (g->preset && (!is_read || strcmp(ask.model, g->preset->models.items[0]) != 0)))
        abort();
    if (json_scan_string(buf_data(body), buf_size(body), "preset", text, sizeof text) != -ENOENT)
        abort();
    if (is_read && (g->load_options & ~ask.options.set))
        abort();
    check_again(rules, body);
}

static void check_accept(const uint8_t *bytes, size_t n)
{
    struct message m;
    message_init(&m, 0);
    if (buf_text(&m.text, "Accept") < 0 || buf_append(&m.text, bytes, n) < 0 || message_add(&m, (struct span){0, 6}, (struct span){6, (uint32_t)n}) < 0)
        abort();
    if (accept_wants_events(&m) && !memmem(bytes, n, "/", 1))
        abort();
    message_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct generate g;
    struct buf body;
    if (size < 1)
        return 0;
    read_presets();
    struct generate_rules rules = {&presets[data[0] & 3], data[0] & 4 ? 40 : 1000};
    fill(&body, (const char *)data + 1, size - 1);
    int status = generate_read(&g, &rules, &body);
    if (status == 0)
        check_taken(&g, &rules, &body);
    else if ((status != 400 && status != 413 && status != 415) || !*g.why || !memchr(g.why, '\0', sizeof g.why) || g.preset ||
             buf_size(&body) != size - 1)
        abort();
    buf_fini(&body);
    check_accept(data + size / 2, size - size / 2);
    return 0;
}
