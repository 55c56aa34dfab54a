/*
 * pin: what requests ask for, whatever their clients say: [pin:MODEL], and that models are mapped into memory. The last of
 * what may change a request, as the model may have changed before.
 */
#ifndef PROXY_PIN_H
#define PROXY_PIN_H

#include "common/buf.h"
#include "common/conf.h"
#include "proxy/loads.h"
#include "proxy/route.h"

/* Makes a held body what the backend is to get: the body of Ollama's own inference routes (/api/generate, /api/chat,
 * /api/embed, /api/embeddings), or one that was
 * translated for them; any other stays. is_supervised: what is our Ollama by the configuration is so in fact.
 * 0; -E2BIG where the body names a pinned member more often than json_splice.h counts; -ENOMEM. On error it stays as it is. */
int pin_body(const struct conf *conf, int is_supervised, const struct route *route, int is_translated,
             struct buf *body) WARN_UNUSED;

/* What such a body then asks its model to be loaded with: what the pin says becomes a part of the client's wish, and fixed. */
void pin_wish(const struct conf *conf, int is_supervised, const char *model, struct load_wish *wish);

#endif
