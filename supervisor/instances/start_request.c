/* See start_request.h. */
#include "supervisor/instances/start_request.h"

#include "common/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(char why[START_REQUEST_WHY_BYTES], const char *words)
{
    snprintf(why, START_REQUEST_WHY_BYTES, "%s", words);
    return -EINVAL;
}

/* The word at *at, which ends at one blank or at the end: 1, with *at behind it; 0 where there is none, or it does not fit. */
static int take_word(const char **at, char *out, size_t out_n)
{
    size_t n = strcspn(*at, " ");
    if (n == 0 || n >= out_n)
        return 0;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n + ((*at)[n] == ' ');
    return 1;
}

int start_request_parse(const char *detail, struct start_request *out, char why[START_REQUEST_WHY_BYTES])
{
    char length[24], precision[8], reason[PARSE_WHY_BYTES];
    *out = (struct start_request){.length_n = 0};
    if (!take_word(&detail, out->engine, sizeof out->engine))
        return refuse(why, "it names no engine");
    if (!take_word(&detail, out->revision, sizeof out->revision) ||
        strspn(out->revision, "0123456789abcdef") != START_REQUEST_REVISION_N)
        return refuse(why, "its revision is not one of 40 hex digits");
    if (!take_word(&detail, length, sizeof length) || parse_integer(length, 1, START_REQUEST_LENGTH_MAX, &out->length_n, reason) < 0)
        return refuse(why, "its length is not a number of tokens");
    if (!take_word(&detail, precision, sizeof precision) || (strcmp(precision, "q4") != 0 && strcmp(precision, "full") != 0))
        return refuse(why, "its precision is neither q4 nor full");
    out->is_quantized = strcmp(precision, "q4") == 0;
    if (*detail && parse_hub_file(detail, reason) < 0)
        return refuse(why, "its file is none of a snapshot");
    snprintf(out->file, sizeof out->file, "%s", detail);
    return 0;
}

int start_request_path(const struct start_request *r, const char *cache, const char *model, char out[START_REQUEST_PATH_BYTES])
{
    const char *slash = strchr(model, '/');
    int org_n = slash ? (int)(slash - model) : 0;
    int n = snprintf(out, START_REQUEST_PATH_BYTES, "%s/models--%.*s%s%s/snapshots/%s", cache, org_n, model, slash ? "--" : "", slash ? slash + 1 : model,
                     r->revision);
    return n < 0 || n >= START_REQUEST_PATH_BYTES ? -ENAMETOOLONG : 0;
}
