/*
 * key_models: a key that may use some models only ([key:NAME] models): what a request's body names, and what lists of models show.
 */
#ifndef PROXY_KEY_MODELS_H
#define PROXY_KEY_MODELS_H

#include "common/buf.h"
#include "common/conf.h"

enum key_models_found {
    KEY_MODELS_ALLOWED, /* it names models, and all are listed */
    KEY_MODELS_OTHER,   /* one that is not listed; it is in name */
    KEY_MODELS_NONE,    /* it names none, or can't be read: nobody knows what it would use */
};

/* Of a JSON object, as Ollama may read it: model and name, in any case and each of several; also what models are made of (from,
 * source, destination, modelfile, path of /api/create and copy). name: of name_n bytes. */
enum key_models_found key_models_of(const struct list *models, const char *json, size_t json_n, char *name, size_t name_n);

/* Appends a list of models (models of /api/tags and ps, data of /v1/models) without those that are not listed; all else as it stands.
 * 0; -EINVAL where it is no object; -ENOMEM, -EFBIG. On failure out is as it was. */
int key_models_show(const struct list *models, const char *json, size_t json_n, struct buf *out) WARN_UNUSED;

#endif
