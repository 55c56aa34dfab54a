/* See stalled.h. Ollama 0.9.5 unloads a model when the last request for it has ended, and kills its runner then, which works on one
 * that is stopped too: 50 ms, measured. */
#include "proxy/stalled.h"

#include "common/log.h"
#include "common/parse.h"
#include "proxy/model_body.h"
#include "proxy/model_list.h"

#include <errno.h>
#include <string.h>

enum {
    PATIENCE_MS = 8000,   /* the supervisor has 10 s */
    LOOK_AGAIN_MS = 100,
    RESTART_WITHIN_MS = 5000, /* after our no Ollama is restarted; should that not be, nobody is held longer */
    ANSWER_BYTES = 256 * 1024,
};

static void settle(struct stalled *s)
{
    s->state = STALLED_NOT;
    loop_disarm(s->env->loop, &s->timer);
    own_request_cancel(&s->request);
    s->env->gate.is_stalled = 0;
}

static void answer(struct stalled *s, int is_unloaded)
{
    log_event(LOG_INFO, "unloaded", "models=%zu result=%s", s->models_n, is_unloaded ? "gone" : "still_there");
    (void)!contract_send(s->env->channel_fd, CONTRACT_UNLOADED, (uint32_t)is_unloaded, "");
    own_request_cancel(&s->request);
    if (is_unloaded) {
        settle(s);
        env_review(s->env);
        return;
    }
    s->state = STALLED_GIVEN_UP;
    loop_arm(s->env->loop, &s->timer, loop_now_ms(s->env->loop) + RESTART_WITHIN_MS);
}

int stalled_is_listed(const char *json, size_t json_n, char (*models)[CONTRACT_NAME_BYTES], size_t models_n)
{
    struct json_items items;
    char name[CONTRACT_NAME_BYTES];
    if (model_list_begin(&items, json, json_n) == -EINVAL)
        return 1;
    while (model_list_next(&items, NULL, name, sizeof name))
        for (size_t i = 0; i < models_n; i++)
            if (model_name_equal(name, strlen(name), models[i], strlen(models[i])))
                return 1;
    return 0;
}

/* The next model; then whether they are gone. */
static void go_on(struct stalled *s)
{
    int error;
    if (s->unloaded_n < s->models_n) {
        s->state = STALLED_UNLOADING;
        buf_truncate(&s->body, 0);
        error = model_body_write(&s->body, s->models[s->unloaded_n], ",\"keep_alive\":0}");
        error = error ? error : own_request_start(&s->request, &s->env->tell, "/api/generate", &s->body);
    } else {
        s->state = STALLED_LOOKING;
        error = own_request_start(&s->request, &s->env->tell, "/api/ps", NULL);
    }
    if (error)
        answer(s, 0);
}

static void on_done(void *context, const struct own_answer *got)
{
    struct stalled *s = context;
    int is_whole = got->end == FETCH_DONE && !got->is_unread, is_good = is_whole && got->status == 200;
    if (s->state == STALLED_UNLOADING && is_whole) { /* that of a model that is not there is no 200 */
        s->unloaded_n++;
        go_on(s);
    } else if (s->state == STALLED_LOOKING && is_good && !stalled_is_listed(got->bytes, got->bytes_n, s->models, s->models_n)) {
        answer(s, 1);
    } else if (loop_now_ms(s->env->loop) >= s->until_ms) {
        answer(s, 0);
    } else {
        loop_arm(s->env->loop, &s->timer, loop_now_ms(s->env->loop) + LOOK_AGAIN_MS);
    }
}

static void on_timer(void *context, int64_t now_ms)
{
    struct stalled *s = context;
    if (s->state == STALLED_GIVEN_UP) {
        settle(s);
        env_review(s->env);
    } else if (now_ms >= s->until_ms) {
        answer(s, 0);
    } else {
        loop_arm(s->env->loop, &s->timer, s->until_ms);
        go_on(s);
    }
}

void stalled_init(struct stalled *s, struct env *env)
{
    s->env = env;
    s->state = STALLED_NOT;
    buf_init(&s->body, 0);
    timer_init(&s->timer, on_timer, s);
    own_request_init(&s->request, env->backend, &(struct own_rules){.answer_bytes = ANSWER_BYTES}, on_done, s);
}

void stalled_fini(struct stalled *s)
{
    if (!s->env)
        return;
    loop_disarm(s->env->loop, &s->timer);
    own_request_fini(&s->request);
    buf_fini(&s->body);
}

/* Before they are ended: nobody knows of them then. */
static void note_models(struct stalled *s)
{
    const struct loads *loads = &s->env->loader.loads;
    s->models_n = s->unloaded_n = 0;
    for (size_t i = 0; i < LOADS_MODELS; i++)
        if (loads->rows[i].model[0] && (loads->rows[i].answering_n > 0 || loads->rows[i].state == LOAD_LOADING))
            memcpy(s->models[s->models_n++], loads->rows[i].model, CONTRACT_NAME_BYTES);
}

void stalled_begin(struct stalled *s)
{
    char why[CONTRACT_REASON_BYTES];
    int64_t now_ms = loop_now_ms(s->env->loop);
    if (s->state != STALLED_NOT)
        return;
    contract_trouble_read(&s->env->page->trouble, loop_monotonic_ms(s->env->loop) - PATIENCE_MS, why);
    note_models(s);
    s->env->gate.is_stalled = 1;
    const char *text = *why ? why : "ollama was hung";
    loader_stalled(&s->env->loader, text);
    asked_stalled(&s->env->asked, text);
    s->until_ms = now_ms + PATIENCE_MS;
    loop_arm(s->env->loop, &s->timer, s->until_ms);
    if (s->models_n > 0)
        go_on(s);
    else
        answer(s, 0);
}

void stalled_look(struct stalled *s)
{
    if (s->state == STALLED_NOT)
        return;
    gate_refresh(&s->env->gate);
    if (s->env->gate.view.ollama != CONTRACT_READY)
        settle(s);
}
