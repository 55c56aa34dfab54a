/*
 * What a request brings as a key, and what a key of some models may use and see. The first byte says which: fields, one a line, `a` or `x`
 * before the value for Authorization or x-api-key; else JSON. A key is known only where it stands there as it is; a list that was narrowed
 * is as narrow as it gets, and only smaller.
 */
#include "proxy/key_models.h"
#include "proxy/keys.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static char secret[] = "sesame-0123456789", none[] = "", key_name[] = "k";
static struct conf_key the_key = {.name = key_name, .secret = secret, .secret_hash = none};

static void check(int is_right)
{
    if (!is_right)
        abort();
}

static void check_bearer(const char *text, size_t n)
{
    const char *key;
    size_t key_n;
    if (keys_bearer(text, n, &key, &key_n) < 0)
        return;
    check(key > text + 6 && key_n > 0 && key + key_n <= text + n);
    check(!memchr(key, ' ', key_n) && !memchr(key, '\t', key_n));
}

static void check_fields(const struct keys *keys, const char *text, size_t size)
{
    static const char *const names[] = {"authorization", "x-api-key"};
    struct message m;
    size_t values_n[2] = {0, 0}, at = 99;
    message_init(&m, 0);
    check(buf_text(&m.text, names[0]) == 0 && buf_text(&m.text, names[1]) == 0);
    for (const char *line = text, *end = text + size; line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((line_end ? line_end : end) - line), which = n > 0 && line[0] == 'x';
        struct span name = {which ? (uint32_t)strlen(names[0]) : 0, (uint32_t)strlen(names[which])};
        struct span value = {(uint32_t)buf_size(&m.text), n > 0 ? (uint32_t)n - 1 : 0};
        check(n == 0 || buf_append(&m.text, line + 1, n - 1) == 0);
        check(message_add(&m, name, value) == 0);
        if (n > 0)
            check_bearer(line + 1, n - 1);
        values_n[which]++;
        line += n + 1;
    }
    enum keys_found found = keys_find(keys, &m, &at);
    int is_there = memmem(text, size, secret, strlen(secret)) != NULL;
    check((found == KEYS_NONE) == (values_n[0] + values_n[1] == 0));
    check(found != KEYS_KNOWN || (is_there && at == 0 && values_n[0] <= 1 && values_n[1] <= 1));
    message_fini(&m);
}

static void check_json(const char *json, size_t size)
{
    static char entries[][8] = {"a", "hf.co/*"};
    static char *items[] = {entries[0], entries[1]};
    const struct list models = {items, 2};
    struct buf shown, again;
    char name[64];
    enum key_models_found found = key_models_of(&models, json, size, name, sizeof name);
    check(memchr(name, '\0', sizeof name) != NULL);
    check(found != KEY_MODELS_ALLOWED || conf_names_model(&models, name, strlen(name)));
    buf_init(&shown, 0);
    buf_init(&again, 0);
    int error = key_models_show(&models, json, size, &shown);
    check(error == 0 || (error == -EINVAL && buf_size(&shown) == 0));
    check(buf_size(&shown) <= size);
    if (error == 0) {
        check(key_models_show(&models, buf_data(&shown), buf_size(&shown), &again) == 0);
        check(buf_size(&again) == buf_size(&shown) && memcmp(buf_data(&again), buf_data(&shown), buf_size(&again)) == 0);
    }
    buf_fini(&shown);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf *conf;
    static struct keys keys;
    if (!conf) {
        conf = calloc(1, sizeof *conf);
        check(conf != NULL);
        conf->keys[0] = the_key;
        conf->keys_n = 1;
        check(keys_init(&keys, conf) == 0);
    }
    if (size == 0)
        return 0;
    if (data[0] == 'f')
        check_fields(&keys, (const char *)data + 1, size - 1);
    else
        check_json((const char *)data + 1, size - 1);
    return 0;
}
