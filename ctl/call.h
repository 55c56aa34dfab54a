/*
 * call: one question to the proxy (door.h) whose answer is an object, and what to say where it is none, or a refusal.
 */
#ifndef CTL_CALL_H
#define CTL_CALL_H

#include "ctl/door.h"

#include <cjson/cJSON.h>

enum { CALL_PATH_BYTES = 1000 };

/* As ask_run() of the supervisor: CTL_OK with *object of an answer 200, which the caller deletes. Else an exit code, *object NULL, and why is
 * told. is_json_printed: with --json a good answer is printed here as it came. */
int call_ask(const struct ctl *ctl, const struct door_request *request, int is_json_printed, cJSON **object) WARN_UNUSED;

/* The same for a verb that prints what comes: describe() makes text of the object for people, 0 or -errno. */
int call_show(const struct ctl *ctl, const char *path, int (*describe)(const cJSON *object, int has_colours, struct buf *out)) WARN_UNUSED;

/* Says on stderr what an answer other than 200 says; with --json on stdout as it came. Returns CTL_REFUSED. */
int call_refuse(const struct ctl *ctl, const struct door_answer *a);

/* The reason that such an object has: {"error":TEXT} as Ollama has it, {"error":{"message":TEXT}} as OpenAI; "" for none. */
const char *call_error(const cJSON *object);

/* Text for people, to stdout; it is finished then. error: of the making of it. Returns the exit code. */
int call_print(struct buf *text, int error);

/* -n, a number of what is named, 1 to most; *out stays where it was not said. CTL_OK, or CTL_USAGE, and why is told. */
int call_number(const struct ctl *ctl, const char *what, int64_t most, int64_t *out) WARN_UNUSED;

/* The path of HEAD NAME TAIL, with what stands in no path encoded. 0, -E2BIG, or -EINVAL: there is no such name, as its path would be another one. */
int call_path(const char *head, const char *name, const char *tail, char *out, size_t out_n) WARN_UNUSED;

#endif
