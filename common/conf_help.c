/*
 * What the rows of conf_params.def are for, in words: 15 kB, apart from the table, so that they are in one program only.
 */
#include "common/conf_internal.h"

#include <string.h>

/* Of each section, and of each of its rows behind it, in the order of the table; one behind another, as a pointer to each would be a relocation. */
static const struct helps {
#define SECTION(section, named, help_) char section[sizeof(help_)];
#define PARAM(section, kind, key, def, min, max, state, help_) char section##_##key[sizeof(help_)];
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
} helps = {
#define SECTION(section, named, help_) help_,
#define PARAM(section, kind, key, def, min, max, state, help_) help_,
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
};

static const char *behind(const char *help)
{
    return help + strlen(help) + 1;
}

int conf_help(struct buf *out)
{
    const char *help = (const char *)&helps;
    int error = 0;
    for (size_t i = 0; i < conf_sections_n && !error; i++, help = behind(help)) {
        const struct conf_section *s = &conf_sections[i];
        error = buf_printf(out, "%s; %s\n[%s%s]\n", i ? "\n" : "", help, s->name, s->is_named ? ":NAME" : "");
        for (size_t j = 0; j < s->params_n && !error; j++) {
            const struct conf_param *p = &s->params[j];
            help = behind(help);
            error = buf_printf(out, "; %s%s%s%s%s\n;%s = %s\n", help, *conf_param_words(p) ? " (" : "", conf_param_words(p),
                               *conf_param_words(p) ? ")" : "", p->is_planned ? " [no effect in this version]" : "", conf_param_key(p), conf_param_default(p));
        }
    }
    return error;
}
