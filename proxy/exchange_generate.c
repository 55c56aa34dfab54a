/* See exchange_state.h. POST /generate is Ollama's POST /api/generate with presets (generate.h); its answer stays as it is, or
 * becomes server-sent events where the client asks for them. POST /ollama/generate is that without presets, in one object where no stream is
 * asked for. */
#include "proxy/exchange_state.h"

#include "proxy/accept.h"
#include "proxy/generate.h"
#include "proxy/generate_answer.h"
#include "proxy/splice_body.h"

#include <errno.h>

/* Its body is not what Ollama could be asked with. error: of generate_read, or of the budget. */
static void refuse(struct exchange *x, int error, const char *why)
{
    (void)!ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)); /* the access log names its model all the same */
    if (error > 0)
        exchange_fail_upload(x, error, why);
    else if (error == -ENOBUFS)
        exchange_fail_for_bodies(x);
    else
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
}

/* Ollama streams where nothing is said. */
static int ask_for_one(struct exchange *x)
{
    static const struct json_edit edit = {0, "stream", "false", JSON_SET_ABSENT};
    x->target = generate_answer_ops.target;
    int error = splice_body(&x->body, &(struct json_edits){.items = &edit, .items_n = 1});
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body says stream again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    return error ? -1 : 0;
}

int exchange_generate(struct exchange *x)
{
    const struct conf *conf = x->env->conf;
    struct generate_rules rules = {&conf->presets, (uint64_t)conf->proxy.upload_limit_bytes};
    struct generate g;
    if (x->admission.route->shape == SHAPE_LINES_ASKED && x->request->method == METHOD_POST)
        return ask_for_one(x);
    if (x->admission.route->api != API_PRESET || x->request->method != METHOD_POST)
        return 0;
    x->deliver.vary = "Vary: Accept\r\n";
    x->target = generate_answer_ops.target;
    int error = generate_read(&g, &rules, &x->body);
    error = error ? error : budget_grow(&x->env->bodies, &x->body_share, buf_size(&x->body)); /* the preset's options came */
    if (error) {
        refuse(x, error, g.why);
        return -1;
    }
    x->preset = g.preset;
    x->preset_options = g.load_options;
    if (g.is_stream != 0 && accept_wants_events(x->request))
        x->answer.translation = (struct translation){.ops = &generate_answer_ops, .model = x->ask.model, .is_stream = 1};
    return 0;
}
