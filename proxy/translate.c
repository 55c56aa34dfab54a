/* See translate.h. The one list of the APIs that are translated. */
#include "proxy/translate.h"

#include "proxy/model_load.h"
#include "proxy/ollama_chat.h"
#include "proxy/ollama_embed.h"
#include "proxy/openai_chat.h"
#include "proxy/openai_embed.h"
#include "proxy/openai_models.h"
#include "proxy/openai_text.h"
#ifdef WITH_MODELS
#include "proxy/serve/serve_chat.h"
#include "proxy/serve/serve_text.h"
#endif

static const struct translate_ops *const ops[][2] = {
    [API_OPENAI_CHAT] = {[BACKEND_API_OLLAMA] = &openai_chat_ops},
    [API_OPENAI_TEXT] = {[BACKEND_API_OLLAMA] = &openai_text_ops},
    [API_OPENAI_EMBED] = {[BACKEND_API_OLLAMA] = &openai_embed_ops},
    [API_OPENAI_MODELS] = {[BACKEND_API_OLLAMA] = &openai_models_ops},
    [API_CHAT] = {[BACKEND_API_OPENAI] = &ollama_chat_ops},
    [API_GENERATE] = {[BACKEND_API_OPENAI] = &ollama_generate_ops},
    [API_PRESET] = {[BACKEND_API_OPENAI] = &ollama_generate_ops},
    [API_EMBED] = {[BACKEND_API_OPENAI] = &ollama_embed_ops},
    [API_SIDECAR_LOAD] = {&model_load_ops, &model_load_ops},
    [API_SIDECAR_UNLOAD] = {&model_unload_ops, &model_unload_ops},
    [API_EMBED_ONE] = {[BACKEND_API_OPENAI] = &ollama_embed_one_ops},
#ifdef WITH_MODELS
    [API_SERVE_CHAT] = {[BACKEND_API_OPENAI] = &serve_chat_ops},
#endif
};

const struct translate_ops *translate_ops_of(enum route_api api, enum backend_api backend)
{
    return api < sizeof ops / sizeof *ops ? ops[api][backend] : NULL;
}

const struct translate_ops *translate_ops_of_text(enum route_api api)
{
#ifdef WITH_MODELS
    return api == API_OPENAI_CHAT ? &serve_text_ops : NULL;
#else
    (void)api; /* nobody knows of a model whether it has one */
    return NULL;
#endif
}
