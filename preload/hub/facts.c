/* See facts.h. */
#include "preload/hub/facts.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 4096, CONTEXT_MAX = 100 * 1000 * 1000 };

/* The file's text, malloc'd, or NULL. */
static char *read_file(const char *folder, const char *name)
{
    char path[PATH_BYTES], *text = NULL;
    size_t n = 0;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_BYTES || sys_read_file(path, FACTS_FILE_BYTES, &text, &n) < 0)
        return NULL;
    return text;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Each architecture has its own word for it; models that see have that of their text in an object of its own. */
static int64_t context_of(const cJSON *config)
{
    static const char *const words[] = {"max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx", "model_max_length"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const cJSON *number = member(config, words[i]);
        if (cJSON_IsNumber(number) && number->valuedouble >= 1 && number->valuedouble <= CONTEXT_MAX)
            return (int64_t)number->valuedouble;
    }
    return -1;
}

void facts_take_config(struct facts *facts, const char *json)
{
    cJSON *config = cJSON_Parse(json);
    const char *architecture = cJSON_GetStringValue(cJSON_GetArrayItem(member(config, "architectures"), 0));
    const char *type = cJSON_GetStringValue(member(config, "model_type"));
    facts->context_n = context_of(config);
    if (facts->context_n < 0)
        facts->context_n = context_of(member(config, "text_config"));
    if (architecture || type)
        snprintf(facts->architecture, sizeof facts->architecture, "%s", architecture ? architecture : type);
    cJSON_Delete(config);
}

void facts_take_tokenizer(struct facts *facts, const char *json)
{
    cJSON *config = cJSON_Parse(json);
    const cJSON *template = member(config, "chat_template");
    const char *text = cJSON_GetStringValue(template);
    facts->has_chat_template |= (text && *text) || cJSON_GetArraySize(template) > 0; /* an array of several, by name */
    cJSON_Delete(config);
}

static ssize_t read_gguf(void *context, void *bytes, size_t bytes_n, uint64_t at)
{
    return sys_read_at(*(int *)context, bytes, bytes_n, at);
}

static void take_gguf(struct facts *facts, const char *folder, const char *file)
{
    char path[PATH_BYTES];
    struct gguf gguf;
    int fd = snprintf(path, sizeof path, "%s/%s", folder, file) < PATH_BYTES ? sys_open(path, O_RDONLY | O_NONBLOCK, 0) : -1;
    if (fd < 0)
        return;
    (void)!gguf_read(&gguf, read_gguf, &fd);
    sys_close(fd);
    facts->context_n = gguf.context_n;
    facts->has_chat_template = gguf.has_chat_template;
    snprintf(facts->architecture, sizeof facts->architecture, "%s", gguf.architecture);
    snprintf(facts->name, sizeof facts->name, "%s", gguf.name);
}

static int has_file(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    struct sys_entry entry;
    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_BYTES && sys_look(path, &entry) == 0;
}

void facts_read(struct facts *facts, const char *folder, const char *gguf_file)
{
    *facts = (struct facts){.context_n = -1};
    if (gguf_file) {
        take_gguf(facts, folder, gguf_file);
        return;
    }
    char *config = read_file(folder, "config.json"), *tokenizer = read_file(folder, "tokenizer_config.json");
    if (config)
        facts_take_config(facts, config);
    if (tokenizer)
        facts_take_tokenizer(facts, tokenizer);
    facts->has_chat_template |= has_file(folder, "chat_template.jinja") || has_file(folder, "chat_template.json");
    free(config);
    free(tokenizer);
}

int facts_each_weights(const char *folder, const char *index_path, int (*fn)(void *context, const char *name), void *context)
{
    char *text = read_file(folder, index_path);
    cJSON *index = text ? cJSON_Parse(text) : NULL;
    const cJSON *map = member(index, "weight_map"), *file;
    const char *before = "";
    int found = cJSON_IsObject(map) ? 0 : -EINVAL;
    cJSON_ArrayForEach(file, map)
    {
        const char *name = cJSON_GetStringValue(file);
        if (found == 0 && name && strcmp(name, before) != 0) /* neighbours are mostly in the same one */
            found = fn(context, name);
        before = name ? name : before;
    }
    cJSON_Delete(index);
    free(text);
    return found;
}
