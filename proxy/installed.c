/* See installed.h. To find a name costs no memory and no decoding: it is done for each request that a preset serves. */
#include "proxy/installed.h"

#include "common/hash.h"
#include "common/parse.h"
#include "proxy/model_list.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 512 };

void installed_init(struct installed *i)
{
    buf_init(&i->names, INSTALLED_NAMES_BYTES);
    installed_forget(i);
}

void installed_fini(struct installed *i)
{
    buf_fini(&i->names);
}

void installed_doubt(struct installed *i)
{
    i->fresh_until_ms = 0;
    i->listed_ms = -1;
}

static void clear(struct installed *i)
{
    i->names_n = 0;
    i->is_cut = 0;
    i->sum = 0;
    buf_release(&i->names);
}

void installed_forget(struct installed *i)
{
    clear(i);
    installed_doubt(i);
    i->same_since_ms = -1;
}

/* names_n: it is not there. */
static size_t find(const struct installed *i, const char *model)
{
    size_t model_n = strlen(model), k = 0;
    uint32_t hash = model_name_hash(model, model_n);
    for (; k < i->names_n; k++) {
        const char *name = buf_data(&i->names) + i->places[k];
        if (i->hashes[k] == hash && model_name_equal(name, strlen(name), model, model_n))
            break;
    }
    return k;
}

int installed_is_listed(const struct installed *i, const char *model)
{
    return find(i, model) < i->names_n;
}

const unsigned char *installed_digest(const struct installed *i, const char *model)
{
    static const unsigned char none[INSTALLED_DIGEST_BYTES];
    size_t k = find(i, model);
    return k < i->names_n && memcmp(i->digests[k], none, sizeof none) != 0 ? i->digests[k] : NULL;
}

enum installed_verdict installed_look(const struct installed *i, const char *model, int64_t now_ms)
{
    if (installed_is_listed(i, model))
        return INSTALLED_YES;
    if (!installed_is_fresh(i, now_ms))
        return INSTALLED_UNKNOWN;
    return i->is_cut ? INSTALLED_YES : INSTALLED_NO;
}

/* As Ollama writes it, with or without what it is a digest of; zero where it is none. */
static void read_digest(const struct json_value *value, unsigned char out[INSTALLED_DIGEST_BYTES])
{
    static const char prefix[] = "sha256:";
    enum { PREFIX = sizeof prefix - 1, DIGITS = 2 * INSTALLED_DIGEST_BYTES };
    const char *at = value->kind == JSON_STRING ? value->at + 1 : "", *end = value->kind == JSON_STRING ? value->at + value->n - 1 : at;
    int is_good = 1;
    if (end - at > PREFIX && memcmp(at, prefix, PREFIX) == 0)
        at += PREFIX;
    memset(out, 0, INSTALLED_DIGEST_BYTES);
    for (size_t k = 0; is_good && k < DIGITS; k++) {
        int digit = at < end ? parse_hex_digit(*at++) : -1;
        is_good = digit >= 0;
        out[k / 2] = (unsigned char)(out[k / 2] << 4 | (digit & 15));
    }
    if (!is_good)
        memset(out, 0, INSTALLED_DIGEST_BYTES);
}

/* 0 or -ENOMEM. What has no room is not known. */
static int add(struct installed *i, const struct json_value *value, const unsigned char digest[INSTALLED_DIGEST_BYTES])
{
    char name[NAME_BYTES];
    if (value->kind != JSON_STRING)
        return 0;
    ssize_t n = json_decode(json_read_text(value), name, sizeof name);
    if (n <= 0 || strlen(name) != (size_t)n || installed_is_listed(i, name))
        return 0;
    size_t place = buf_size(&i->names);
    int error = i->names_n == INSTALLED_MODELS ? -EFBIG : buf_append(&i->names, name, (size_t)n + 1);
    if (error == -EFBIG)
        i->is_cut = 1;
    if (error)
        return error == -EFBIG ? 0 : error;
    i->hashes[i->names_n] = model_name_hash(name, (size_t)n);
    i->places[i->names_n] = (uint32_t)place;
    memcpy(i->digests[i->names_n++], digest, INSTALLED_DIGEST_BYTES);
    i->sum += hash_bytes(hash_bytes(HASH_START, name, (size_t)n), (const char *)digest, INSTALLED_DIGEST_BYTES);
    return 0;
}

int installed_read(struct installed *i, const char *json, size_t json_n, int64_t asked_ms)
{
    static const char *const of_model[] = {"name", "model", "digest"};
    struct json_value model, values[3];
    unsigned char digest[INSTALLED_DIGEST_BYTES];
    struct json_items items;
    if (model_list_begin(&items, json, json_n) < 0)
        return -EINVAL;
    uint64_t former_sum = i->sum;
    clear(i);
    while (json_items_next(&items, &model)) {
        json_read_object(&model, of_model, 3, JSON_EXACT, values);
        read_digest(&values[2], digest);
        if (add(i, &values[0], digest) < 0 || add(i, &values[1], digest) < 0) {
            installed_forget(i);
            return -ENOMEM;
        }
    }
    if (i->same_since_ms < 0 || i->sum != former_sum)
        i->same_since_ms = asked_ms;
    i->fresh_until_ms = asked_ms + INSTALLED_FRESH_MS;
    i->listed_ms = asked_ms;
    return 0;
}
