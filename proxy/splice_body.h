/*
 * splice_body: json_splice.h for a held body, in place.
 */
#ifndef PROXY_SPLICE_BODY_H
#define PROXY_SPLICE_BODY_H

#include "common/buf.h"
#include "proxy/json_splice.h"

/* 0, also where nothing was to be changed, or this is no object that Ollama would take, which then says what is wrong with it;
 * -E2BIG where it names a member more often than json_splice.h counts; -ENOMEM. On error it stays as it is. */
int splice_body(struct buf *body, const struct json_edits *edits) WARN_UNUSED;

/* Makes changes that were found, or added. 0 or -ENOMEM. */
int splice_body_apply(struct buf *body, const struct json_splice *s) WARN_UNUSED;

#endif
