/* What a body becomes by its strategy: JSON again, with what may not be left out, and as long as is noted. The first byte chooses strategy,
 * budgets and whether there are summaries. */
#include "proxy/plan.h"
#include "proxy/prompt.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { FEW = 60, MANY = 2000 };

static void check(int is_so)
{
    if (!is_so)
        abort();
}

static char *few[] = {"num_ctx=60", "temperature=0.5", "stop=[\"a\"]"}, *many[] = {"num_ctx=2000"};

static void fill(struct conf *c, unsigned choice)
{
    struct conf_strategy *s = c->strategies;
    s[0] = (struct conf_strategy){.name = "few", .model = "m", .map_model = "", .reduce_model = "", .max_tokens = FEW / 2, .options = {few, 3}};
    s[1] = (struct conf_strategy){.name = "many", .model = "n", .map_model = "", .reduce_model = "", .min_tokens = FEW / 2 + 1, .max_tokens = MANY, .options = {many, 1}};
    s[2] = (struct conf_strategy){.name = "all", .model = "o", .map_model = "p", .reduce_model = "o", .min_tokens = MANY + 1};
    c->strategies_n = 3;
    c->optimizer.system_budget = choice & 4 ? 40 : 8444;
}

static int is_same(const struct json_value *a, const struct json_value *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n) == 0;
}

/* What is behind the last message of the user's, he included, stands at the end as it was. */
static void check_kept(const struct prompt *before, const struct prompt *after)
{
    for (size_t i = before->last_user; i < before->messages_n; i++)
        check(is_same(&before->messages[i].whole, &after->messages[after->messages_n - (before->messages_n - i)].whole));
}

static void check_written(const struct plan *p, const struct prompt *before, const struct buf *out)
{
    struct prompt after;
    check(prompt_read(&after, buf_data(out), buf_size(out)) == 0);
    check(after.messages_n == p->sent.messages_n && prompt_chars(&after) == p->sent.chars_n);
    check(p->num_ctx == 0 || p->sent.tokens_n <= p->num_ctx);
    check_kept(before, &after);
    prompt_fini(&after);
}

static void write_body(struct plan *p, const struct plan_rules *rules, const char *json, size_t n, const struct plan_parts *parts, struct buf *out)
{
    struct prompt before;
    char why[PLAN_WHY_BYTES];
    check(prompt_read(&before, json, n) == 0);
    int error = plan_write(p, rules, json, n, parts, out, why);
    check(error == 0 || ((error == -E2BIG || error == -EINVAL) && buf_size(out) == 0));
    if (error == 0)
        check_written(p, &before, out);
    prompt_fini(&before);
}

static void run(struct plan *p, const struct plan_rules *rules, const char *json, size_t n, unsigned choice)
{
    struct json_text items[] = {{"one", 3}, {"\xc3\xa9\xff\"\n", 5}, {json, n < 300 ? n : 300}};
    struct plan_parts parts = {items, 3};
    struct buf out, again;
    buf_init(&out, 0);
    buf_init(&again, 0);
    (void)plan_summaries_room(p, rules, json, n, 3);
    write_body(p, rules, json, n, choice & 8 ? &parts : NULL, &out);
    write_body(p, rules, json, n, choice & 8 ? &parts : NULL, &again);
    check(buf_size(&out) == buf_size(&again) && memcmp(buf_data(&out), buf_data(&again), buf_size(&out)) == 0);
    buf_fini(&out);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {NULL, "few", "many", "all"};
    static struct conf conf;
    static struct token_estimates estimates;
    struct plan p;
    char why[PLAN_WHY_BYTES];
    unsigned choice = size > 0 ? data[0] : 0;
    size_t n = size > 0 ? size - 1 : 0;
    char *json = malloc(n ? n : 1); /* ends where it ends */
    check(json != NULL);
    if (n > 0)
        memcpy(json, data + 1, n);
    fill(&conf, choice);
    struct plan_rules rules = {.conf = &conf, .estimates = &estimates, .asked_model = "auto", .unsaid = choice >> 4 & 3, .words_n = choice >> 6 & 1};
    int error = plan_make(&p, &rules, json, n, names[choice & 3], why);
    check(error == 0);
    if (p.strategy)
        run(&p, &rules, json, n, choice);
    free(json);
    return 0;
}
