/*
 * status_narrow: what a key that may name some models only ([key:NAME] models) is told of GET /health and of the supervisor. Pure.
 */
#ifndef PROXY_OBSERVE_STATUS_NARROW_H
#define PROXY_OBSERVE_STATUS_NARROW_H

#include "common/conf.h"
#include "proxy/json_write.h"

/* An object of GET /health, or of the control socket's `status` (docs/contract.md), as it is told to who may name the models of shown: those
 * members of it that name none, and its engines that have one of them. */
void status_narrow_health(struct json_write *w, const struct list *shown, const char *json, size_t json_n);
void status_narrow_supervisor(struct json_write *w, const struct list *shown, const char *json, size_t json_n);

#endif
