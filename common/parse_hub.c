/*
 * Names on a Hugging Face hub: of models, [ORG/]NAME, as huggingface_hub checks them (utils/_validators.py, 1.0), of their revisions, and of files in them.
 */
#include "common/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PART_N = 96, FILE_N = 1000, REVISION_N = 128 };
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

static int refuse(const char *text, const char *kind, char *why, const char *what)
{
    snprintf(why, PARSE_WHY_BYTES, "\"%.100s\" is no %s: %s", text, kind, what);
    return -EINVAL;
}

static int refuse_name(const char *text, char *why, const char *what)
{
    return refuse(text, "model's name", why, what);
}

/* What is wrong with ORG, or NAME; NULL: nothing. */
static const char *judge(const char *part, size_t part_n)
{
    size_t good_n = strspn(part, LETTERS);
    if (part_n == 0)
        return "write ORG/NAME, as Qwen/Qwen3-0.6B";
    if (part_n > PART_N)
        return "ORG and NAME have 96 characters at the most";
    if (good_n < part_n)
        return "write ORG/NAME with letters, digits, _ - and .";
    if (strchr("-.", part[0]) || strchr("-.", part[part_n - 1]))
        return "neither ORG nor NAME starts or ends with - or .";
    if (memmem(part, part_n, "--", 2) || memmem(part, part_n, "..", 2))
        return "-- and .. are in no name of a hub";
    return NULL;
}

int parse_hub_name(const char *text, char *why)
{
    const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : text, *what;
    if (*text == '\0')
        return refuse_name(text, why, "it is empty");
    if (strstr(text, "://"))
        return refuse_name(text, why, "leave the hub's address out: ORG/NAME");
    if (strpbrk(text, ":@"))
        return refuse_name(text, why, "ORG/NAME has no tag; a revision is told apart from it");
    if (strchr(name, '/'))
        return refuse_name(text, why, "it has too many slashes: ORG/NAME");
    what = slash ? judge(text, (size_t)(slash - text)) : NULL;
    what = what ? what : judge(name, strlen(name));
    if (!what && strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".git") == 0)
        what = "no name of a hub ends with .git: leave it out";
    return what ? refuse_name(text, why, what) : 0;
}

int parse_hub_revision(const char *text, char *why)
{
    static const char kind[] = "branch, tag or commit";
    size_t n = strlen(text);
    if (n == 0 || n > REVISION_N || strspn(text, LETTERS "/") < n)
        return refuse(text, kind, why, "write letters, digits, _ - . and /, 128 at the most");
    if (strchr("/-.", text[0]) || text[n - 1] == '/' || strstr(text, "..") || strstr(text, "//") || strstr(text, "/."))
        return refuse(text, kind, why, "it begins with a letter, a digit or _, does not end with /, and has neither .. nor // nor /. in it");
    return 0;
}

int parse_hub_file(const char *text, char *why)
{
    if (strlen(text) > FILE_N)
        return refuse(text, "file of a model", why, "its path is longer than 1000 bytes");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f || *c == '\\')
            return refuse(text, "file of a model", why, "it has a control character or a backslash in it");
    for (const char *part = text;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return refuse(text, "file of a model", why, "its path has to lead to a place below the model's folder");
        part += n;
        if (*part == '\0')
            return 0;
    }
}
