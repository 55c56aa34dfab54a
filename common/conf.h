/*
 * conf: what supervisor.ini and the environment say, read by every program through the same code.
 *
 * Environment wins over ini, ini over default. A struct conf is built once, checked as a whole, and constant
 * from then on; a reload builds another one.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/diag.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/presets.h"

enum {
    CONF_PROGRAMS_MAX = 32,
    CONF_LISTEN_MAX = 16,
    CONF_LINE_BYTES = 8192, /* the longest line of the ini file */
    CONF_LINES_MAX = 20000,
    CONF_OOM_BYTES = 8,
    CONF_PINS_MAX = 64,
    CONF_KEYS_MAX = 64,
    CONF_BACKENDS_MAX = 64,
    CONF_CONTAINERS_BYTES = 256 * 1024,
    CONF_STRATEGIES_MAX = 16,
    CONF_ENGINES_MAX = 16,
    CONF_CACHE_MODELS_MAX = 8, /* [models] max_cache_models */
    CONF_NAME_N = 64, /* the longest NAME of [section:NAME] */
    CONF_PIN_VALUES_MAX = 7,
    CONF_PIN_JSON_BYTES = 48,
};
#define CONF_DAY_MS (24LL * 3600 * 1000)
#define CONF_YEAR_MS (366LL * CONF_DAY_MS)
#define CONF_TERABYTE (1LL << 40)

enum conf_kind {
    CONF_DURATION, CONF_SIZE, CONF_INTEGER, CONF_BOOL, CONF_WORD, CONF_TEXT, CONF_LIST, CONF_COMMAND, CONF_SIGNAL,
    CONF_BYTES = CONF_SIZE,
};

enum conf_idle_action { CONF_IDLE_EXIT, CONF_IDLE_SUSPEND, CONF_IDLE_STOP, CONF_IDLE_NONE };
enum conf_restart { CONF_RESTART_ALWAYS, CONF_RESTART_ON_FAILURE, CONF_RESTART_NEVER };
enum conf_start { CONF_START_BOOT, CONF_START_READY };
enum conf_access_log { CONF_ACCESS_LOG_OFF, CONF_ACCESS_LOG_TEXT, CONF_ACCESS_LOG_JSON };
enum conf_pull_missing { CONF_PULL_MISSING_PRESETS, CONF_PULL_MISSING_YES, CONF_PULL_MISSING_NO };
enum conf_heartbeat { CONF_HEARTBEAT_COMMENT, CONF_HEARTBEAT_CHUNK, CONF_HEARTBEAT_OFF };
enum conf_encoding { CONF_ENCODING_OFF, CONF_ENCODING_NONE, CONF_ENCODING_IDENTITY };
enum conf_open { CONF_OPEN_NO, CONF_OPEN_PRIVATE, CONF_OPEN_YES };
/* [key:NAME] heartbeat: what [proxy] says, else a word of its own. */
enum conf_key_heartbeat { CONF_KEY_HEARTBEAT_PROXY, CONF_KEY_HEARTBEAT_COMMENT, CONF_KEY_HEARTBEAT_CHUNK, CONF_KEY_HEARTBEAT_OFF };
enum conf_share { CONF_SHARE_ALL, CONF_SHARE_DETERMINISTIC, CONF_SHARE_OFF };
enum conf_cache { CONF_CACHE_OFF, CONF_CACHE_MEMORY, CONF_CACHE_REDIS };
enum conf_cache_requests { CONF_CACHE_REQUESTS_DETERMINISTIC, CONF_CACHE_REQUESTS_ALL };
enum conf_targets { CONF_TARGETS_LOCAL, CONF_TARGETS_ALL };
enum conf_tools { CONF_TOOLS_WORDS, CONF_TOOLS_NATIVE };
enum conf_backend_api { CONF_BACKEND_API_OLLAMA, CONF_BACKEND_API_OPENAI };
/* What a key may do, as bits. */
enum conf_right { CONF_RIGHT_INFERENCE = 1, CONF_RIGHT_OBSERVE = 2, CONF_RIGHT_MANAGE = 4 };
enum conf_format { CONF_FORMAT_SAFETENSORS, CONF_FORMAT_GGUF }; /* [engine:NAME] formats */
enum conf_manage { CONF_MANAGE_LOOPBACK, CONF_MANAGE_PRIVATE };

struct conf_chunk;

/* Where a value comes from. */
struct conf_origin {
    enum { CONF_FROM_DEFAULT, CONF_FROM_FILE, CONF_FROM_ENVIRONMENT, CONF_FROM_BUILT_IN, CONF_FROM_CONTAINERS } kind;
    int line;             /* CONF_FROM_FILE, CONF_FROM_CONTAINERS */
    const char *variable; /* CONF_FROM_ENVIRONMENT */
    const char *text;     /* as written, after expansion */
};

/* One struct conf_SECTION for each section of the table: durations `key_ms`, sizes `key_bytes`, BYTES as the key. */
#define CONF_FIELD_DURATION(key) int64_t key##_ms;
#define CONF_FIELD_SIZE(key) int64_t key##_bytes;
#define CONF_FIELD_BYTES(key) int64_t key;
#define CONF_FIELD_INTEGER(key) int64_t key;
#define CONF_FIELD_BOOL(key) int key;
#define CONF_FIELD_WORD(key) int key;
#define CONF_FIELD_SIGNAL(key) int key;
#define CONF_FIELD_TEXT(key) char *key;
#define CONF_FIELD_LIST(key) struct list key;
#define CONF_FIELD_COMMAND(key) struct list key;
#define SECTION(section, is_named, help) \
    struct conf_##section {              \
        char *name;                      \
        int line;                        \
        struct conf_origin *origins;
#define PARAM(section, kind, key, def, min, max, state, help) CONF_FIELD_##kind(key)
#define END_SECTION \
    }               \
    ;
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION

/* NAME=value of [environment], or of an env_file. */
struct conf_variable {
    char *name, *value;
    int line;
};

struct conf_variables {
    struct conf_variable *items;
    size_t items_n;
};

/* One of a program's limits, in setrlimit(2)'s own unit; SYS_UNLIMITED. */
struct conf_limit {
    const char *name; /* static */
    int resource;
    uint64_t soft, hard;
};

/* What a program is started as: its rows user to limits, with names looked up. */
struct conf_rights {
    int has_ids;    /* uid and gid are to be set: they are not the supervisor's */
    int has_groups; /* the supplementary ones are to be set */
    unsigned uid, gid;
    unsigned *groups;
    size_t groups_n;
    char *user, *home, *shell;       /* of another user than the supervisor's: USER, HOME, SHELL; else NULL */
    int umask;                       /* -1: the supervisor's */
    int nice;                        /* 0: the supervisor's */
    char oom_score_adj[CONF_OOM_BYTES]; /* as text, as /proc wants it; "": the supervisor's */
    int no_new_privileges;
    struct conf_limit *limits;
    size_t limits_n;
};

/* What a pin sets: a member of a request, or of its options. */
struct conf_pin_value {
    const char *name; /* static */
    int is_option;
    char json[CONF_PIN_JSON_BYTES];
};

/* Who reads. The supervisor looks up users and secrets, as it starts programs. Its children take for granted what it has
 * checked, and may not be allowed to read the files that it read: what is in them came by their environment. An asker looks for the
 * supervisor alone: no mistake in models.json keeps it away from who would tell it. */
enum conf_reader { CONF_READER_ANY, CONF_READER_CHILD, CONF_READER_SUPERVISOR, CONF_READER_ASKER };

/* What our Ollama takes memory by, where a request says nothing. */
struct conf_ollama_memory {
    int64_t context_n; /* tokens: OLLAMA_CONTEXT_LENGTH */
    int cache_bytes;   /* of 32 elements of the KV cache: OLLAMA_KV_CACHE_TYPE; in force with flash attention only */
    int is_flash;      /* OLLAMA_FLASH_ATTENTION */
    int is_gpu_asked;  /* one that it uses only where it is told to: OLLAMA_VULKAN, OLLAMA_INTEL_GPU */
};

struct conf {
    enum conf_reader reader;
    int is_handed;  /* text and expanded were handed down by the supervisor */
    char *file;     /* absolute path of the ini; NULL where there is none */
    char *base_dir; /* relative paths start here */
    const char *text; /* of the file, as it was read; NULL where there is none */
    size_t text_n;
    const char *presets_text; /* of models.json, as it was read; NULL where there is none */
    size_t presets_text_n;
    const char *containers_text; /* of [proxy] containers, the same */
    size_t containers_text_n;
    struct presets presets;   /* what is in it; the supervisor keeps the text alone */
    struct conf_supervisor supervisor;
    struct conf_preload preload;
    struct conf_proxy proxy;
    struct conf_models models;
    struct conf_optimizer optimizer;
    struct conf_balancer balancer;
    struct conf_redis redis; /* password: also where it stands in a file; "" where it is in url, or there is none */
    size_t programs_n, pins_n, keys_n, backends_n, strategies_n, engines_n;
    struct conf_variables environment; /* [environment] */
    struct conf_variables env_file;
    struct conf_variables expanded; /* what the file's %(ENV_NAME)s stood for; a child takes it over */
    struct conf_variables secrets; /* what must not be shown, under its variable's name or its file's path */
    /* derived by conf_check */
    struct address listen[CONF_LISTEN_MAX];
    size_t listen_n;
    struct address ollama;  /* where our `ollama serve` binds (OLLAMA_HOST for it) */
    struct address backend; /* where the proxy and the preloader reach Ollama */
    int64_t ollama_parallel; /* requests at once that our ollama takes for one model; 0: it chooses by itself */
    int64_t ollama_keep_alive_ms; /* how long our ollama keeps a model that was used; -1: for ever */
    struct conf_ollama_memory ollama_memory;
    const char *second_control_socket; /* where it is when control_socket can't be had: in state_dir; "": nowhere else */
    int is_backend_ours;    /* the backend is the ollama that we supervise */
    int is_alone;           /* the model server is: there is no Ollama beside it, as [models] serve = yes and [program:ollama] autostart = no */
    int is_fleet;           /* some backend is a member: those are the Ollamas, and `backend` has no meaning */
    int is_ollama_moved;    /* OLLAMA_HOST's port was one of our listeners' */
    const char *hub_cache;    /* the folder of models--ORG--NAME, absolute; NULL where [models] serve = no, but for who runs a program by hand */
    const char *hub_endpoint; /* the hub's URL without a slash at its end; the same */
    char **environment_in;  /* the process's environment, borrowed */
    struct conf_chunk *chunks; /* all texts; freed with the whole */
    /* The last, as each is cleared when there is a section for it: the others cost no memory. */
    struct conf_pin pins[CONF_PINS_MAX];
    struct conf_key keys[CONF_KEYS_MAX];             /* secret: the key, also where it stands in a file; "" where secret_hash is set */
    struct conf_backend backends[CONF_BACKENDS_MAX]; /* key: the same; "" where it has none; slots: of a member at least 1 */
    struct conf_strategy strategies[CONF_STRATEGIES_MAX]; /* by min_tokens; model: the one that answers, also of map-reduce */
#ifdef WITH_MODELS
    struct conf_engine engines[CONF_ENGINES_MAX]; /* the built-in ones first: vllm, transformers, llama; none where nobody says a word of them */
#endif
    struct conf_variables program_env_files[CONF_PROGRAMS_MAX]; /* beside programs */
    struct conf_rights rights[CONF_PROGRAMS_MAX];               /* beside programs; the supervisor's alone */
    struct conf_program programs[CONF_PROGRAMS_MAX];            /* the built-in ones first: ollama, proxy, preload */
};

/* Reads the file (path NULL: ./supervisor.ini, else /etc/ollama-sidecar/supervisor.ini, else none), then the
 * environment, then checks all of it. Returns 0 with *out (caller frees by conf_free), also when there were only
 * warnings; -EINVAL with every mistake in d, *out NULL; -ENOMEM. */
int conf_load(struct conf **out, const char *path, char **environment, struct diag *d) WARN_UNUSED;
/* The same for the supervisor: it also looks up users and groups, compares limits with its own, and reads secrets. */
int conf_load_to_start(struct conf **out, const char *path, char **environment, struct diag *d) WARN_UNUSED;
/* The same for who wants to know where the supervisor is: models.json is not read. With -EINVAL *out is what could be read, for its socket and listeners alone, or
 * NULL; the caller frees it. */
int conf_load_to_ask(struct conf **out, const char *path, char **environment, struct diag *d) WARN_UNUSED;
void conf_free(struct conf **conf);

/* The file's text, what its variables stood for, and the texts of models.json and of [proxy] containers, as the supervisor hands them to its children: their own
 * environment may say otherwise, and the files too by then. Nothing where there is neither file. 0 or -errno. */
int conf_handed_text(const struct conf *c, struct buf *out) WARN_UNUSED;

/* The program of this name, or NULL. */
const struct conf_program *conf_program(const struct conf *c, const char *name);
/* What a program is started as: one of c's, or one that the caller has made, which is started as we are. */
const struct conf_rights *conf_rights(const struct conf *c, const struct conf_program *p);

/* The pin of a model: its own section, else [pin:*]; NULL where there is neither. */
const struct conf_pin *conf_pin(const struct conf *c, const char *model);
/* What it sets; how many. */
size_t conf_pin_values(const struct conf_pin *p, struct conf_pin_value out[CONF_PIN_VALUES_MAX]);

/* What a key may do: bits of enum conf_right. */
unsigned conf_key_rights(const struct conf_key *k);
/* 1 where its section says a priority, which is then also the most that its requests may have. */
int conf_key_has_priority(const struct conf_key *k);
/* 1 for one of the Ollamas that requests are balanced over. */
static inline int conf_backend_is_member(const struct conf_backend *b)
{
    return b->api == CONF_BACKEND_API_OLLAMA;
}
/* 1 where a list of models, of a key or a backend, names this one: `*` at the end of an entry stands for any rest. One without a slash
 * names no model of another namespace, and a lone `*` all. */
int conf_names_model(const struct list *models, const char *name, size_t name_n);

/* The strategy of this name, or NULL; name need not end with NUL. Its sections stand in c also where the optimizer is not enabled: whoever
 * asks for one has looked for that. The built-in ones are there only where it is. */
const struct conf_strategy *conf_strategy(const struct conf *c, const char *name, size_t name_n);
/* The one whose range has a prompt of so many tokens, or NULL: the ranges may have gaps. */
const struct conf_strategy *conf_strategy_for(const struct conf *c, uint64_t tokens_n);
/* 1 for map-reduce: map_model and reduce_model are set. */
static inline int conf_strategy_is_map(const struct conf_strategy *s)
{
    return *s->map_model != '\0';
}
/* One of a strategy's options: its name, which no other of them has, and its value as JSON, both within options. */
struct conf_option {
    const char *name;
    size_t name_n;
    const char *json;
};
/* The option number i, below s->options.items_n. */
void conf_strategy_option_at(const struct conf_strategy *s, size_t i, struct conf_option *out);
/* 1 and the number, where this option is set, and is a whole number; else 0. */
int conf_strategy_option(const struct conf_strategy *s, const char *name, int64_t *number);
/* The num_ctx in force for one of its models: that of the model's pin, else the strategy's option, else 0: nobody says. */
int64_t conf_strategy_num_ctx(const struct conf *c, const struct conf_strategy *s, const char *model);

#ifdef WITH_MODELS
/* The engine of this name, or NULL. */
const struct conf_engine *conf_engine(const struct conf *c, const char *name);
#endif

/* The environment of a program as an envp array: defaults < [environment] < env_file < process < the program's own
 * env_file < its environment. Where it runs as another user, HOME and the like are that user's; where the supervisor
 * reads, a secret's NAME_FILE has become NAME.
 * extra: further NAME=value, NULL-terminated, that win over all, and may be written to. The other strings may be those of
 * the environment that c was loaded with, which must stay. Behind the NULL is room for one more. NULL: no memory.
 * The caller frees with conf_environment_free. */
char **conf_environment(const struct conf *c, const struct conf_program *p, const char *const *extra);
void conf_environment_free(char **environment);
/* The value of a variable in such an array, or NULL. */
const char *conf_variable(char *const *environment, const char *name);
/* … NULL also where it is empty. */
const char *conf_variable_said(char *const *environment, const char *name);

/* For its proxy: the text of CONTRACT_ENV_MEMORY. */
enum { CONF_OLLAMA_MEMORY_BYTES = 40 };
void conf_ollama_memory_write(const struct conf_ollama_memory *m, char out[CONF_OLLAMA_MEMORY_BYTES]);

/* The models to preload, from OLLAMA_PRELOAD_MODELS, [preload] models, or the file: checked, without duplicates; none where nobody gets them.
 * 0; -EINVAL with the mistakes in d (as FILE:LINE); -ENOMEM. */
int conf_preload_list(const struct conf *c, struct list *out, struct diag *d) WARN_UNUSED;

/* Whom idle_action = suspend asks, and for which machine: FLY_APP_NAME and FLY_MACHINE_ID of the environment, fit for a URL, both
 * borrowed; suspend_socket is a socket. 0, or -errno with a sentence in why (PARSE_WHY_BYTES). */
int conf_machine(const struct conf *c, const char **app, const char **machine, char *why) WARN_UNUSED;

/* An absolute path: relative ones start at the ini's folder. malloc'd; NULL: no memory. */
char *conf_path(const struct conf *c, const char *path);

/* The configuration in force with the origin of each value, as an ini file. 0 or -errno. */
int conf_dump(const struct conf *c, struct buf *out) WARN_UNUSED;
/* The same as JSON, for who shows it (docs/status-api.md): appends an array of {"section","key","value","source","where","default"}. Secrets are
 * left out. 0 or -errno. */
int conf_settings(const struct conf *c, struct buf *out) WARN_UNUSED;
/* The values of one unnamed section, as `key = value` lines: equal texts mean equal sections. The proxy's has [models],
 * [optimizer], [balancer], [redis], the pins, keys, backends and strategies too, which it alone reads: with their secrets, for nobody's eyes; the preloader's has the Ollamas of a fleet. 0 or -errno. */
int conf_section_values(const struct conf *c, const char *section, struct buf *out) WARN_UNUSED;
/* Every parameter with its default and help, as a commented ini file. 0 or -errno. */
int conf_help(struct buf *out) WARN_UNUSED;

/* One duration of an unnamed section, for who reads no configuration: the environment's SIDECAR_<SECTION>_<KEY>, else the
 * default. 0, or -EINVAL with the mistake in d. */
int conf_lone_duration_ms(const char *section, const char *key, char *const *environment, int64_t *out_ms,
                          struct diag *d) WARN_UNUSED;

/* -c FILE, --check, --dump, --help, --version: the same for every program. */
typedef int conf_help_fn(struct buf *out);
struct conf_options {
    conf_help_fn *help; /* for the caller to set: conf_help, behind the rest of --help; NULL: where that is told */
    const char *file;
    int is_check, is_dump;
    int is_supervisor; /* for the caller to set: conf_load_to_start */
    int rest_at; /* argv index of what follows `--`, 0 where there is none */
    int operands_at; /* argv index of the first word that is no option, with which reading ends; 0 where there is none */
};

/* Reads the command line. usage: what --help prints before the options. Returns -1 to go on, else the exit code. */
int conf_options(struct conf_options *o, int argc, char **argv, const char *usage);
/* The same for a program that runs no command: `--` is a mistake, and so is a word that is no option. */
int conf_options_alone(struct conf_options *o, int argc, char **argv, const char *usage);
/* Loads for a main(): prints mistakes and warnings, does --check and --dump. Returns -1 to go on, else the exit code
 * (0, 100, 111). */
int conf_main(struct conf **out, const struct conf_options *o, char **environment);

#endif
