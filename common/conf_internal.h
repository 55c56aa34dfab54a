/* What the files of conf share with each other and with nobody else. conf.h is the way in. */
#ifndef COMMON_CONF_INTERNAL_H
#define COMMON_CONF_INTERNAL_H

#include "common/conf.h"

/* A row of the table, without a pointer: each would be a relocation, 24 bytes where they can't be packed, in a page that is each process's own. */
struct conf_param {
    int64_t min, max;
    uint16_t texts_at; /* its key, its default and its words, one behind another */
    uint16_t offset;   /* of the value in struct conf_SECTION */
    uint8_t section;   /* in conf_sections */
    uint8_t kind;      /* enum conf_kind */
    uint8_t is_planned;
};

#ifdef WITH_BALANCER
enum { CONF_HAS_BALANCER = 1 };
#else
enum { CONF_HAS_BALANCER = 0 }; /* make BALANCER=no: what is only for it is not called, and so left out by the linker */
#endif
#define CONF_NO_BALANCER "this build has no balancer: build it with make BALANCER=yes, the image with --build-arg BALANCER=yes"

#ifdef WITH_MODELS
enum { CONF_HAS_MODELS = 1 };
#else
enum { CONF_HAS_MODELS = 0 };
#endif
#define CONF_NO_MODELS "this build has no model server: build it with make MODELS=yes, the image with --build-arg MODELS=yes"

struct conf_section {
    const char *name;
    int is_named;
    const struct conf_param *params;
    size_t params_n;
};

extern const struct conf_section conf_sections[];
extern const size_t conf_sections_n;

/* How every struct conf_SECTION begins. */
struct conf_head {
    char *name;
    int line;
    struct conf_origin *origins;
};

/* A line of the ini file: `key = value` in [section:name], or a header (key NULL). */
struct conf_entry {
    char *section, *name; /* name NULL where the header has none */
    char *key, *value;
    int line;
};

struct conf_entries {
    struct conf_entry *items;
    size_t items_n, room_n;
};

/* conf_text.c: texts that live as long as the conf; NULL: no memory. */
char *conf_text(struct conf *c, const char *text, size_t text_n);
void conf_text_free(struct conf *c);
/* Expands %(ENV_NAME)s, %(ENV_NAME:-default)s and %%. 0; -EINVAL after a mistake was told, -ENOMEM: then *out is NULL. */
int conf_expand(struct conf *c, const char *value, const char *where, int line, struct diag *d, char **out) WARN_UNUSED;
/* The same where %(NAME)s that is no %(ENV_…)s stays as it is: in [engine:NAME]. */
int conf_expand_template(struct conf *c, const char *value, const char *where, int line, struct diag *d, char **out) WARN_UNUSED;
/* A variable of the process's environment, else of the env_file; NULL where unset or empty. */
const char *conf_env(const struct conf *c, const char *name);
/* Appends NAME=value. 0 or -ENOMEM. */
int conf_variables_add(struct conf *c, struct conf_variables *v, const char *name, size_t name_n, const char *value,
                       int line) WARN_UNUSED;

/* conf_read.c: 1 where text can be the NAME of [section:NAME]. */
int conf_is_section_name(const char *name);

/* conf_read.c: the lines of c->file's text into entries; mistakes into d. 0 or -ENOMEM. */
int conf_read_ini(struct conf *c, const char *text, size_t text_n, struct conf_entries *entries, struct diag *d) WARN_UNUSED;
/* The file that an env_file names: none where that is empty or `none`, nor for a child; with a - before it, it need not be there. *path: where
 * it was looked for, or NULL; the caller frees it. 0 or -errno. */
int conf_read_named_env_file(struct conf *c, const char *named, struct conf_variables *out, char **path, struct diag *d) WARN_UNUSED;

/* conf_table.c */
const struct conf_section *conf_find_section(const char *name);
const struct conf_section *conf_param_section(const struct conf_param *p);
/* The texts of a row: its key, its default, and the words that it takes ("" where it takes others). What it is for: conf_help.c. */
const char *conf_param_key(const struct conf_param *p);
const char *conf_param_default(const struct conf_param *p);
const char *conf_param_words(const struct conf_param *p);
const struct conf_param *conf_find_param(const struct conf_section *s, const char *key);
/* The instance of a section, made with its defaults where a named one is new. NULL: no memory, or too many. */
struct conf_head *conf_instance(struct conf *c, const struct conf_section *s, const char *name);
/* Whether there are as many of a named section as there may be: *max of them. */
int conf_is_full(const struct conf *c, const struct conf_section *s, int *max);
/* The nth instance of a section, as the file has them; NULL: there are not so many. */
const struct conf_head *conf_nth_instance(const struct conf *c, const struct conf_section *s, size_t nth);
/* The instance without making one. */
struct conf_head *conf_existing(const struct conf *c, const struct conf_section *s, const char *name);
/* Parses text into the instance. A mistake goes to d. 0, -EINVAL, -ENOMEM. */
int conf_set(struct conf *c, struct conf_head *at, const struct conf_param *p, const char *text,
             const struct conf_origin *origin, struct diag *d) WARN_UNUSED;
struct conf_origin *conf_origin(const struct conf_head *at, const struct conf_section *s, const char *key);
/* Sets what we say ourselves, where the file does not: in [section:name], which is made where it is new and not full. 0 or -ENOMEM. */
int conf_set_built_in(struct conf *c, const char *section, const char *name, const char *key, const char *text,
                      struct diag *d) WARN_UNUSED;
/* What is built in, row by row: name, key, text. 0 or -ENOMEM. */
int conf_set_built_ins(struct conf *c, const char *section, const char *const (*rows)[3], size_t rows_n, struct diag *d) WARN_UNUSED;
/* Tells a mistake at the place where the value was set, or at its section's header. */
void conf_mistake(const struct conf *c, const struct conf_head *at, const char *section, const char *key, struct diag *d,
                  const char *what);
/* The same for what is no mistake, and yet to be known. */
void conf_warning(const struct conf *c, const struct conf_head *at, const char *section, const char *key, struct diag *d,
                  const char *what);
void conf_fini_instance(struct conf_head *at, const struct conf_section *s);

/* conf_env.c: SIDECAR_* and the names of other houses. 0 or -ENOMEM. */
int conf_apply_environment(struct conf *c, struct diag *d) WARN_UNUSED;

/* conf_check.c: built-in programs, derived values, cross-field rules. 0 or -ENOMEM. */
int conf_add_built_in(struct conf *c, struct diag *d) WARN_UNUSED;
int conf_check(struct conf *c, struct diag *d) WARN_UNUSED;

/* conf_listen.c: fills in c->listen. */
void conf_check_listen(struct conf *c, struct diag *d);
/* Whether it leads back to ourselves, as far as addresses show. */
int conf_is_own_listener(const struct conf *c, const struct address *a);
#define CONF_CIRCLE "this is one of our own listeners: requests would go round in a circle"

/* conf_preload.c: [preload] load. */
void conf_check_preload(const struct conf *c, struct diag *d);
/* The list itself, and whether somebody gets it. 0 or -ENOMEM. */
int conf_check_preload_list(const struct conf *c, struct diag *d) WARN_UNUSED;

/* conf_ollama.c: of our Ollama's environment; or of what the supervisor has made of it, where text is that (else the defaults). */
void conf_ollama_memory_read(struct conf_ollama_memory *m, char *const *environment);
void conf_ollama_memory_take(struct conf_ollama_memory *m, const char *text);

/* conf_pin.c: 0, or -EINVAL with the reason: what stands in [pin:HERE]. */
int conf_pin_name(const char *name, char *why) WARN_UNUSED;
void conf_check_pins(const struct conf *c, struct diag *d);

/* conf_keys.c: [key:NAME], conf_backends.c: [backend:NAME]; secrets in files are read, and told to c->secrets. 0 or -ENOMEM. */
int conf_check_keys(struct conf *c, struct diag *d) WARN_UNUSED;
int conf_check_backends(struct conf *c, struct diag *d) WARN_UNUSED;
/* conf_strategies.c: [optimizer], and [strategy:NAME], or those that are built in. 0 or -ENOMEM. */
int conf_check_strategies(struct conf *c, struct diag *d) WARN_UNUSED;
/* conf_libraries.c, for --check: what is loaded only when it is needed can be loaded here. */
void conf_check_libraries(const struct conf *c, struct diag *d);
/* conf_keys.c: the entries of a list of models, of the row `models`; mistakes into d. */
void conf_check_models(const struct conf *c, const struct conf_head *at, const char *section, const struct list *models, struct diag *d);
#ifdef WITH_MODELS
/* conf_engines.c: the built-in [engine:NAME], before the sections of the file, where that, or the environment, says anything of engines.
 * 0 or -ENOMEM. */
int conf_add_engines(struct conf *c, const struct conf_entries *entries, struct diag *d) WARN_UNUSED;
/* [models], [engine:NAME]; fills in c->hub_cache and c->hub_endpoint. 0 or -ENOMEM. */
int conf_check_engines(struct conf *c, struct diag *d) WARN_UNUSED;
#else
static inline int conf_add_engines(struct conf *c, const struct conf_entries *entries, struct diag *d)
{
    (void)c, (void)entries, (void)d;
    return 0;
}
static inline int conf_check_engines(struct conf *c, struct diag *d)
{
    if (c->models.serve)
        conf_mistake(c, (const struct conf_head *)&c->models, "models", "serve", d, CONF_NO_MODELS);
    return 0;
}
#endif
/* conf_row_secrets.c: 1 for a section whose lines may have a secret in them: nothing of one is quoted. */
int conf_has_secret_rows(const char *section);
/* 1 for a row whose value is a secret. */
int conf_is_secret_row(const struct conf_param *p);
/* Puts the secret of a section into its own row: from the row `file_key` names, or what the supervisor has read there. What is wrong
 * with it is told. *value: the secret, "" where there is none, or none that is good. 0 or -ENOMEM. */
int conf_take_row_secret(struct conf *c, struct conf_head *at, const char *section, const char *key, const char *file_key,
                         const char **value, struct diag *d) WARN_UNUSED;
/* The secrets that were read from files, as a child finds them behind c->expanded: SECTION:NAME=SECRET and a NUL. 0 or -errno. */
int conf_hand_row_secrets(const struct conf *c, struct buf *out) WARN_UNUSED;

/* Appends the value of such a row as it may be shown; of a URL all but who asks, and his password. *is_masked: something was left out.
 * 0 or -errno. */
int conf_mask_row(const struct conf_param *p, const char *text, struct buf *out, int *is_masked) WARN_UNUSED;
/* conf_dump.c: the value of a row as it may be shown, with a NUL; *is_masked: something was left out. 0 or -errno. */
int conf_mask_param(const struct conf *c, const struct conf_head *at, const struct conf_param *p, struct buf *out, int *is_masked) WARN_UNUSED;
/* NAME=value, with a NUL, the value masked where it is, or has, a secret. 0 or -errno. */
int conf_mask_pair(const struct conf *c, const char *name, const char *value, struct buf *out) WARN_UNUSED;
/* conf_redis.c: [redis]; its password is read, and told to c->secrets. 0 or -ENOMEM. */
int conf_check_redis(struct conf *c, struct diag *d) WARN_UNUSED;

/* conf_check_trust.c: the lists of [proxy] that say whom to believe, and who may ask. 0 or -ENOMEM. */
int conf_check_trust(const struct conf *c, struct diag *d) WARN_UNUSED;

/* conf_machine.c: idle_action = suspend, suspend_socket. */
void conf_check_machine(const struct conf *c, struct diag *d);

/* conf_fly.c: what can't work on a machine of Fly.io's, where we are on one. */
void conf_check_fly(const struct conf *c, struct diag *d);

/* conf_rights.c: fills in c->rights. 0 or -ENOMEM. */
int conf_check_rights(struct conf *c, struct diag *d) WARN_UNUSED;
void conf_fini_rights(struct conf_rights *r);

/* conf_handed.c: the descriptor of what the supervisor hands to its children; -1: there is none. */
int conf_handed_fd(const struct conf *c);
/* Takes what was read from there apart; the text is all of it where nothing shows that it was handed. 0 or -ENOMEM. */
int conf_take_handed(struct conf *c, const char *bytes, size_t bytes_n) WARN_UNUSED;

/* conf_files.c: a JSON file that a row of [proxy] names. */
struct conf_json_file {
    const char *path, *key; /* key: the row */
    int is_optional;        /* it need not be there */
    size_t most_bytes;
};
/* Its text, as long as the conf; *text stays NULL where it is not there, or what is wrong with it was told. 0 or -ENOMEM. */
int conf_read_json_file(struct conf *c, const struct conf_json_file *f, const char **text, size_t *text_n, struct diag *d) WARN_UNUSED;
/* The path that was found is the row's value, so that a dump says it and can be read back anywhere. 0 or -ENOMEM. */
int conf_set_path(struct conf *c, const char *key, char **field, const char *path) WARN_UNUSED;

/* conf_containers.c: the backends of [proxy] containers, behind those of sections; not checked yet. 0 or -ENOMEM. */
int conf_read_containers(struct conf *c, struct diag *d) WARN_UNUSED;
/* 1 where it is one of those. */
int conf_is_of_containers(const struct conf_backend *b);

/* conf_presets.c: fills in c->presets_text and c->presets. 0 or -ENOMEM. */
int conf_check_presets(struct conf *c, struct diag *d) WARN_UNUSED;
/* Reads c->presets_text, which was found to be good, once more; the caller frees by presets_fini() in either case. 0 or -ENOMEM. */
int conf_accepted_presets(const struct conf *c, struct presets *out) WARN_UNUSED;

/* A program's place in c->programs; c->programs_n for one that is none of c's. */
size_t conf_program_at(const struct conf *c, const struct conf_program *p);

/* conf_secrets.c: the name of a secret, by its number from 0 on; NULL behind the last. */
const char *conf_secret(size_t at);
/* The name of the variable with the path of a secret's file. */
enum { CONF_SECRET_FILE_BYTES = 64 };
void conf_secret_file(const char *secret, char out[CONF_SECRET_FILE_BYTES]);
/* 1 where NAME=value, or NAME, is a secret's. */
int conf_is_secret(const char *pair);
/* What c->secrets has under this name, or path; NULL: nothing. */
const char *conf_known_secret(const struct conf *c, const char *name);
/* Each NAME_FILE of a secret that was read becomes NAME=content. 0 or -ENOMEM. */
int conf_fill_in_secrets(const struct conf *c, char **environment) WARN_UNUSED;
/* The text with *** where a secret's value stands in it. 0 or -errno. */
#define CONF_MASK "***"
int conf_mask(const struct conf *c, const char *text, struct buf *out) WARN_UNUSED;

/* conf_secret_files.c: the file's content without the line end that editors leave; *value NULL where *why says what is wrong with
 * it. 0 or -ENOMEM. */
int conf_read_secret(struct conf *c, const char *path, const char **value, const char **why) WARN_UNUSED;
/* Finds the secrets of all programs' environments, and reads those that are in files. 0 or -ENOMEM. */
int conf_check_secrets(struct conf *c, struct diag *d) WARN_UNUSED;

#endif
