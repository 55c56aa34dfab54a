/*
 * model_body: how the bodies of our own requests about one model begin: {"model":NAME.
 */
#ifndef PROXY_MODEL_BODY_H
#define PROXY_MODEL_BODY_H

#include "common/buf.h"

/* Appends {"model":NAME, with NAME escaped, and rest as it stands: more members, with a comma before each, and the end, where the
 * caller adds none. 0, -ENOMEM or -EFBIG; then a part of it may be there. */
int model_body_write(struct buf *out, const char *model, const char *rest) WARN_UNUSED;

#endif
