/* See exchange_state.h. What an answer took of its sender's limits, at its end. */
#include "proxy/exchange_state.h"

enum {
    STREAM_BYTES_A_TOKEN = 128, /* of a stream that tells no counts: a line, or event, with one token has as many */
    PROMPT_BYTES_A_TOKEN = 4,   /* of /api/embeddings, of which Ollama tells no counts either */
};

/* What the answer says; where it does not say how many were generated, as one whose client has left, or of a backend that tells no usage, as
 * many as a stream has had place for, heartbeats aside. */
static int64_t tokens_of(const struct exchange *x)
{
    struct ending_facts facts;
    int is_stream = x->ending.form != ENDING_NONE && x->ending.form != ENDING_JSON;
    ending_read(&x->ending, &facts);
    if (facts.tokens_n < 0)
        facts.tokens_n = is_stream ? (int64_t)((x->deliver.body_bytes - x->answer.beats_bytes) / STREAM_BYTES_A_TOKEN) : 0;
    if (facts.prompt_tokens_n < 0 && x->admission.route->api == API_EMBED_ONE)
        facts.prompt_tokens_n = (x->sent_bytes + PROMPT_BYTES_A_TOKEN - 1) / PROMPT_BYTES_A_TOKEN;
    return facts.tokens_n + (facts.prompt_tokens_n > 0 ? facts.prompt_tokens_n : 0);
}

void exchange_take_tokens(struct exchange *x)
{
    int64_t *per_minute = &x->limited.per_minute[LIMIT_TOKENS];
    if (*per_minute > 0 && x->backend_status == 200) {
        int64_t tokens_n = tokens_of(x);
        limits_take(&x->env->limits, &x->limited, tokens_n, loop_now_ms(x->env->loop));
        store_took(x->env->store, &x->limited, LIMIT_TOKENS, tokens_n);
    }
    *per_minute = 0; /* once */
}
