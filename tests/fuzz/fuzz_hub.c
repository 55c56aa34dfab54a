/*
 * What a hub says, and what its cache holds. The first byte says which: the description of a model, or a page of its files; lines of a head; a request for a
 * job; the head of a GGUF file; config.json or a tokenizer's. No path that was taken leads out of its folder, none is there twice, and what was picked is
 * among the files; a request that was taken has names that are fit for paths.
 */
#include "preload/hub/facts.h"
#include "preload/hub/job.h"
#include "preload/hub/names.h"
#include "preload/hub/pick.h"
#include "preload/hub/tree.h"

#include <stdlib.h>
#include <string.h>

static void check_paths(const struct tree *tree)
{
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < tree->files_n; i++) {
        const struct tree_file *file = &tree->files[i];
        if (names_check_path(file->path, why) < 0 || !names_is_hex(file->etag, file->is_lfs ? 64 : 40))
            abort();
        if (i > 0 && strcmp(tree->files[i - 1].path, file->path) == 0)
            abort();
    }
}

static void check_picked(struct tree *tree, enum pick_quantize quantize)
{
    static const struct list none;
    struct settings settings = {.allow = &none, .ignore = &none, .q4_threshold_bytes = 1000, .formats = {CONF_FORMAT_SAFETENSORS, CONF_FORMAT_GGUF}, .formats_n = 2};
    struct picked picked;
    uint64_t weights_n = 0;
    pick(tree, &settings, quantize, &picked);
    int has_file = picked.file == NULL;
    for (size_t i = 0; i < tree->files_n; i++) {
        const struct tree_file *file = &tree->files[i];
        has_file |= file->path == picked.file && file->is_wanted;
        weights_n += file->is_wanted && pick_is_weights(file->path) ? file->bytes_n : 0;
    }
    if (!has_file || weights_n != picked.weights_bytes || (picked.format == PICK_GGUF) != (picked.file != NULL))
        abort();
}

static void fuzz_tree(const char *text, enum pick_quantize quantize)
{
    struct tree tree;
    struct trouble trouble = {.code = TROUBLE_NONE};
    tree_init(&tree);
    if (tree_take_info(&tree, text, &trouble) == 0 && !names_is_revision(tree.revision))
        abort();
    trouble.code = TROUBLE_NONE;
    if (tree_take_page(&tree, text, &trouble) == 0 && tree_end(&tree, &trouble) == 0) {
        check_paths(&tree);
        check_picked(&tree, quantize);
    } else if (trouble.code == TROUBLE_NONE || !*trouble.text) {
        abort();
    }
    tree_fini(&tree);
}

static void fuzz_head(const char *text, size_t text_n)
{
    static struct fetch_head head;
    static char url[FETCH_URL_BYTES];
    memset(&head, 0, sizeof head);
    for (const char *at = text, *end = text + text_n; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);
        fetch_head_line(&head, at, n);
        at += n;
    }
    fetch_head_end(&head, 0);
    if (head.retry_after_s > FETCH_RETRY_AFTER_MAX_S || (fetch_resolve(url, "https://hub.co/a", head.next) == 0 && !*url))
        abort();
    if (strlen(head.next) >= sizeof head.next || strlen(head.error_message) >= sizeof head.error_message || strchr(head.linked_etag, '"'))
        abort();
    (void)fetch_is_same_origin(text, "https://hub.co");
}

static void fuzz_job(const char *text)
{
    char why[PARSE_WHY_BYTES];
    struct job job;
    struct trouble trouble = {.code = TROUBLE_NONE};
    if (job_read(&job, text, &trouble) < 0) {
        if (trouble.code != TROUBLE_BAD_NAME || !*trouble.text)
            abort();
    } else if (job.kind != JOB_LIST && job.kind != JOB_GPUS && (parse_hub_name(job.model, why) < 0 || parse_hub_revision(job.ref, why) < 0)) {
        abort();
    }
}

struct bytes {
    const uint8_t *at;
    size_t n;
};

static ssize_t read_bytes(void *context, void *out, size_t n, uint64_t at)
{
    const struct bytes *bytes = context;
    size_t left_n = at < bytes->n ? bytes->n - (size_t)at : 0;
    n = n < left_n ? n : left_n;
    if (n > 0)
        memcpy(out, bytes->at + at, n);
    return (ssize_t)n;
}

static void fuzz_gguf(const uint8_t *data, size_t size)
{
    struct bytes bytes = {.at = data, .n = size};
    struct gguf gguf;
    (void)!gguf_read(&gguf, read_bytes, &bytes);
    if (gguf.context_n == 0 || gguf.context_n < -1 || strlen(gguf.architecture) >= sizeof gguf.architecture || strlen(gguf.name) >= sizeof gguf.name)
        abort();
}

static void fuzz_facts(const char *text)
{
    struct facts facts = {.context_n = -1};
    facts_take_config(&facts, text);
    facts_take_tokenizer(&facts, text);
    if (facts.context_n == 0 || facts.context_n < -1 || strlen(facts.architecture) >= sizeof facts.architecture)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 5) {
    case 0:
        fuzz_tree(text, (enum pick_quantize)(data[0] / 5 % (PICK_NO + 1)));
        break;
    case 1:
        fuzz_head(text, size - 1);
        break;
    case 2:
        fuzz_job(text);
        break;
    case 3:
        fuzz_gguf(data + 1, size - 1);
        break;
    default:
        fuzz_facts(text);
    }
    free(text);
    return 0;
}
