/*
 * See puller.h. The list is asked for when somebody needs a model that is not known to be there; who comes while it is asked for waits for
 * the same answer. What was told of it meanwhile may be newer than the answer: then it is asked for once more.
 */
#include "proxy/puller.h"

#include "proxy/pull_request.h"

#include <errno.h>
#include <stdlib.h>

enum { LIST_BYTES = 2 << 20, LIST_MS = 10000, LISTED_OLD_MS = 1000 };

/* A pull that is under way: what its row has as `pulling`. */
struct pulling {
    struct puller *puller;
    struct pulls_row *row;
    struct pull_request *request;
};

static struct loop *loop_of(const struct puller *p)
{
    return p->site.backend->loop;
}

static int64_t now_ms_of(const struct puller *p)
{
    return loop_now_ms(loop_of(p));
}

/* Behind each call of pulls.h that changes something. */
static void arm(struct puller *p)
{
    atomic_store(&p->site.line->pulls_n, (uint32_t)pulls_kept_n(&p->pulls));
    int64_t next_ms = p->is_list_due ? now_ms_of(p) : pulls_next_ms(&p->pulls);
    if (next_ms >= 0)
        loop_arm(loop_of(p), &p->timer, next_ms);
    else
        loop_disarm(loop_of(p), &p->timer);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct puller *p = context;
    if (p->is_list_due && p->site.lister)
        puller_relist(p);
    else if (p->is_list_due) {
        p->is_list_due = p->is_asking = 0;
        pulls_listed(&p->pulls, 0, now_ms);
    }
    pulls_time(&p->pulls, now_ms);
    arm(p);
}

/* The list */

static void ask_list(void *context, int is_afresh)
{
    struct puller *p = context;
    if (p->is_asking) {
        p->is_asked_again |= is_afresh;
        return;
    }
    p->is_asking = 1;
    p->is_asked_again = 0;
    p->asked_ms = now_ms_of(p);
    if (p->site.lister)
        p->is_list_due = p->site.lister->refresh(p->site.lister->context, LISTED_OLD_MS);
    else
        p->is_list_due = own_request_start(&p->list, p->site.tell, "/api/tags", NULL) < 0;
    arm(p);
}

void puller_relist(struct puller *p)
{
    struct buf tags;
    buf_init(&tags, 0);
    int is_known = p->site.lister->write(p->site.lister->context, &tags) == 0 &&
                   installed_read(&p->pulls.installed, buf_data(&tags), buf_size(&tags), now_ms_of(p)) == 0;
    buf_fini(&tags);
    p->is_list_due = p->is_asking = 0;
    pulls_listed(&p->pulls, is_known, now_ms_of(p));
    arm(p);
}

static void on_list(void *context, const struct own_answer *got)
{
    struct puller *p = context;
    int is_good = got->end == FETCH_DONE && !got->is_unread && got->status == 200;
    p->is_asking = 0;
    if (p->is_asked_again) {
        ask_list(p, 0);
        return;
    }
    int is_known = is_good && installed_read(&p->pulls.installed, got->bytes, got->bytes_n, p->asked_ms) == 0;
    pulls_listed(&p->pulls, is_known, now_ms_of(p));
    arm(p);
}

/* Pulls */

static void on_moved(void *context, const struct progress *progress, uint64_t grown_bytes)
{
    struct pulling *pulling = context;
    struct puller *p = pulling->puller;
    atomic_fetch_add(&p->site.line->progress_bytes, grown_bytes);
    pulls_progress(&p->pulls, pulling->row, progress->completed, progress->total, now_ms_of(p));
}

static void on_ended(void *context, const struct pull_try *end)
{
    struct pulling *pulling = context;
    struct puller *p = pulling->puller;
    uint32_t random = 0;
    sys_random(&random, sizeof random);
    pulls_tried(&p->pulls, pulling->row, end->kind, end->detail, end->has_moved, random, now_ms_of(p));
    arm(p);
}

static void end(void *context, struct pulls_row *row)
{
    struct pulling *pulling = row->pulling;
    (void)context;
    if (pulling)
        pull_request_free(&pulling->request);
    free(pulling);
    row->pulling = NULL;
}

static int64_t stall_ms_of(const struct puller *p)
{
    const struct conf_program *preload = conf_program(p->site.conf, "preload");
    int64_t limit_ms = preload ? preload->stall_timeout_ms : 0;
    return limit_ms > 0 && limit_ms < PULL_REQUEST_STALL_MS ? limit_ms : PULL_REQUEST_STALL_MS;
}

static int begin(void *context, struct pulls_row *row)
{
    static const struct pull_request_ops ops = {on_moved, on_ended};
    struct puller *p = context;
    struct pulling *pulling = row->pulling ? row->pulling : calloc(1, sizeof *pulling);
    if (!pulling)
        return -ENOMEM;
    row->pulling = pulling;
    pulling->puller = p;
    pulling->row = row;
    int error = pulling->request ? 0 : pull_request_new(&pulling->request, p->site.backend, row->model, stall_ms_of(p), &ops, pulling);
    return error ? error : pull_request_start(pulling->request, p->site.tell);
}

static int is_ready(void *context)
{
    struct puller *p = context;
    gate_refresh(p->site.gate);
    return gate_decide(&p->site.gate->view, 0, "") == GATE_PASS;
}

static int is_awaited(void *context, const char *model)
{
    const struct puller *p = context;
    return gate_decide(&p->site.gate->view, 1, model) != GATE_PASS;
}

static void count(void *context, int is_begun)
{
    const struct puller *p = context;
    p->site.count(p->site.context, is_begun);
}

static void lost(void *context, const struct pulls_row *row)
{
    const struct puller *p = context;
    if (p->site.lost)
        p->site.lost(p->site.context, row);
}

void puller_init(struct puller *p, const struct puller_site *site)
{
    static const struct own_rules rules = {.answer_bytes = LIST_BYTES, .limit_ms = LIST_MS};
    p->site = *site;
    pulls_init(&p->pulls, site->gate->waiting, site->conf->preload.retries,
               &(struct pulls_ops){begin, end, ask_list, is_ready, is_awaited, count, lost, p});
    own_request_init(&p->list, site->backend, &rules, on_list, p);
    timer_init(&p->timer, on_timer, p);
}

void puller_fini(struct puller *p)
{
    if (!p->site.backend)
        return;
    loop_disarm(loop_of(p), &p->timer);
    own_request_fini(&p->list);
    pulls_fini(&p->pulls);
}

enum pulls_verdict puller_look(struct puller *p, struct pulls_ticket *t, const struct pulls_want *want, size_t *nth)
{
    enum pulls_verdict verdict = pulls_look(&p->pulls, t, want, now_ms_of(p), nth);
    arm(p);
    return verdict;
}

enum pulls_verdict puller_refresh(struct puller *p, struct pulls_ticket *t, int64_t since_ms)
{
    enum pulls_verdict verdict = pulls_refresh(&p->pulls, t, since_ms, now_ms_of(p));
    arm(p);
    return verdict;
}

void puller_take_list(struct puller *p, const char *json, size_t json_n)
{
    (void)!installed_read(&p->pulls.installed, json, json_n, now_ms_of(p));
}

static void doubt(struct puller *p)
{
    installed_doubt(&p->pulls.installed);
    p->is_asked_again = p->is_asking;
}

void puller_forget(struct puller *p, const char *model)
{
    if (!installed_is_listed(&p->pulls.installed, model))
        return;
    doubt(p);
    installed_forget(&p->pulls.installed);
}

void puller_models_changed(struct puller *p)
{
    doubt(p);
    pulls_models_changed(&p->pulls);
}

void puller_see_page(struct puller *p)
{
    const struct gate_view *view = &p->site.gate->view;
    int32_t pid = view->ollama_pid;
    if (pid == p->backend_pid && view->phase == p->phase && view->missing_n == p->missing_n)
        return;
    p->backend_pid = pid;
    p->phase = view->phase;
    p->missing_n = view->missing_n;
    doubt(p);
}
