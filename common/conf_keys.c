/*
 * [key:NAME]: what its rows say together, and lists of models, which backends have as well.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SECRET_LENGTH_MIN = 16, HASH_DIGITS_N = 64 };
static const char hash_start[] = "sha256:";

static const char *const right_names[] = {"inference", "observe", "manage"}; /* in the order of enum conf_right's bits */

static unsigned right_of(const char *text)
{
    for (size_t i = 0; i < sizeof right_names / sizeof *right_names; i++)
        if (strcasecmp(text, right_names[i]) == 0)
            return 1u << i;
    return 0;
}

unsigned conf_key_rights(const struct conf_key *k)
{
    unsigned rights = 0;
    for (size_t i = 0; i < k->rights.items_n; i++)
        rights |= right_of(k->rights.items[i]);
    return rights;
}

static const char *without(const char *name, size_t *name_n, const char *start)
{
    size_t n = strlen(start);
    if (*name_n <= n || strncasecmp(name, start, n) != 0)
        return name;
    *name_n -= n;
    return name + n;
}

/* What Ollama adds by itself to a name does not count: its own host and namespace, and `:latest`. */
static int is_named_by(const char *pattern, const char *name, size_t name_n)
{
    size_t n = strlen(pattern);
    if (n == 0 || pattern[n - 1] != '*')
        return model_name_equal(pattern, n, name, name_n);
    n--;
    pattern = without(pattern, &n, "registry.ollama.ai/");
    pattern = without(pattern, &n, "library/");
    name = without(name, &name_n, "registry.ollama.ai/");
    name = without(name, &name_n, "library/");
    if (n == 0)
        return 1;
    if (!memchr(pattern, '/', n) && memchr(name, '/', name_n))
        return 0;
    if (name_n >= n)
        return strncasecmp(pattern, name, n) == 0;
    return memchr(pattern, ':', n) && !memchr(name, ':', name_n) && strncasecmp(pattern, name, name_n) == 0 && pattern[name_n] == ':' &&
           strncasecmp(pattern + name_n, ":latest", n - name_n) == 0; /* m:lat* of m, which is m:latest */
}

/* A name with a scheme would be one thing here and another to Ollama, which looks behind the last :// (types/model, v0.9.5). */
int conf_names_model(const struct list *models, const char *name, size_t name_n)
{
    if (memmem(name, name_n, "://", 3))
        return 0;
    for (size_t i = 0; i < models->items_n; i++)
        if (is_named_by(models->items[i], name, name_n))
            return 1;
    return 0;
}

void conf_check_models(const struct conf *c, const struct conf_head *at, const char *section, const struct list *models, struct diag *d)
{
    for (size_t i = 0; i < models->items_n; i++) {
        const char *star = strchr(models->items[i], '*');
        char what[PARSE_WHY_BYTES];
        if (!(star && star[1]) && !strpbrk(models->items[i], " \t"))
            continue;
        snprintf(what, sizeof what, "\"%.60s\" names no model: write it as llama3.2 or qwen3:*, a * only at its end", models->items[i]);
        conf_mistake(c, at, section, "models", d, what);
    }
}

static void check_rights(const struct conf *c, const struct conf_key *k, struct diag *d)
{
    char what[PARSE_WHY_BYTES];
    if (k->rights.items_n == 0)
        conf_mistake(c, (const struct conf_head *)k, "key", "rights", d, "it may do nothing: write inference, observe or manage, with commas between them");
    for (size_t i = 0; i < k->rights.items_n; i++)
        if (!right_of(k->rights.items[i])) {
            snprintf(what, sizeof what, "\"%.60s\" is none of: inference, observe, manage", k->rights.items[i]);
            conf_mistake(c, (const struct conf_head *)k, "key", "rights", d, what);
        }
}

static int is_hash(const char *text)
{
    size_t start_n = strlen(hash_start);
    return strncmp(text, hash_start, start_n) == 0 && strlen(text) == start_n + HASH_DIGITS_N &&
           strspn(text + start_n, "0123456789abcdefABCDEF") == HASH_DIGITS_N;
}

/* Of two with one secret nobody could say who came. */
static void check_twice(const struct conf *c, const struct conf_key *k, struct diag *d)
{
    for (const struct conf_key *other = c->keys; other < k; other++)
        if ((*k->secret && strcmp(k->secret, other->secret) == 0) || (*k->secret_hash && strcasecmp(k->secret_hash, other->secret_hash) == 0))
            diag_add(d, DIAG_ERROR, c->file, k->line, "[key:%s] has the secret of [key:%s] in line %d: each key needs its own", k->name,
                     other->name, other->line);
}

int conf_key_has_priority(const struct conf_key *k)
{
    return conf_origin((const struct conf_head *)k, conf_find_section("key"), "priority")->kind != CONF_FROM_DEFAULT;
}

static int check_key(struct conf *c, struct conf_key *k, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)k;
    const char *secret;
    int has_hash = *k->secret_hash != '\0', has_any = *k->secret || *k->secret_file || has_hash;
    int error = conf_take_row_secret(c, at, "key", "secret", "secret_file", &secret, d);
    if (error)
        return error;
    if (!has_any)
        conf_mistake(c, at, "key", "secret", d, "there is none: write secret, secret_file or secret_hash (sidecarctl new-key makes one)");
    if (has_hash && (*secret || *k->secret_file))
        conf_mistake(c, at, "key", "secret_hash", d, "the key is given in another way, too: one of them is enough");
    if (has_hash && !is_hash(k->secret_hash))
        conf_mistake(c, at, "key", "secret_hash", d, "write sha256: and the 64 hexadecimal digits of the key's SHA-256, as sidecarctl new-key does");
    if (*secret && strlen(secret) < SECRET_LENGTH_MIN)
        conf_warning(c, at, "key", *k->secret_file ? "secret_file" : "secret", d,
                     "it has less than 16 characters, and can be guessed: take one of sidecarctl new-key");
    check_rights(c, k, d);
    check_twice(c, k, d);
    conf_check_models(c, at, "key", &k->models, d);
    return 0;
}

int conf_check_keys(struct conf *c, struct diag *d)
{
    int error = 0;
    for (size_t i = 0; i < c->keys_n && !error; i++)
        error = check_key(c, &c->keys[i], d);
    return error;
}
