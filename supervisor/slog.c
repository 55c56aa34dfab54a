/* See slog.h. Values are bare, or quoted as Go's strconv.Quote does. */
#include "supervisor/slog.h"

#include <stdio.h>
#include <string.h>

/* The length of the value at `at`, quotes included; 0 where it has no end. */
static size_t value_length(const char *at)
{
    if (*at != '"')
        return strcspn(at, " ");
    for (size_t i = 1; at[i]; i++) {
        if (at[i] == '"')
            return i + 1;
        if (at[i] == '\\' && !at[++i])
            return 0;
    }
    return 0;
}

int slog_find(const char *line, const char *key, char *out, size_t out_n)
{
    size_t key_n = strlen(key);
    while (*line) {
        size_t name_n = strcspn(line, "= ");
        if (line[name_n] != '=')
            return 0;
        const char *value = line + name_n + 1;
        size_t value_n = value_length(value), n = 0;
        if (value_n == 0 && *value && *value != ' ')
            return 0;
        if (name_n != key_n || memcmp(line, key, key_n) != 0) {
            line = value + value_n;
            line += *line == ' ';
            continue;
        }
        size_t is_quoted = *value == '"', end = value_n - is_quoted;
        for (size_t i = is_quoted; i < end && n < out_n - 1; i++) {
            if (is_quoted && value[i] == '\\' && value[++i] != '"' && value[i] != '\\')
                return 0;
            out[n++] = value[i];
        }
        out[n] = '\0';
        return 1;
    }
    return 0;
}

void slog_words(const char *line, char *out, size_t out_n)
{
    static const char *const keys[] = {"error", "err"};
    char error[SLOG_VALUE_BYTES], start[16];
    if (strncmp(line, "time=", 5) != 0 || !slog_find(line, "msg", out, out_n)) {
        snprintf(out, out_n, "%s", line);
        return;
    }
    size_t n = strlen(out);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(start, sizeof start, " %s=", keys[i]);
        const char *at = strstr(line, start);
        if (at && slog_find(line, keys[i], error, sizeof error))
            snprintf(out + n, out_n - n, ": %s", error);
        else if (at) /* with escapes, or cut */
            snprintf(out + n, out_n - n, ": %s", at + strlen(start));
        if (at)
            return;
    }
}
