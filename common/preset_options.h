/*
 * preset_options: the options of a preset (presets.h), as a request gets them.
 */
#ifndef COMMON_PRESET_OPTIONS_H
#define COMMON_PRESET_OPTIONS_H

#include "common/json_mistakes.h"
#include "common/json_walk.h"
#include "common/parse.h"

enum { PRESET_OPTIONS_MAX = 32 };

/* As Ollama knows it: `batch_size` has become num_batch. name: letters, digits and _. value: JSON, in one line. */
struct preset_option {
    char *name, *value;
};

/* Reads the options of the preset of this name; mistakes go to m. *options is NULL, *options_n 0 before; the caller frees by
 * preset_options_fini() in either case. 0, also after a mistake; -ENOMEM. */
int preset_options_read(struct json_mistakes *m, const char *preset, const struct json_value *object, struct preset_option **options,
                        size_t *options_n) WARN_UNUSED;
/* One option by itself: 0, or -EINVAL with what its value must be in why (PARSE_WHY_BYTES). *nearest: the one that may have been meant,
 * where Ollama may not know this one; else NULL. */
int preset_option_check(const char *name, const struct json_value *value, const char **nearest, char *why) WARN_UNUSED;
void preset_options_fini(struct preset_option *options, size_t options_n);

#endif
