/*
 * known_file: what is known of Ollama's answers, as it is kept in state_dir, so that it outlives the proxy. Pure.
 *
 * The first line names the form, whose sleep it was (a number of the supervisor's), and how many entries follow. An entry is a line
 * (what was asked for, whether the answer is fresh, the lengths of type and body), the type, the body and a line end. The last line
 * is a sum over all above it: a file that was cut or changed is none.
 */
#ifndef PROXY_KNOWN_FILE_H
#define PROXY_KNOWN_FILE_H

#include "common/buf.h"
#include "proxy/known.h"

#define KNOWN_FILE "known-answers"
enum { KNOWN_FILE_BYTES = KNOWN_ALL_BYTES + KNOWN_ENTRIES * 512 + 512 };

/* Appends it. token: of the supervisor's page. 0, -ENOMEM or -EFBIG. */
int known_file_write(const struct known *k, uint64_t token, struct buf *out) WARN_UNUSED;

/* Into *k, which is as known_init left it. Of another supervisor nothing is fresh: Ollama may have changed since. 0; -EINVAL where that is no such file, and *k is
 * as known_init leaves it; -ENOMEM. */
int known_file_read(struct known *k, uint64_t token, const char *text, size_t text_n) WARN_UNUSED;

#endif
