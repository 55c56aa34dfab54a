/*
 * json_scan: looks for one top-level string in a JSON object without reading the rest of it into memory.
 */
#ifndef PROXY_JSON_SCAN_H
#define PROXY_JSON_SCAN_H

#include "common/sys.h"

/* The string under a top-level key, as Go's encoding/json would take it: keys without regard to case, escapes decoded
 * in keys and values, the last duplicate wins, null leaves what was there, what follows the object does not count.
 * out: NUL-terminated. Returns its length; -ENOENT where there is none (or it is no string, or longer than
 * out_n - 1); -EINVAL where this is no JSON object (out may then be partly written). */
ssize_t json_scan_string(const char *json, size_t json_n, const char *key, char *out, size_t out_n) WARN_UNUSED;

#endif
