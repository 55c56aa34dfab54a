/*
 * presets: models.json: which model, with which options, a request of POST /generate gets that names none.
 *
 *     {"cheap_text": {"for": "text", "model": "mistral:7b-instruct-q4_0", "options": {"num_ctx": 1024, "batch_size": 256}},
 *      "vision": {"for": "image", "model": ["liuhaotian", "llava:7b"], "options": {…}, "system": "…", "keep_alive": "5m"}}
 *
 * Values are kept as they stand there, so that a number of many digits stays what it is.
 */
#ifndef COMMON_PRESETS_H
#define COMMON_PRESETS_H

#include "common/parse.h"
#include "common/preset_options.h"

enum { PRESETS_MAX = 16, PRESET_MODELS_MAX = 8, PRESET_NAME_BYTES = 64, PRESETS_FILE_BYTES = 64 * 1024 };

enum preset_use { PRESET_NAMED, PRESET_TEXT, PRESET_IMAGE };

struct preset {
    char *name;
    enum preset_use use; /* NAMED: only where a request says "preset": NAME */
    struct list models;  /* at least one: the first that is installed, else the first that can be pulled */
    struct preset_option *options;
    size_t options_n;
    char *system, *keep_alive; /* JSON; NULL: unsaid */
};

struct presets {
    struct preset *items;
    size_t items_n;
};

/* Reads them from a file's text (RFC 8259, UTF-8); every mistake goes to d as `WHERE:LINE: error: column N: …`. Nothing is repaired or
 * overlooked but a byte-order mark at the start. What an option is called and may be is Ollama's business (api/types.go, Options, v0.9.5);
 * of those that it has, the kind must be right, and a name that is near one of them is warned of. *p is all zero before. 0; -EINVAL where
 * there are mistakes; -ENOMEM. presets_fini() in either case. */
int presets_read(struct presets *p, const char *json, size_t json_n, const char *where, struct diag *d) WARN_UNUSED;
void presets_fini(struct presets *p);

/* The one for requests with or without an image; NULL where there is none. */
const struct preset *presets_for(const struct presets *p, enum preset_use use);
/* The one of this name; NULL where there is none. */
const struct preset *presets_find(const struct presets *p, const char *name, size_t name_n);

/* Appends one of them as it is in force: one JSON object in one line. 0, -EFBIG or -ENOMEM. */
int presets_write(const struct preset *p, struct buf *out) WARN_UNUSED;

#endif
