/*
 * json_splice: sets or takes out members of a JSON object by changing their bytes and no other: a 20-digit integer, \u0000,
 * white space and three megabytes of image stay what they are. Pure.
 *
 * What Go's encoding/json, and so Ollama, makes of an object is what counts (v0.9.5, api/types.go):
 * - Names of members do not differ by case, and of several of one name the last wins: all of them are changed.
 * - Those of the inner object ("options") do differ by case, as it is read into a map. Several inner objects are merged; a
 *   null empties the map. Names in other cases are changed all the same, but do not count as being there.
 * - What follows the object is not read, and stays.
 * What is no JSON object, is cut short or too deep stays as it is, and so does an object with an inner one that is neither
 * object nor null: the backend says what is wrong with it.
 */
#ifndef PROXY_JSON_SPLICE_H
#define PROXY_JSON_SPLICE_H

#include "common/sys.h"

enum {
    JSON_EDITS_MAX = 16,
    JSON_CHANGES_MAX = 64,
    JSON_ADDED_BYTES = 2048,
};

enum json_edit_mode {
    JSON_SET,        /* whatever is there */
    JSON_SET_ABSENT, /* only where nothing, or null, is there */
    JSON_REMOVE,
};

/* One member: of the object itself, or of the inner one. */
struct json_edit {
    int is_inner;
    const char *name;  /* ASCII, lower case, nothing to escape */
    const char *value; /* JSON; NULL for JSON_REMOVE */
    enum json_edit_mode mode;
};

/* All borrowed. No two edits of one place. */
struct json_edits {
    const char *inner; /* the inner object's name; NULL where no edit is_inner */
    const struct json_edit *items;
    size_t items_n; /* JSON_EDITS_MAX at the most */
};

/* cut_n bytes at place `at` become text. */
struct json_change {
    size_t at, cut_n;
    const char *text; /* an edit's value, or in the splice's own `added` */
    size_t text_n;
};

/* The changes by their places; not to be copied, as they point into it. */
struct json_splice {
    struct json_change changes[JSON_CHANGES_MAX];
    size_t changes_n; /* 0: the bytes stay as they are */
    char added[JSON_ADDED_BYTES];
    size_t added_n;
};

/* Finds the changes, in one pass. 0; -EINVAL where this is no JSON object that Ollama would take (no changes); -E2BIG where
 * there would be more of them than are counted here: so many names stand in it several times. */
int json_splice_find(struct json_splice *s, const char *json, size_t json_n, const struct json_edits *edits) WARN_UNUSED;

/* One more change of the caller's own, which overlaps none that is there; *s is all zero before the first. text: borrowed. 0 or -E2BIG. */
int json_splice_add(struct json_splice *s, size_t at, size_t cut_n, const char *text, size_t text_n) WARN_UNUSED;

/* How many bytes json_n bytes have after the changes. */
size_t json_splice_size(const struct json_splice *s, size_t json_n);
/* Makes the changes in place, each byte moved once at the most. bytes: room for json_n and for json_splice_size(). */
void json_splice_apply(const struct json_splice *s, char *bytes, size_t json_n);

#endif
