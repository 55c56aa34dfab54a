/* See notice.h. A row that is well again is forgotten, so that the same words are told when it fails once more. */
#include "proxy/observe/notice.h"

#include "common/hash.h"
#include "common/wrong.h"

#include <string.h>

enum { TEXT_BYTES = 640 };

/* What is looked at now. */
struct look {
    struct recent *recent;
    int64_t realtime_ms;
    char trouble[CONTRACT_REASON_BYTES]; /* what has happened to Ollama last; "" */
};

static void tell(const struct look *l, enum error_from from, const char *text)
{
    recent_error(l->recent, from, l->realtime_ms, text, wrong_hint(text), "");
}

/* The same row, with the same words, the same number of times: 0. */
static int is_news(uint64_t *seen, const char *text, uint64_t number)
{
    uint64_t now = hash_add(hash_bytes(HASH_START, text, strlen(text)), number);
    if (*seen == now)
        return 0;
    *seen = now;
    return 1;
}

/* Of a text of the page's, which anybody may have left without its end. */
static void read_name(char out[CONTRACT_NAME_BYTES], const char *name)
{
    memcpy(out, name, CONTRACT_NAME_BYTES);
    out[CONTRACT_NAME_BYTES - 1] = '\0';
}

/* Its end, which the trouble tells already where it is Ollama's. */
static void look_at_program(const struct look *l, uint64_t *seen, const struct contract_program *p)
{
    char name[CONTRACT_NAME_BYTES], reason[CONTRACT_REASON_BYTES], text[TEXT_BYTES];
    uint32_t state = atomic_load(&p->state);
    if (state == CONTRACT_READY || state == CONTRACT_DOWN || state == CONTRACT_DONE)
        *seen = 0;
    if (state != CONTRACT_BACKOFF && state != CONTRACT_FAILED)
        return;
    read_name(name, p->name);
    contract_program_read_reason(p, reason);
    if (wrong_program(text, sizeof text, name, contract_state_name((enum contract_state)state), reason) && is_news(seen, text, atomic_load(&p->restarts_n)) &&
        strcmp(text, l->trouble) != 0)
        tell(l, ERROR_OF_PROGRAM, text);
}

static void look_at_model(const struct look *l, uint64_t *seen, const struct contract_model *m)
{
    struct contract_model_view view;
    char text[TEXT_BYTES];
    if (atomic_load(&m->state) != CONTRACT_MODEL_FAILED) {
        *seen = 0;
        return;
    }
    contract_model_read(m, &view);
    wrong_model(text, sizeof text, view.name, view.reason);
    if (view.state == CONTRACT_MODEL_FAILED && is_news(seen, text, 0))
        tell(l, ERROR_OF_PRELOAD, text);
}

static void look_at_instance(const struct look *l, uint64_t *seen, const struct contract_instance *i)
{
    struct contract_instance_view view;
    char text[TEXT_BYTES];
    if (atomic_load(&i->state) != CONTRACT_FAILED)
        return;
    contract_instance_read(i, &view);
    if (wrong_program(text, sizeof text, view.model, contract_state_name(view.state), view.reason) && is_news(seen, text, view.number))
        tell(l, ERROR_OF_ENGINE, text);
}

/* It may be older than this process. */
static void look_at_trouble(struct look *l, struct notice *n, const struct contract_trouble *t, int64_t now_ms)
{
    int64_t at_ms = atomic_load(&t->at_ms), ago_ms = at_ms < now_ms ? now_ms - at_ms : 0;
    contract_trouble_read(t, 0, l->trouble);
    if (at_ms == n->trouble_at_ms || !*l->trouble)
        return;
    n->trouble_at_ms = at_ms;
    recent_error(l->recent, ERROR_OF_PROGRAM, l->realtime_ms - ago_ms, l->trouble, wrong_hint(l->trouble), "");
}

void notice_page(struct notice *n, const struct contract_page *page, struct recent *r, int64_t now_ms, int64_t realtime_ms)
{
    struct look l = {.recent = r, .realtime_ms = realtime_ms};
    look_at_trouble(&l, n, &page->trouble, now_ms);
    for (size_t i = 0; i < CONTRACT_PROGRAMS; i++)
        look_at_program(&l, &n->programs[i], &page->programs[i]);
    for (size_t i = 0; i < CONTRACT_MODELS; i++)
        look_at_model(&l, &n->models[i], &page->models[i]);
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        look_at_instance(&l, &n->instances[i], &page->instances[i]);
}
