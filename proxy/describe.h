/*
 * describe: how long the answer to a body may take, as far as that can be read in it: how many tokens its prompt will have, how many are asked for at most,
 * and where the prompt may be cut (balance/prefix.h): behind what stands before all messages, and behind each message; a lone prompt behind its first
 * 2 KiB, 4 KiB and so on, and as a whole. Two prompts share a cut where they are the same up to it. Bodies of Ollama's API, and of /v1/responses and
 * /v1/messages. Linear in the body, without memory of its own. Pure.
 */
#ifndef PROXY_DESCRIBE_H
#define PROXY_DESCRIBE_H

#include "common/siphash.h"
#include "proxy/balance/prefix.h"
#include "proxy/token_estimate.h"

enum {
    DESCRIBE_IMAGE_TOKENS = 512, /* about as many as models that see make of one image */
    DESCRIBE_FIRST_BYTES = 2048, /* of a lone prompt: its first cut */
};

struct description {
    int64_t prompt_tokens; /* at least 1 */
    int64_t output_most;   /* 0: it does not say */
    struct prefix prefix;
};

/* secret: the cuts are hashed under it. What is no JSON object says nothing. */
void describe_body(const char *json, size_t json_n, struct token_line line, const unsigned char secret[SIPHASH_BYTES], struct description *out);

#endif
