/*
 * Names of models, [host/][namespace/]model[:tag], as Ollama parses and validates them (types/model, v0.9.5).
 */
#include "common/parse.h"

#include "common/hash.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MODEL_NAME_BYTES = 190, PART_BYTES = 80 };

/* Which marks, besides letters, digits, _ and -, a part may have. */
static const char host_marks[] = ".:", namespace_marks[] = "", model_marks[] = ".";

static int is_name_character(char c, const char *marks)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || strchr(marks, c);
}

static int is_part(const char *part, size_t part_n, const char *marks)
{
    if (part_n == 0 || part_n > PART_BYTES || strchr("-.:", part[0]))
        return 0;
    for (size_t i = 0; i < part_n; i++)
        if (!is_name_character(part[i], marks))
            return 0;
    return 1;
}

static int refuse(const char *text, char *why, const char *what)
{
    snprintf(why, PARSE_WHY_BYTES, "\"%.100s\" is no model's name: %s", text, what);
    return -EINVAL;
}

int parse_model_name(const char *text, char *why)
{
    size_t text_n = strlen(text);
    if (text_n == 0)
        return refuse(text, why, "it is empty");
    if (text_n > MODEL_NAME_BYTES)
        return refuse(text, why, "it is longer than 190 bytes");
    if (strstr(text, "://"))
        return refuse(text, why, "leave the scheme out, such as hf.co/NAMESPACE/MODEL:TAG");
    if (text[0] == '-')
        return refuse(text, why, "it starts with -");
    if (strchr(text, '@'))
        return refuse(text, why, "digests are not taken; write MODEL:TAG");
    const char *last_slash = strrchr(text, '/');
    const char *model = last_slash ? last_slash + 1 : text;
    const char *colon = strchr(model, ':');
    size_t model_n = colon ? (size_t)(colon - model) : strlen(model);
    if (!is_part(model, model_n, model_marks) || (colon && !is_part(colon + 1, strlen(colon + 1), model_marks)))
        return refuse(text, why, "write [HOST/][NAMESPACE/]MODEL[:TAG] with letters, digits, _ - and .");
    int slashes_n = 0;
    for (const char *c = text; c < model; c++)
        slashes_n += *c == '/';
    if (slashes_n > 2)
        return refuse(text, why, "it has too many slashes");
    for (const char *part = text; part < model;) {
        size_t part_n = strcspn(part, "/");
        if (!is_part(part, part_n, slashes_n == 2 && part == text ? host_marks : namespace_marks))
            return refuse(text, why, "write [HOST/][NAMESPACE/]MODEL[:TAG] with letters, digits, _ - and .");
        part += part_n + 1;
    }
    return 0;
}

struct span {
    const char *at;
    size_t n;
};

/* Whatever their case; unlike strncasecmp(3) it does not stop at a NUL. */
static int span_equal(struct span a, struct span b)
{
    for (size_t i = 0; a.n == b.n && i < a.n; i++)
        if (tolower((unsigned char)a.at[i]) != tolower((unsigned char)b.at[i]))
            return 0;
    return a.n == b.n;
}

static struct span drop_prefix(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s.n > n && strncasecmp(s.at, prefix, n) == 0)
        return (struct span){s.at + n, s.n - n};
    return s;
}

/* What is left of a name when all that Ollama adds by itself is taken away. */
static struct span bare(const char *name, size_t name_n, struct span *tag)
{
    struct span s = {name, name_n};
    s = drop_prefix(s, "registry.ollama.ai/");
    s = drop_prefix(s, "library/");
    *tag = (struct span){"latest", 6};
    for (size_t i = s.n; i-- > 0 && s.at[i] != '/';) {
        if (s.at[i] == ':') {
            *tag = (struct span){s.at + i + 1, s.n - i - 1};
            s.n = i;
            break;
        }
    }
    return s;
}

int model_name_equal(const char *a, size_t a_n, const char *b, size_t b_n)
{
    struct span a_tag, b_tag;
    struct span a_name = bare(a, a_n, &a_tag), b_name = bare(b, b_n, &b_tag);
    return span_equal(a_name, b_name) && span_equal(a_tag, b_tag);
}

static uint64_t hash_span(uint64_t h, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        h = hash_add(h, (uint64_t)tolower((unsigned char)s.at[i]));
    return hash_add(h, ':');
}

uint32_t model_name_hash(const char *name, size_t name_n)
{
    struct span tag;
    struct span s = bare(name, name_n, &tag);
    return (uint32_t)hash_span(hash_span(HASH_START, s), tag);
}
