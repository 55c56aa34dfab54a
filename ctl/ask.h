/*
 * ask: one question to the supervisor over its control socket, and the answer.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

enum { ASK_SILENCE_MS = 5000, ASK_REPLY_LIMIT_BYTES = 8 << 20 };

/* Sends `line` (no line end) and reads until the other side closes. 0; -ETIMEDOUT after ASK_SILENCE_MS without a
 * byte; -EPROTO where it closed without an answer; -EFBIG; else what connect(2), write(2) or read(2) say. */
int ask_raw(const char *socket_path, const char *line, struct buf *reply) WARN_UNUSED;

/* The first half of it, for an answer that goes on: *fd is connected and asked; the caller closes it. 0 or as above. */
int ask_open(const char *socket_path, const char *line, int *fd) WARN_UNUSED;

/* Says on stderr that nobody answers there, why, and what to do. */
void ask_explain(const char *socket_path, int error);
/* Says a refusal's reason on stderr. */
void ask_print_refusal(const cJSON *answer);

/* The object of the reply's last line that is one, or NULL. The caller deletes it. */
cJSON *ask_parse(const struct buf *reply) WARN_UNUSED;

/* Asks, and deals with all that may go wrong: prints why to stderr (or, where --json, the reply as it came to stdout)
 * and returns an exit code, *answer NULL. Else returns CTL_OK with *answer, whose "ok" is true; the caller deletes it.
 * is_json_printed: with --json a good reply is printed here, too. */
int ask_run(const struct ctl *ctl, const char *line, int is_json_printed, cJSON **answer) WARN_UNUSED;

/* The text of object[key], or "". */
const char *ask_text(const cJSON *object, const char *key);
/* object[key] as a whole number of at most 9e15, or -1. */
int64_t ask_number(const cJSON *object, const char *key);

#endif
