/* See translate.h. The one list of the APIs that are translated. */
#include "proxy/translate.h"

#include "proxy/openai_chat.h"
#include "proxy/openai_embed.h"
#include "proxy/openai_text.h"

const struct translate_ops *translate_ops_of(enum route_api api)
{
    switch (api) {
    case API_OPENAI_CHAT:
        return &openai_chat_ops;
    case API_OPENAI_TEXT:
        return &openai_text_ops;
    case API_OPENAI_EMBED:
        return &openai_embed_ops;
    default:
        return NULL;
    }
}
