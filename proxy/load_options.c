/* See load_options.h. */
#include "proxy/load_options.h"

#include <stdio.h>

enum { LEAST_NUM_CTX = 2048 }; /* of an Ollama before 0.6; later ones take more */

static const char *const names[] = {
    [LOAD_NUM_CTX] = "num_ctx",   [LOAD_NUM_BATCH] = "num_batch",   [LOAD_NUM_GPU] = "num_gpu",
    [LOAD_MAIN_GPU] = "main_gpu", [LOAD_NUM_THREAD] = "num_thread", [LOAD_USE_MMAP] = "use_mmap",
};
_Static_assert(sizeof names / sizeof *names == LOAD_OPTION_COUNT, "a name for each option");

const char *load_option_name(enum load_option option)
{
    return names[option];
}

void load_option_json(enum load_option option, int64_t value, char out[LOAD_VALUE_BYTES])
{
    if (option == LOAD_USE_MMAP)
        snprintf(out, LOAD_VALUE_BYTES, "%s", value ? "true" : "false");
    else
        snprintf(out, LOAD_VALUE_BYTES, "%lld", (long long)value);
}

int load_options_has(const struct load_options *o, unsigned option)
{
    return (o->set >> option & 1) != 0;
}

void load_options_drop(struct load_options *o, enum load_option option)
{
    o->set &= ~(1u << option);
    o->values[option] = 0;
}

void load_options_set(struct load_options *o, enum load_option option, int64_t value)
{
    o->set |= 1u << option;
    o->values[option] = value;
}

static int is_same(const struct load_options *a, const struct load_options *b, unsigned option)
{
    int has_a = load_options_has(a, option), has_b = load_options_has(b, option);
    return has_a == has_b && (!has_a || a->values[option] == b->values[option]);
}

int load_options_equal(const struct load_options *a, const struct load_options *b)
{
    for (unsigned i = 0; i < LOAD_OPTION_COUNT; i++)
        if (!is_same(a, b, i))
            return 0;
    return 1;
}

/* num_gpu = -1, as many as fit, is never a difference to Ollama, and what does not name it means just that. */
static int is_any_gpu(const struct load_options *wanted, unsigned option)
{
    return option == LOAD_NUM_GPU && load_options_has(wanted, option) && wanted->values[option] < 0;
}

/* A smaller context cuts prompts off. What was not named is the server's, which is no smaller than this unless somebody has set it so. */
static int has_context_for(const struct load_options *wanted, const struct load_options *loaded)
{
    int64_t num_ctx = load_options_has(loaded, LOAD_NUM_CTX) ? loaded->values[LOAD_NUM_CTX] : LEAST_NUM_CTX;
    return wanted->values[LOAD_NUM_CTX] <= num_ctx;
}

int load_options_fit(const struct load_options *wanted, const struct load_terms *terms, const struct load_options *loaded,
                     struct load_options *ride, unsigned *dropped)
{
    *ride = (struct load_options){.set = 0};
    *dropped = 0;
    for (unsigned i = 0; i < LOAD_OPTION_COUNT; i++) {
        int is_soft = terms->soft >> i & 1, is_context = i == LOAD_NUM_CTX;
        if (is_same(wanted, loaded, i) || is_any_gpu(wanted, i))
            continue;
        if (terms->fixed >> i & 1 || (!is_soft && !load_options_has(loaded, i)))
            return 0;
        if (load_options_has(wanted, i) && (is_context ? !has_context_for(wanted, loaded) : !is_soft))
            return 0;
        if (load_options_has(loaded, i))
            load_options_set(ride, (enum load_option)i, loaded->values[i]);
        else
            *dropped |= 1u << i;
    }
    return 1;
}

void load_options_merge(const struct load_options *wanted, unsigned fixed, const struct load_options *loaded, struct load_options *out)
{
    *out = *wanted;
    for (unsigned i = 0; i < LOAD_OPTION_COUNT; i++)
        if (!load_options_has(wanted, i) && !(fixed >> i & 1) && load_options_has(loaded, i))
            load_options_set(out, (enum load_option)i, loaded->values[i]);
}

int load_options_write(const struct load_options *o, struct buf *out)
{
    int error = buf_text(out, "{"), is_first = 1;
    for (unsigned i = 0; i < LOAD_OPTION_COUNT && !error; i++) {
        char value[LOAD_VALUE_BYTES];
        if (!load_options_has(o, i))
            continue;
        load_option_json((enum load_option)i, o->values[i], value);
        error = buf_printf(out, "%s\"%s\":%s", is_first ? "" : ",", names[i], value);
        is_first = 0;
    }
    return error ? error : buf_text(out, "}");
}
