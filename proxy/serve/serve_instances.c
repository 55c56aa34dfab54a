/* See serve_state.h. An engine as a request sees it: a server on this machine that speaks OpenAI's API, with a line of its own. */
#include "proxy/serve/serve_state.h"

#include <stdlib.h>
#include <string.h>

static void on_queue_work(void *context)
{
    struct serve_instance *i = context;
    queue_review(&i->queue, loop_now_ms(i->loop));
}

static const struct contract_instance_view *row_of(const struct serve *s, uint32_t number)
{
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        if (s->rows[i].number == number)
            return &s->rows[i];
    return NULL;
}

static struct serve_instance *instance_new(struct serve *s, const struct contract_instance_view *row)
{
    const struct conf_engine *e = conf_engine(s->env->conf, row->engine); /* NULL: only a later configuration has it */
    struct address at = {.host = "127.0.0.1", .port = row->port};
    char why[256];
    struct serve_instance *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    if (backend_init(&i->backend, s->env->loop, &at, why, sizeof why) < 0) {
        free(i);
        return NULL;
    }
    i->loop = s->env->loop;
    i->number = row->number;
    memcpy(i->name, row->engine, sizeof i->name);
    i->upstream = (struct upstream){.name = i->name, .api = BACKEND_API_OPENAI, .backend = &i->backend, .queue = &i->queue, .queue_work = &i->queue_work,
                                    .path = "", .why = "", .is_hosted = 1};
    i->queue_work = (struct deferred){.fn = on_queue_work, .context = i};
    queue_init(&i->queue, e ? (size_t)e->slots : 0, &s->env->waiting);
    i->next = s->instances;
    s->instances = i;
    return i;
}

struct serve_instance *serve_instance_of(struct serve *s, uint32_t number)
{
    const struct contract_instance_view *row = row_of(s, number);
    for (struct serve_instance *i = s->instances; i; i = i->next)
        if (i->number == number)
            return i;
    return row ? instance_new(s, row) : NULL;
}

static void instance_free(struct serve_instance *i)
{
    loop_forget(i->loop, &i->queue_work);
    queue_fini(&i->queue);
    backend_fini(&i->backend);
    free(i);
}

static int is_up(const struct serve *s, uint32_t number)
{
    const struct contract_instance_view *row = row_of(s, number);
    return row && row->state == CONTRACT_READY;
}

void serve_instances_forget(struct serve *s, int is_all)
{
    for (struct serve_instance **at = &s->instances; *at;) {
        struct serve_instance *i = *at;
        if (!is_all && (i->leases_n > 0 || is_up(s, i->number))) {
            at = &i->next;
            continue;
        }
        *at = i->next;
        instance_free(i);
    }
}
