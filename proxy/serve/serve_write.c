/* See serve_state.h. What GET /status tells of engines, instances, failures and the cache. */
#include "proxy/json_write.h"
#include "proxy/serve/serve_state.h"

#include <stdio.h>
#include <string.h>

static int is_in_use(const struct conf *conf, const char *engine)
{
    for (size_t i = 0; i < conf->models.engines.items_n; i++)
        if (strcmp(conf->models.engines.items[i], engine) == 0)
            return 1;
    return 0;
}

static void write_engine(struct json_write *w, const struct conf *conf, const struct conf_engine *e)
{
    char why[CONTRACT_REASON_BYTES];
    int is_installed = serve_is_installed(e, why), is_used = is_in_use(conf, e->name);
    json_write_named_text(w, "{\"name\":", e->name);
    json_write_named_bool(w, ",\"installed\":", is_installed);
    json_write_named_bool(w, ",\"used\":", is_used);
    json_write_named_text(w, ",\"command\":", e->command.items_n > 0 ? e->command.items[0] : ""); /* the rest may have a secret in it */
    json_write_named_text(w, ",\"formats\":", e->formats == CONF_FORMAT_GGUF ? "gguf" : "safetensors");
    json_write_named_text(w, ",\"why\":", !is_installed ? why : is_used ? NULL : "[models] engines does not name it");
    json_write_text(w, "}");
}

static void write_instance(struct json_write *w, const struct serve *s, const struct engines_model *m)
{
    const struct contract_instance_view *row = NULL;
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        if (s->rows[i].number == m->number)
            row = &s->rows[i];
    json_write_named_text(w, "{\"model\":", m->name);
    json_write_named_text(w, ",\"engine\":", s->engines.rules.names[m->engine]);
    json_write_named_text(w, ",\"state\":", engines_state_name(m->state));
    json_write_named_bool(w, ",\"quantized\":", m->is_quantized);
    json_write_named_number(w, ",\"pid\":", row ? row->pid : -1);
    json_write_named_number(w, ",\"port\":", row ? row->port : -1);
    json_write_named_number(w, ",\"in_use\":", m->users_n);
    json_write_named_number(w, ",\"load_duration\":", m->load_ms > 0 ? m->load_ms * 1000000 : -1);
    json_write_named_number(w, ",\"unused_ms\":", m->users_n == 0 ? loop_now_ms(s->env->loop) - m->used_ms : -1);
    json_write_text(w, "}");
}

static void write_failed(struct json_write *w, const struct serve *s, const struct engines_model *m)
{
    char text[CONTRACT_REASON_BYTES + CONF_NAME_N + 16];
    int64_t left_ms = m->state == ENGINES_RESTING ? m->rest_until_ms - loop_now_ms(s->env->loop) : 0;
    int is_first = 1;
    json_write_named_text(w, "{\"model\":", m->name);
    json_write_text(w, ",\"reasons\":[");
    for (size_t i = 0; i < m->tries_n; i++) {
        if (!*m->tries[i].why)
            continue;
        engines_why_not(&s->engines, &m->tries[i], text, sizeof text);
        json_write_named_text(w, is_first ? "" : ",", text);
        is_first = 0;
    }
    json_write_named_number(w, "],\"retry_in_s\":", left_ms > 0 ? (left_ms + 999) / 1000 : 0);
    json_write_text(w, "}");
}

static int has_instance(const struct engines_model *m)
{
    return m->number != 0;
}

static void write_models(struct json_write *w, const struct serve *s, const struct list *shown, int (*is_one)(const struct engines_model *),
                         void (*write_one)(struct json_write *, const struct serve *, const struct engines_model *))
{
    int is_first = 1;
    for (const struct engines_model *m = s->engines.first; m; m = m->next) {
        if (!is_one(m) || (shown && !conf_names_model(shown, m->name, strlen(m->name))))
            continue;
        if (!is_first)
            json_write_text(w, ",");
        write_one(w, s, m);
        is_first = 0;
    }
}

static void write_cache(struct json_write *w, const struct serve *s)
{
    int64_t free_bytes, bytes = 0;
    const char *path = shelf_cache(s->list.shelf, &free_bytes);
    const struct shelf_model *m;
    size_t models_n = 0;
    for (; (m = shelf_at(s->list.shelf, models_n)); models_n++)
        bytes += m->size_bytes > 0 ? m->size_bytes : 0;
    json_write_named_text(w, "{\"path\":", *path || !s->env->conf->hub_cache ? path : s->env->conf->hub_cache);
    json_write_named_number(w, ",\"models\":", (int64_t)models_n);
    json_write_named_number(w, ",\"bytes\":", bytes);
    json_write_named_number(w, ",\"free\":", free_bytes);
    json_write_named_text(w, ",\"why\":", *s->list.why ? s->list.why : NULL);
    json_write_text(w, "}");
}

static void write_settings(struct json_write *w, const struct conf *conf)
{
    json_write_named_number(w, "{\"max_cache_models\":", conf->models.max_cache_models);
    json_write_named_number(w, ",\"load_cooldown_s\":", conf->models.load_cooldown_ms / 1000);
    json_write_named_number(w, ",\"q4_threshold_bytes\":", conf->models.q4_threshold_bytes);
    json_write_named_number(w, ",\"max_length\":", conf->models.max_length);
    json_write_named_bool(w, ",\"remote_code\":", conf->models.remote_code);
    json_write_text(w, ",\"engines\":[");
    for (size_t i = 0; i < conf->models.engines.items_n; i++)
        json_write_named_text(w, i ? "," : "", conf->models.engines.items[i]);
    json_write_named_text(w, "],\"hub\":", conf->hub_endpoint ? conf->hub_endpoint : "");
    json_write_text(w, "}");
}

int serve_gather(const struct serve *s, struct serve_facts *out)
{
    if (!s)
        return 0;
    out->models_n = 0;
    for (const struct engines_model *m = s->engines.first; m && out->models_n < SERVE_FACTS_MODELS; m = m->next)
        if (m->number || m->first)
            out->models[out->models_n++] = (struct serve_fact){
                .model = m->name, .engine = m->number ? s->engines.rules.names[m->engine] : "", .state = engines_state_name(m->state),
                .is_ready = m->state == ENGINES_READY, .in_use_n = m->users_n, .waiting_n = m->leases_n - m->users_n, .load_ms = m->load_ms};
    return 1;
}

int serve_write(const struct serve *s, const struct list *shown, struct buf *out)
{
    const struct conf *conf = s->env->conf;
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "\"engines\":[");
    for (size_t i = 0; i < conf->engines_n; i++) {
        if (i)
            json_write_text(&w, ",");
        write_engine(&w, conf, &conf->engines[i]);
    }
    json_write_text(&w, "],\"instances\":[");
    write_models(&w, s, shown, has_instance, write_instance);
    json_write_text(&w, "],\"failed\":[");
    write_models(&w, s, shown, engines_has_failed, write_failed);
    json_write_text(&w, "],\"cache\":");
    write_cache(&w, s);
    json_write_text(&w, ",\"settings\":");
    write_settings(&w, conf);
    json_write_text(&w, ",\"gpus\":");
    return w.error ? w.error : serve_write_gpus(s, out);
}
