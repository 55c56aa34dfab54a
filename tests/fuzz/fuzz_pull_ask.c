/* Requests of POST /pull, and names of models in paths. What is asked of the job at the cache is an object of JSON with a name that is fit for a path and a
 * command line; a refusal says why; asked a second time, it says the same. */
#include "common/parse.h"
#include "proxy/serve/pull_ask.h"
#include "tests/fuzz/object.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void is_name(const char *name)
{
    char why[PARSE_WHY_BYTES];
    if (parse_hub_name(name, why) < 0 || name[0] == '-' || name[0] == '/' || strstr(name, ".."))
        abort();
}

static void read_name(const char *text)
{
    char name[CONTRACT_NAME_BYTES], why[PARSE_WHY_BYTES] = "";
    int error = pull_ask_name(text, name, why);
    if (!error)
        is_name(name);
    else if (error != -EINVAL || !why[0] || !memchr(why, '\0', sizeof why))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pull_ask first, second;
    char why[PULL_ASK_WHY_BYTES] = "", again[PULL_ASK_WHY_BYTES] = "";
    char *exact = malloc(size + 1);
    memcpy(exact, data, size);
    exact[size] = '\0';
    read_name(exact);
    exact = realloc(exact, size ? size : 1);
    int error = pull_ask_read(&first, exact, size, why);
    if (pull_ask_read(&second, exact, size, again) != error || strcmp(why, again) != 0 || !memchr(why, '\0', sizeof why))
        abort();
    if (error) {
        if (error != -EINVAL || !why[0])
            abort();
    } else {
        is_name(first.model);
        must_be_object(first.request, strlen(first.request));
        if (strcmp(first.request, second.request) != 0)
            abort();
    }
    free(exact);
    return 0;
}
