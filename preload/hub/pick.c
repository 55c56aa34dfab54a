/*
 * See pick.h. Where [models] allow names files, those are taken, and the rules are not asked.
 *
 * Weights at the top of a repository make those in its folders (original/, onnx/, checkpoints) another copy of the same; so do those without a variant
 * (model.safetensors) the others (model.fp16.safetensors, consolidated.safetensors).
 */
#include "preload/hub/pick.h"

#include "preload/hub/names.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <strings.h>

static const char *const quantize_words[] = {[PICK_AUTO] = "auto", [PICK_Q4] = "q4", [PICK_FP32] = "fp32", [PICK_FP16] = "fp16", [PICK_NO] = "no"};
static const char *const format_names[] = {[PICK_NONE] = "other", [PICK_SAFETENSORS] = "safetensors", [PICK_GGUF] = "gguf", [PICK_OTHER] = "other"};

/* What an engine reads beside the weights: configuration, tokenizers, chat templates. */
static const char *const beside[] = {"*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "*.bpe", "*.spm", "*.vocab", "*tokenizer*", NULL};
/* What looks like it, and is of training, or of other programs. */
static const char *const unused[] = {"*.onnx", "*.msgpack", "*.h5", "*.ot",    "*.md",       "*trainer_state.json", "*training_args*", "optimizer*",
                                     "onnx/*", "openvino/*", "coreml/*", "original/*", "checkpoint-*/*", "*.onnx_data", "*.tflite", "*.gguf", NULL};
static const char *const variants[] = {"consolidated*", "*.fp16.*", "*.bf16.*", "*.non_ema.*", "*.fp32.*", NULL};

/* GGUF's kinds of quantisation, the one to be preferred first; what is none of them comes last. */
static const char *const for_q4[] = {"Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_K", "Q4_0", "Q4_1", "IQ4_NL", "IQ4_XS", "MXFP4", "Q4_K_XL", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0",
                                     "Q3_K_L", "Q3_K_M", "Q3_K_S", "IQ3_M", "IQ3_S", "Q2_K", "F16", "BF16", "F32", NULL};
static const char *const for_16[] = {"F16", "BF16", "F32", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", NULL};
static const char *const for_32[] = {"F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", NULL};
enum { Q4_LAST = 9 /* of for_q4: those of 4 bits */ };

int pick_quantize_of(const char *word, enum pick_quantize *out)
{
    for (size_t i = 0; i < sizeof quantize_words / sizeof *quantize_words; i++) {
        if (strcasecmp(word, quantize_words[i]) == 0) {
            *out = (enum pick_quantize)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *pick_format_name(enum pick_format format)
{
    return format_names[format];
}

static int fits(const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, path, FNM_CASEFOLD) == 0)
            return 1;
    return 0;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int pick_is_safetensors(const char *path)
{
    const char *base = base_of(path);
    return fnmatch("*.safetensors", base, 0) == 0 || fnmatch("pytorch_model*.bin", base, 0) == 0;
}

int pick_is_gguf(const char *path)
{
    const char *base = base_of(path);
    return fnmatch("*.gguf", base, FNM_CASEFOLD) == 0 && fnmatch("*mmproj*", base, FNM_CASEFOLD) != 0 && fnmatch("*imatrix*", base, FNM_CASEFOLD) != 0;
}

const char *pick_part(const char *path, unsigned *part, unsigned *parts_n)
{
    static const char shape[] = "-#####-of-#####.";
    enum { SHAPE_N = sizeof shape - 1 };
    const char *dot = strrchr(path, '.');
    if (!dot || dot - path < SHAPE_N - 1)
        return NULL;
    const char *at = dot - (SHAPE_N - 1);
    for (size_t i = 0; i < SHAPE_N; i++)
        if (shape[i] == '#' ? at[i] < '0' || at[i] > '9' : at[i] != shape[i])
            return NULL;
    *part = (unsigned)strtoul(at + 1, NULL, 10);
    *parts_n = (unsigned)strtoul(at + 10, NULL, 10);
    return at + 1;
}

static int is_inside_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* 1 where the name has the label as a word of its own, in whatever case. */
static int has_label(const char *path, const char *label)
{
    size_t n = strlen(label);
    for (const char *at = path; *at; at++)
        if (strncasecmp(at, label, n) == 0 && !is_inside_word(at[n]) && (at == path || !is_inside_word(at[-1])))
            return 1;
    return 0;
}

unsigned pick_rank(const char *path, enum pick_quantize quantize)
{
    const char *const *labels = quantize == PICK_FP32 ? for_32 : quantize == PICK_FP16 || quantize == PICK_NO ? for_16 : for_q4;
    unsigned rank = 0;
    while (labels[rank] && !has_label(path, labels[rank]))
        rank++;
    return rank;
}

int pick_is_q4(const char *path)
{
    return pick_rank(path, PICK_Q4) <= Q4_LAST;
}

/* 1 where [models] allow and ignore leave it in. */
static int is_offered(const struct settings *s, const char *path)
{
    return !names_match(s->ignore, path) && (s->allow->items_n == 0 || names_match(s->allow, path));
}

int pick_is_gguf_first(const char *path)
{
    unsigned part = 1, parts_n = 1;
    return pick_is_gguf(path) && (!pick_part(path, &part, &parts_n) || part == 1);
}

/* The GGUF file to be preferred; the first part of several. */
static const struct tree_file *best_gguf(const struct tree *tree, const struct settings *s, enum pick_quantize quantize)
{
    const struct tree_file *best = NULL;
    unsigned best_rank = 0;
    for (size_t i = 0; i < tree->files_n; i++) {
        const struct tree_file *file = &tree->files[i];
        if (!pick_is_gguf_first(file->path) || !is_offered(s, file->path))
            continue;
        unsigned rank = pick_rank(file->path, quantize);
        if (!best || rank < best_rank) {
            best = file;
            best_rank = rank;
        }
    }
    return best;
}

static void want_gguf(struct tree *tree, const struct tree_file *first)
{
    unsigned part = 1, parts_n = 1;
    const char *number = pick_part(first->path, &part, &parts_n);
    size_t same_n = number ? (size_t)(number - first->path) : 0;
    for (size_t i = 0; i < tree->files_n; i++) {
        struct tree_file *file = &tree->files[i];
        unsigned other_part, other_n;
        const char *other = number ? pick_part(file->path, &other_part, &other_n) : NULL;
        file->is_wanted = file == first || (other && (size_t)(other - file->path) == same_n && strncmp(file->path, first->path, same_n) == 0 && other_n == parts_n);
    }
}

/* What the weights of Transformers are among; those of PyTorch count where there are no others. */
struct weights {
    int has_safetensors, has_top, has_plain;
};

static int counts(const struct weights *w, const char *path)
{
    return pick_is_safetensors(path) && (!w->has_safetensors || fnmatch("*.safetensors", path, 0) == 0) && (!w->has_top || !strchr(path, '/')) &&
           (!w->has_plain || !fits(variants, base_of(path)));
}

static void see_weights(const struct tree *tree, const struct settings *s, struct weights *w)
{
    *w = (struct weights){0};
    for (size_t i = 0; i < tree->files_n; i++)
        w->has_safetensors |= fnmatch("*.safetensors", tree->files[i].path, 0) == 0 && is_offered(s, tree->files[i].path);
    for (size_t i = 0; i < tree->files_n; i++)
        w->has_top |= counts(w, tree->files[i].path) && !strchr(tree->files[i].path, '/') && is_offered(s, tree->files[i].path);
    for (size_t i = 0; i < tree->files_n; i++)
        w->has_plain |= counts(w, tree->files[i].path) && !fits(variants, base_of(tree->files[i].path)) && is_offered(s, tree->files[i].path);
}

static void want_safetensors(struct tree *tree, const struct settings *s)
{
    struct weights w;
    see_weights(tree, s, &w);
    for (size_t i = 0; i < tree->files_n; i++) {
        const char *path = tree->files[i].path;
        int is_wanted = pick_is_safetensors(path) ? counts(&w, path) : !fits(unused, path) && (fits(beside, path) || (s->may_run_code && fnmatch("*.py", path, 0) == 0));
        tree->files[i].is_wanted = is_wanted && !names_match(s->ignore, path);
    }
}

static enum pick_format format_for(const struct tree *tree, const struct settings *s)
{
    int has[2] = {0, 0}, has_any = 0;
    for (size_t i = 0; i < tree->files_n; i++) {
        const char *path = tree->files[i].path;
        if (!is_offered(s, path))
            continue;
        has[CONF_FORMAT_SAFETENSORS] |= pick_is_safetensors(path);
        has[CONF_FORMAT_GGUF] |= pick_is_gguf_first(path);
        has_any |= fnmatch("*.onnx", path, 0) == 0 || fnmatch("*.h5", path, 0) == 0 || fnmatch("*.msgpack", path, 0) == 0 || pick_is_weights(path);
    }
    for (size_t i = 0; i < s->formats_n; i++)
        if (has[s->formats[i]])
            return s->formats[i] == CONF_FORMAT_GGUF ? PICK_GGUF : PICK_SAFETENSORS;
    return has_any ? PICK_OTHER : PICK_NONE;
}

void pick(struct tree *tree, const struct settings *s, enum pick_quantize quantize, struct picked *out)
{
    *out = (struct picked){.format = format_for(tree, s)};
    const struct tree_file *best = out->format == PICK_GGUF ? best_gguf(tree, s, quantize) : NULL;
    if (best)
        want_gguf(tree, best);
    else if (out->format == PICK_SAFETENSORS)
        want_safetensors(tree, s);
    for (size_t i = 0; i < tree->files_n; i++) {
        struct tree_file *file = &tree->files[i];
        if (s->allow->items_n > 0)
            file->is_wanted = is_offered(s, file->path);
        if (file->is_wanted && pick_is_weights(file->path))
            out->weights_bytes += file->bytes_n;
    }
    out->file = best ? best->path : NULL;
    out->is_quantized = quantize == PICK_Q4 || (quantize == PICK_AUTO && (best ? pick_is_q4(best->path) : out->weights_bytes > (uint64_t)s->q4_threshold_bytes));
}
