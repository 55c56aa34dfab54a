/*
 * preset_options: the options of a preset (presets.h), as a request gets them.
 */
#ifndef COMMON_PRESET_OPTIONS_H
#define COMMON_PRESET_OPTIONS_H

#include "common/json_mistakes.h"
#include "common/json_walk.h"

enum { PRESET_OPTIONS_MAX = 32 };

/* As Ollama knows it: `batch_size` has become num_batch. name: letters, digits and _. value: JSON, in one line. */
struct preset_option {
    char *name, *value;
};

/* Reads the options of the preset of this name; mistakes go to m. *options is NULL, *options_n 0 before; the caller frees by
 * preset_options_fini() in either case. 0, also after a mistake; -ENOMEM. */
int preset_options_read(struct json_mistakes *m, const char *preset, const struct json_value *object, struct preset_option **options,
                        size_t *options_n) WARN_UNUSED;
void preset_options_fini(struct preset_option *options, size_t options_n);

#endif
