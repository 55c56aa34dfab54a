/*
 * model_shape: what POST /api/show says of a model, as far as it decides about memory (estimate.h). Pure.
 */
#ifndef PROXY_MODEL_SHAPE_H
#define PROXY_MODEL_SHAPE_H

#include "proxy/estimate.h"

/* Reads the answer (api.ShowResponse, v0.9.5: model_info, tensors, parameters). What is absent, or no number of a model's, stays 0.
 * 0, or -EINVAL where this is no JSON object. */
int model_shape_read(struct model_shape *out, const char *json, size_t json_n) WARN_UNUSED;

#endif
