/* See known_file.h. */
#include "proxy/known_file.h"

#include "common/hash.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>

static const char form[] = "ollama-sidecar known-answers 1";

enum { WORD_BYTES = CONTRACT_NAME_BYTES, SUM_DIGITS = 16 };

/* Against accidents, not against malice, as whoever can write there can write a sum too. */
static uint64_t sum_of(const char *bytes, size_t n)
{
    return hash_bytes(HASH_START, bytes, n);
}

static int write_entry(const struct known_entry *e, struct buf *out)
{
    const char *kind = e->key.kind == KNOWN_PATH ? "get" : e->key.is_verbose ? "show-verbose" : "show";
    const char *how = !e->body ? "asked" : e->is_fresh ? "fresh" : "old";
    size_t type_n = e->body ? strlen(e->type) : 0;
    int error = buf_printf(out, "%s %s %s %zu %zu\n", kind, e->key.name, how, type_n, e->body_n);
    error = error ? error : buf_append(out, e->type, type_n);
    error = error ? error : buf_append(out, e->body ? e->body : "", e->body_n);
    return error ? error : buf_text(out, "\n");
}

int known_file_write(const struct known *k, uint64_t token, struct buf *out)
{
    size_t entries_n = 0, begin_n = buf_size(out);
    for (const struct known_entry *e = NULL; (e = known_next_used(k, e));)
        entries_n++;
    int error = buf_printf(out, "%s %016llx %zu\n", form, (unsigned long long)token, entries_n);
    for (const struct known_entry *e = NULL; !error && (e = known_next_used(k, e));)
        error = write_entry(e, out);
    if (error)
        return error;
    return buf_printf(out, "sum %016llx\n", (unsigned long long)sum_of(buf_data(out) + begin_n, buf_size(out) - begin_n));
}

struct reader {
    const char *at, *end;
};

/* The next word, which ends with this character. 0 or -EINVAL. */
static int take_word(struct reader *r, char ends_with, char word[WORD_BYTES])
{
    size_t left_n = (size_t)(r->end - r->at);
    const char *end = memchr(r->at, ends_with, left_n < WORD_BYTES ? left_n : WORD_BYTES);
    if (!end)
        return -EINVAL;
    size_t n = (size_t)(end - r->at);
    memcpy(word, r->at, n);
    word[n] = '\0';
    r->at = end + 1;
    return strlen(word) == n ? 0 : -EINVAL;
}

static int take_count(struct reader *r, char ends_with, int64_t max, size_t *out)
{
    char word[WORD_BYTES], why[PARSE_WHY_BYTES];
    int64_t count;
    if (take_word(r, ends_with, word) < 0 || parse_integer(word, 0, max, &count, why) < 0)
        return -EINVAL;
    *out = (size_t)count;
    return 0;
}

static int take_number(struct reader *r, char ends_with, uint64_t *out)
{
    char word[WORD_BYTES];
    if (take_word(r, ends_with, word) < 0 || strlen(word) != SUM_DIGITS)
        return -EINVAL;
    *out = 0;
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        int digit = parse_hex_digit(word[i]);
        if (digit < 0)
            return -EINVAL;
        *out = *out * 16 + (uint64_t)digit;
    }
    return 0;
}

static int take_key(struct reader *r, struct known_key *key)
{
    char kind[WORD_BYTES];
    *key = (struct known_key){.kind = KNOWN_SHOW};
    if (take_word(r, ' ', kind) < 0 || take_word(r, ' ', key->name) < 0)
        return -EINVAL;
    if (strcmp(kind, "get") == 0)
        key->kind = KNOWN_PATH;
    else if (strcmp(kind, "show-verbose") == 0)
        key->is_verbose = 1;
    else if (strcmp(kind, "show") != 0)
        return -EINVAL;
    return 0;
}

/* How it is known: 0 only that it was asked for, 1 an old answer, 2 a fresh one; -EINVAL. */
static int take_how(struct reader *r)
{
    static const char *const words[] = {"asked", "old", "fresh"};
    char word[WORD_BYTES];
    if (take_word(r, ' ', word) < 0)
        return -EINVAL;
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -EINVAL;
}

static int take_entry(struct reader *r, struct known *k)
{
    struct known_key key;
    char type[KNOWN_TYPE_BYTES];
    size_t type_n, body_n;
    if (take_key(r, &key) < 0)
        return -EINVAL;
    int how = take_how(r);
    if (how < 0 || take_count(r, ' ', KNOWN_TYPE_BYTES - 1, &type_n) < 0 || take_count(r, '\n', KNOWN_BODY_BYTES, &body_n) < 0)
        return -EINVAL;
    if ((size_t)(r->end - r->at) < type_n + body_n + 1 || (how == 0 && type_n + body_n > 0))
        return -EINVAL;
    memcpy(type, r->at, type_n);
    type[type_n] = '\0';
    const char *body = r->at + type_n;
    r->at += type_n + body_n + 1;
    if (strlen(type) != type_n || r->at[-1] != '\n')
        return -EINVAL;
    int error = known_restore(k, &key, type, how > 0 ? body : NULL, body_n, how == 2);
    return error == -ENOMEM ? error : error ? -EINVAL : 0;
}

static int take_all(struct reader *r, struct known *k, uint64_t token)
{
    uint64_t its_token;
    size_t entries_n;
    size_t form_n = sizeof form - 1;
    if ((size_t)(r->end - r->at) < form_n + 1 || memcmp(r->at, form, form_n) != 0 || r->at[form_n] != ' ')
        return -EINVAL;
    r->at += form_n + 1;
    if (take_number(r, ' ', &its_token) < 0 || take_count(r, '\n', KNOWN_ENTRIES, &entries_n) < 0)
        return -EINVAL;
    for (size_t i = 0; i < entries_n; i++) {
        int error = take_entry(r, k);
        if (error)
            return error;
    }
    if (its_token != token || token == 0)
        known_doubt_all(k);
    return r->at == r->end ? 0 : -EINVAL;
}

int known_file_read(struct known *k, uint64_t token, const char *text, size_t text_n)
{
    static const char word[] = "sum ";
    const size_t line_n = sizeof word - 1 + SUM_DIGITS + 1;
    uint64_t sum;
    if (text_n < line_n)
        return -EINVAL;
    struct reader last = {text + text_n - line_n, text + text_n}, all = {text, text + text_n - line_n};
    if (memcmp(last.at, word, sizeof word - 1) != 0)
        return -EINVAL;
    last.at += sizeof word - 1;
    if (take_number(&last, '\n', &sum) < 0 || sum != sum_of(text, text_n - line_n))
        return -EINVAL;
    int error = take_all(&all, k, token);
    if (error) {
        known_fini(k);
        known_init(k);
    }
    k->is_changed = 0;
    return error;
}
