/*
 * What is kept of a sleeping Ollama's answers, as a stranger may have left it; the first byte says what else the input is: a list of
 * models with a path behind it, two such lists, or what /api/show is asked. A file that is taken is written as we would, and read again.
 */
#include "common/hash.h"
#include "proxy/ask_show.h"
#include "proxy/known_file.h"
#include "proxy/known_list.h"
#include "proxy/openai_models.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN = 1 };

static void check(int is_right)
{
    if (!is_right)
        abort();
}

static void check_bounds(const struct known *k)
{
    size_t bytes = 0, entries_n = 0;
    for (const struct known_entry *e = NULL; (e = known_next_used(k, e)); entries_n++) {
        check(known_key_is_good(&e->key) && e->body_n <= KNOWN_BODY_BYTES && (e->body || (e->body_n == 0 && !e->is_fresh)));
        bytes += e->body_n;
    }
    check(bytes == k->bytes && bytes <= KNOWN_ALL_BYTES && entries_n <= KNOWN_ENTRIES);
}

static void write_file(const struct known *k, struct buf *out)
{
    buf_init(out, KNOWN_FILE_BYTES);
    check(known_file_write(k, TOKEN, out) == 0);
}

static void take_file(const char *text, size_t text_n)
{
    static struct known k, again;
    struct buf first, second;
    known_init(&k);
    int error = known_file_read(&k, TOKEN, text, text_n);
    check(error == 0 || error == -EINVAL || error == -ENOMEM);
    check_bounds(&k);
    if (error) {
        check(k.bytes == 0);
    } else {
        write_file(&k, &first);
        known_init(&again);
        check(known_file_read(&again, TOKEN, buf_data(&first), buf_size(&first)) == 0);
        write_file(&again, &second);
        check(buf_size(&first) == buf_size(&second) && memcmp(buf_data(&first), buf_data(&second), buf_size(&first)) == 0);
        buf_fini(&first);
        buf_fini(&second);
        known_fini(&again);
    }
    known_fini(&k);
}

/* No input would have the right sum by chance. */
static void take_file_with_sum(const char *text, size_t text_n)
{
    struct buf whole;
    uint64_t sum = hash_bytes(HASH_START, text, text_n);
    buf_init(&whole, 0);
    check(buf_append(&whole, text, text_n) == 0 && buf_printf(&whole, "sum %016llx\n", (unsigned long long)sum) == 0);
    take_file(buf_data(&whole), buf_size(&whole));
    buf_fini(&whole);
}

/* Up to the first NUL the path, behind it the list. */
static void take_model(const char *text, size_t text_n)
{
    char name[CONTRACT_NAME_BYTES];
    const char *end = memchr(text, 0, text_n);
    struct buf out;
    if (!end)
        return;
    struct translation t = {.path = {text, (size_t)(end - text)}};
    int is_one = openai_models_name(text, t.path.n, name, sizeof name) == 0;
    check(!is_one || memchr(name, 0, sizeof name) != NULL);
    check(openai_models_time(text) >= 0);
    buf_init(&out, KNOWN_BODY_BYTES);
    int error = openai_models_write(&t, end + 1, text_n - (size_t)(end + 1 - text), &out);
    check(error == 0 || error == -ENOENT || error == -EINVAL || error == -EFBIG || error == -ENOMEM);
    check(error != 0 || buf_size(&out) > 0);
    buf_fini(&out);
}

static void take_show(const char *text, size_t text_n)
{
    struct known_key key, again;
    struct buf out;
    if (ask_show_read(&key, text, text_n) < 0)
        return;
    check(known_key_is_good(&key) && key.kind == KNOWN_SHOW);
    buf_init(&out, 1024);
    check(ask_show_write(&key, &out) == 0 && ask_show_read(&again, buf_data(&out), buf_size(&out)) == 0);
    check(strcmp(key.name, again.name) == 0 && key.is_verbose == again.is_verbose);
    buf_fini(&out);
}

/* Two lists, with a NUL between them. */
static void take_lists(const char *text, size_t text_n)
{
    const char *end = memchr(text, 0, text_n);
    if (!end)
        return;
    size_t n = (size_t)(end - text), other_n = text_n - n - 1;
    check(known_list_is_same(text, n, end + 1, other_n) == known_list_is_same(end + 1, other_n, text, n));
    check(!known_list_is_same(text, n, end + 1, other_n) || known_list_is_same(text, n, text, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'l':
        take_lists(text, size - 1);
        break;
    case 'm':
        take_model(text, size - 1);
        break;
    case 's':
        take_show(text, size - 1);
        break;
    case 'w':
        take_file(text, size - 1);
        break;
    default:
        take_file_with_sum(text, size - 1);
    }
    return 0;
}
