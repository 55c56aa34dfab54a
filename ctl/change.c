/*
 * One line to the supervisor, one word back. The supervisor decides; here is only asked and told. A name is checked
 * for what would break the line protocol, not for whether there is such a program.
 */
#include "ctl/change.h"

#include "ctl/ask.h"
#include "ctl/plain.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128 };

int change_is_name(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++)
        if ((unsigned char)name[n] <= ' ' || name[n] == 0x7f)
            return 0;
    return n > 0 && n <= NAME_MAX_BYTES;
}

int change_run(const struct ctl *ctl, const char *verb)
{
    char line[NAME_MAX_BYTES + 32], message[256];
    cJSON *answer;
    if (ctl->argument && !change_is_name(ctl->argument)) {
        fprintf(stderr, "sidecarctl: a program's name is one word of at most %d bytes\n", NAME_MAX_BYTES);
        return CTL_USAGE;
    }
    snprintf(line, sizeof line, "%s%s%s", verb, ctl->argument ? " " : "", ctl->argument ? ctl->argument : "");
    int code = ask_run(ctl, line, 1, &answer);
    if (code == CTL_OK && !ctl->is_json) {
        plain_clean_to(message, sizeof message, ask_text(answer, "message"));
        printf("%s\n", message[0] ? message : "ok");
    }
    cJSON_Delete(answer);
    return code;
}

int change_dump(const struct ctl *ctl)
{
    cJSON *answer;
    struct buf text;
    int code = ask_run(ctl, "dump", 1, &answer);
    buf_init(&text, 0);
    if (code == CTL_OK && !ctl->is_json) {
        const char *ini = ask_text(answer, "text");
        if (plain_clean(&text, ini, strlen(ini), 1) == 0)
            fwrite(buf_data(&text), 1, buf_size(&text), stdout);
    }
    buf_fini(&text);
    cJSON_Delete(answer);
    return code;
}
