/*
 * names: what may be a file's path; models' names, and revisions, are parse_hub_name's and parse_hub_revision's. Pure. Nothing that a hub says becomes a path before it was looked at here.
 */
#ifndef PRELOAD_HUB_NAMES_H
#define PRELOAD_HUB_NAMES_H

#include "common/parse.h"

enum { NAMES_PATH_N = 512, NAMES_PART_N = 255 };

/* A file's path within a repository: 0; -EINVAL with the reason for what is absolute, leads outside, has characters that move a terminal's
 * cursor, or is too long. */
int names_check_path(const char *text, char why[PARSE_WHY_BYTES]) WARN_UNUSED;

/* 1 for 40, or digits_n, small hexadecimal digits. */
int names_is_hex(const char *text, size_t digits_n);
static inline int names_is_revision(const char *text)
{
    return names_is_hex(text, 40);
}
/* 1 where one of the patterns fits the path as fnmatch(3) has it, a slash being a character as any: so do the hub's own clients. */
int names_match(const struct list *patterns, const char *path);
/* Percent-encodes what is not unreserved (RFC 3986 section 2.3), but for slashes where they are kept. -ENOSPC where it does not fit. */
int names_escape(char *out, size_t out_n, const char *text, int keeps_slashes) WARN_UNUSED;

#endif
