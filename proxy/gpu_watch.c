/*
 * See gpu_watch.h. Nobody waits for any of its questions. What is lost is told to the supervisor, which has the last word: it does
 * not restart Ollama for this again and again. Where nothing comes of it, all goes on as it is.
 */
#include "proxy/gpu_watch.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>

enum {
    ASK_AFTER_MS = 1000,  /* a load, a gap: first those who wait for it */
    ASK_MS = 10000,       /* for the whole answer */
    ANSWER_BYTES = 64 * 1024,
    LOOK_MS = 100,        /* whether somebody is still being answered */
    LOOK_RARELY_MS = 1000, /* where nobody waits for that */
    SHUT_MS = 60000,      /* so long who asks waits for those who are being answered */
    NONE_MOST = 3,        /* so often it says that nothing is on a GPU: there is none, and nothing is asked any more */
    RESTART_MS = 5000,    /* so long for the supervisor to begin */
};

static struct loop *loop_of(const struct gpu_watch *g)
{
    return g->site.backend->loop;
}

static void enter(struct gpu_watch *g, enum gpu_watch_state state, int64_t after_ms)
{
    g->state = state;
    if (after_ms >= 0)
        loop_arm(loop_of(g), &g->timer, loop_now_ms(loop_of(g)) + after_ms);
    else
        loop_disarm(loop_of(g), &g->timer);
}

static void reopen(struct gpu_watch *g)
{
    if (!g->site.gate->is_shut)
        return;
    g->site.gate->is_shut = 0;
    g->site.reopened(g->site.context);
}

static void rest(struct gpu_watch *g)
{
    own_request_cancel(&g->request);
    enter(g, g->is_due_again ? GPU_DUE : GPU_REST, g->is_due_again ? ASK_AFTER_MS : -1);
    g->is_due_again = 0;
}

static int is_anybody_answered(const struct gpu_watch *g)
{
    const struct loads *l = g->site.loads;
    size_t answered_n = l->loading_n;
    for (size_t i = 0; i < LOADS_MODELS; i++)
        answered_n += l->rows[i].answering_n;
    return answered_n > 0;
}

static void tell(struct gpu_watch *g)
{
    int64_t now_ms = loop_now_ms(loop_of(g));
    if (now_ms >= g->shut_until_ms)
        reopen(g);
    int is_due = !is_anybody_answered(g);
    int error = is_due ? contract_send(g->site.channel_fd, CONTRACT_BROKEN, CONTRACT_BROKEN_GPU, g->lost.name) : -EAGAIN;
    if (error == -EAGAIN) /* or the channel is full */
        enter(g, GPU_LOST, g->site.gate->is_shut ? LOOK_MS : LOOK_RARELY_MS);
    else
        enter(g, GPU_TOLD, RESTART_MS); /* where nobody has heard it, nothing will come of it */
}

static void judge(struct gpu_watch *g, const struct own_answer *got)
{
    int is_lost = got->status == 200 && gpu_models_see(&g->models, got->bytes, got->bytes_n, &g->lost) == 1;
    if (g->is_gap_within)
        gpu_models_gap(&g->models);
    g->none_n = g->models.known_n == 0 ? g->none_n + 1 : 0;
    rest(g);
    if (!is_lost)
        return;
    log_event(LOG_WARNING, "gpu_lost", "model=\"%s\" vram_bytes=%llu hint=\"it runs on the CPU since we did not run for a while: Ollama is to be restarted\"",
              g->lost.name, (unsigned long long)g->lost.vram_bytes);
    g->site.gate->is_shut = 1;
    g->shut_until_ms = loop_now_ms(loop_of(g)) + SHUT_MS;
    tell(g);
}

static void on_done(void *context, const struct own_answer *got)
{
    if (got->end == FETCH_DONE && !got->is_unread)
        judge(context, got);
    else
        rest(context); /* the next load asks again */
}

static void ask(struct gpu_watch *g)
{
    g->is_gap_within = 0;
    enter(g, GPU_ASKING, -1);
    if (own_request_start(&g->request, g->site.tell, "/api/ps", NULL) < 0)
        rest(g);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct gpu_watch *g = context;
    (void)now_ms;
    switch (g->state) {
    case GPU_REST:
    case GPU_ASKING:
        break;
    case GPU_DUE:
        ask(g);
        break;
    case GPU_LOST:
        tell(g);
        break;
    case GPU_TOLD: /* the supervisor leaves it as it is */
        reopen(g);
        rest(g);
        break;
    }
}

void gpu_watch_init(struct gpu_watch *g, const struct gpu_watch_site *site)
{
    static const struct own_rules rules = {.answer_bytes = ANSWER_BYTES, .limit_ms = ASK_MS};
    *g = (struct gpu_watch){.site = *site};
    timer_init(&g->timer, on_timer, g);
    own_request_init(&g->request, site->backend, &rules, on_done, g);
}

void gpu_watch_fini(struct gpu_watch *g)
{
    if (!g->site.backend)
        return;
    loop_disarm(loop_of(g), &g->timer);
    own_request_fini(&g->request);
}

static void look_soon(struct gpu_watch *g)
{
    if (g->state == GPU_REST)
        enter(g, GPU_DUE, ASK_AFTER_MS);
    else if (g->state == GPU_ASKING)
        g->is_due_again = 1;
}

void gpu_watch_loaded(struct gpu_watch *g, const struct load *load)
{
    int is_for_cpu = load_options_has(&load->options, LOAD_NUM_GPU) && load->options.values[LOAD_NUM_GPU] == 0;
    if (is_for_cpu)
        gpu_models_forget(&g->models, load->model);
    else if (g->pid != 0 && g->none_n < NONE_MOST)
        look_soon(g);
}

void gpu_watch_resumed(struct gpu_watch *g)
{
    gpu_models_gap(&g->models);
    g->is_gap_within = g->state == GPU_ASKING;
    if (g->models.known_n > 0 || g->is_gap_within)
        look_soon(g);
}

void gpu_watch_see_backend(struct gpu_watch *g, int32_t pid)
{
    if (g->site.channel_fd < 0 || pid == g->pid)
        return;
    g->pid = pid;
    gpu_models_forget_all(&g->models);
    g->is_due_again = 0;
    g->none_n = 0;
    rest(g);
    g->site.gate->is_shut = 0; /* the gate is reviewed by who tells us of another Ollama */
}
