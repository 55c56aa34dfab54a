/* What a body says of how long its answer takes: bounded, the same each time, with cuts whose tokens never fall and are no more than the prompt's; and
 * white space around the body changes none of them. */
#include "proxy/describe.h"

#include "common/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char secret[SIPHASH_BYTES] = "secret";

static void describe(const char *json, size_t n, struct description *out)
{
    describe_body(json, n, (struct token_line){0, 0.25}, secret, out);
}

static void check(const struct description *d, size_t size)
{
    const struct prefix *p = &d->prefix;
    if (d->prompt_tokens < 1 || d->output_most < 0 || p->cuts_n > PREFIX_CUTS || (uint64_t)d->prompt_tokens > 1 + size * DESCRIBE_IMAGE_TOKENS)
        abort();
    for (size_t i = 0; i < p->cuts_n; i++)
        if (p->tokens[i] > d->prompt_tokens || (i > 0 && p->tokens[i] < p->tokens[i - 1]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct description first, again;
    struct buf body;
    char *json = malloc(size ? size : 1); /* ends where it ends */
    if (!json)
        abort();
    if (size > 0)
        memcpy(json, data, size);
    describe(json, size, &first);
    check(&first, size);
    buf_init(&body, 0);
    if (buf_text(&body, " \n") < 0 || buf_append(&body, json, size) < 0 || buf_text(&body, "\t ") < 0)
        abort();
    describe(buf_data(&body), buf_size(&body), &again);
    if (first.prompt_tokens != again.prompt_tokens || first.output_most != again.output_most || first.prefix.cuts_n != again.prefix.cuts_n ||
        memcmp(first.prefix.hashes, again.prefix.hashes, first.prefix.cuts_n * sizeof *first.prefix.hashes) != 0)
        abort();
    buf_fini(&body);
    free(json);
    return 0;
}
