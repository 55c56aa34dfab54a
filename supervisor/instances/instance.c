/* See instance.h. */
#include "supervisor/instances/instance.h"

#include "supervisor/instances/gpus.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Only who goes to the hub is to have them: what an engine loads is here already. Its own `environment` wins. */
static const char *const not_for_engines[] = {"HF_TOKEN=", "HF_TOKEN_FILE=", "HUGGING_FACE_HUB_TOKEN=", "HUGGING_FACE_HUB_TOKEN_FILE="};

/* One that is asked for a model by its name looks for it where we have it, however that was found. */
static int add_cache(const struct conf *conf, struct list *out)
{
    struct buf text;
    buf_init(&text, 0);
    int error = buf_printf(&text, "HF_HUB_CACHE=%s", conf->hub_cache);
    error = error ? error : list_append(out, buf_data(&text), buf_size(&text));
    buf_fini(&text);
    return error;
}

static int add_environment(const struct conf *conf, const struct conf_engine *engine, const struct engine_values *v, struct list *out)
{
    int error = engine_environment(engine, v, out);
    error = error ? error : add_cache(conf, out);
    for (size_t i = 0; i < sizeof not_for_engines / sizeof *not_for_engines && !error; i++)
        error = list_append(out, not_for_engines[i], strlen(not_for_engines[i]));
    return error;
}

/* What engines would see, as far as it hides GPUs. 0 or -ENOMEM. */
static int count_gpus(const struct conf *conf, const struct conf_engine *engine, unsigned *out)
{
    const struct conf_program alike = {.environment = engine->environment};
    char **environment = conf_environment(conf, &alike, NULL);
    if (!environment)
        return -ENOMEM;
    *out = gpus_count("", environment);
    conf_environment_free(environment);
    return 0;
}

/* The words and variables of this start, and what they need. The lists are the caller's to free. 0 or -errno. */
static int fill_in(const struct instance *i, const struct conf *conf, const struct conf_engine *engine, struct conf_program *out)
{
    char path[START_REQUEST_PATH_BYTES];
    struct engine_values v = {.path = path, .file = i->request.file, .model = i->told.model, .port = i->told.port, .length_n = i->request.length_n,
                              .is_quantized = i->request.is_quantized, .has_remote_code = conf->models.remote_code};
    int error = start_request_path(&i->request, conf->hub_cache, i->told.model, path);
    error = error ? error : count_gpus(conf, engine, &v.gpus_n);
    error = error ? error : engine_words(engine, &v, &out->command);
    return error ? error : add_environment(conf, engine, &v, &out->environment);
}

static void free_lists(struct conf_program *conf)
{
    list_fini(&conf->command);
    list_fini(&conf->environment);
}

/* 0, or -errno with nothing of it left in *plan. */
static int make_plan(struct instance *i, const struct launch_site *site, const struct conf_engine *engine, struct conf_program *conf, struct child_plan *plan)
{
    snprintf(i->none, sizeof i->none, "none");
    *conf = (struct conf_program){.name = i->name, .directory = i->nothing, .ready = i->ready, .live = i->none, .restart = CONF_RESTART_NEVER,
                                  .start_timeout_ms = engine->start_timeout_ms, .stop_timeout_ms = engine->stop_timeout_ms, .stop_signal = SIGTERM,
                                  .backoff_min_ms = 1, .backoff_max_ms = 1, .restart_window_ms = 1, .output_rate = 200};
    int error = fill_in(i, site->conf, engine, conf);
    return error ? error : child_plan_init(plan, site, conf);
}

int instance_make(struct instance *i, const struct child_site *site, const struct conf_engine *engine, char why[CONTRACT_REASON_BYTES])
{
    struct child_plan plan;
    instance_drop(i);
    snprintf(i->name, sizeof i->name, "%.64s:%.130s", engine->name, i->told.model);
    int error = engine_ready(engine, i->told.port, i->ready);
    error = error ? error : make_plan(i, site->launch, engine, &i->conf, &plan);
    if (error) {
        free_lists(&i->conf);
        snprintf(why, CONTRACT_REASON_BYTES, "[engine:%s] makes no command: %s", engine->name, strerror(-error));
        return error;
    }
    list_fini(&i->conf.environment); /* the plan has it */
    child_init(&i->child, site, &i->room, &i->conf, &plan);
    i->is_made = 1;
    return 0;
}

void instance_drop(struct instance *i)
{
    if (!i->is_made)
        return;
    child_fini(&i->child);
    free_lists(&i->conf);
    i->is_made = 0;
}

int instance_is_as(struct instance *i, const struct launch_site *site, const struct conf_engine *engine)
{
    struct conf_program conf;
    struct child_plan plan;
    char ready[ENGINE_URL_BYTES];
    if (engine_ready(engine, i->told.port, ready) < 0 || strcmp(ready, i->ready) != 0)
        return 0;
    int error = make_plan(i, site, engine, &conf, &plan);
    int is_same = !error && plan.launch.signature == i->child.launch.signature;
    free_lists(&conf);
    if (!error)
        child_plan_fini(&plan);
    return error == -ENOMEM ? error : is_same;
}

void instance_keep(struct instance *i, const struct conf_engine *engine)
{
    i->conf.start_timeout_ms = engine->start_timeout_ms;
    i->conf.stop_timeout_ms = engine->stop_timeout_ms;
}

static void add(char out[CONTRACT_REASON_BYTES], const char *format, ...) PRINTF_LIKE(2, 3);
static void add(char out[CONTRACT_REASON_BYTES], const char *format, ...)
{
    size_t n = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + n, CONTRACT_REASON_BYTES - n, format, args);
    va_end(args);
}

void instance_why(const struct instance *i, const char *killed, char out[CONTRACT_REASON_BYTES])
{
    const struct program *p = &i->child.program;
    const char *last = i->child.output.last.text;
    out[0] = '\0';
    if (p->state == CONTRACT_DONE) { /* its reason went with that */
        program_last_exit(p, out, CONTRACT_REASON_BYTES);
        add(out, "%s%.160s", *last ? ": " : "", last);
    } else if (!p->has_exited && !p->shortages_n) {
        add(out, "%.140s; install it, or set command in [engine:%s]", p->reason, i->told.engine);
    } else if (i->is_late) { /* that is no word of its own */
        add(out, "%.60s%s%.160s", p->reason, *last ? "; it said last: " : "", last);
    } else {
        add(out, "%.200s", p->reason);
    }
    if (*killed && !strstr(out, "out of memory"))
        add(out, "; the kernel has killed a process of this machine for want of memory, %s", killed);
    for (char *c = out; *c; c++) /* it will stand between double quotes, on one line */
        *c = *c == '"' ? '\'' : (unsigned char)*c < 0x20 ? ' ' : *c;
}
