/*
 * model_list: the models that an Ollama names in its answers to GET /api/tags and GET /api/ps: {"models":[{"name":…},…]} (Ollama's
 * docs/api.md). Nothing is copied but names.
 */
#ifndef PROXY_MODEL_LIST_H
#define PROXY_MODEL_LIST_H

#include "common/json_read.h"

/* The list's place in the answer. 0; -ENOENT where its list is null or not there; -EINVAL where it is no whole answer of Ollama's. With
 * both there are no models. */
int model_list_find(const char *json, size_t json_n, struct json_value *models) WARN_UNUSED;
/* The same, for model_list_next or json_items_next. */
int model_list_begin(struct json_items *items, const char *json, size_t json_n);
/* 1 with the next one that has a name of less than `size` bytes, and with its whole entry (may be NULL); or 0. */
int model_list_next(struct json_items *items, struct json_value *entry, char *name, size_t size);

#endif
