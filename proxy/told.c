/* See told.h. Ollama has no codes: its words tell, and they differ from version to version. */
#include "proxy/told.h"

#include <string.h>

static int is_about_length(const char *text)
{
    return (strstr(text, "context length") || strstr(text, "context size")) && (strstr(text, "exceed") || strstr(text, "longer"));
}

const char *told_code(int status, const char *text)
{
    if (status == 404 && strstr(text, "not found") && strstr(text, "model"))
        return "model_not_found";
    return status >= 400 && is_about_length(text) ? "context_length_exceeded" : NULL;
}
