/*
 * Durations, sizes, numbers, words and lists. See parse.h. Addresses are in parse_address.c, names of
 * models in parse_model.c. Nothing here looks at the locale, the environment or the clock.
 */
#include "common/parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits only: no sign, no space, no exponent. Returns what follows them, NULL where there are none or too many. */
static const char *read_digits(const char *text, int64_t *out)
{
    int64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        if (value > (INT64_MAX - 9) / 10)
            return NULL;
        value = value * 10 + (*c - '0');
    }
    *out = value;
    return c == text ? NULL : c;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* The number with its unit, or -1 where it is none. is_bare_ok: a unit may be missing. */
static int64_t read_with_unit(const char *text, const struct unit *units, int is_bare_ok)
{
    int64_t value;
    const char *unit = read_digits(text, &value);
    if (!unit)
        return -1;
    if (*unit == '\0')
        return is_bare_ok || value == 0 ? value : -1;
    for (; units->name; units++) {
        if (strcmp(unit, units->name) == 0)
            return value > INT64_MAX / units->factor ? INT64_MAX : value * units->factor;
    }
    return -1;
}

static void duration_text(int64_t ms, char *out, size_t out_n)
{
    static const struct unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ms % units[i].factor == 0) {
            snprintf(out, out_n, ms ? "%lld%s" : "%lld", (long long)(ms / units[i].factor), units[i].name);
            return;
        }
    }
}

int parse_duration_ms(const char *text, int64_t min_ms, int64_t max_ms, int64_t *out_ms, char *why)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
    int64_t ms = read_with_unit(text, units, 0);
    if (ms < 0) {
        int64_t number;
        const char *rest = read_digits(text, &number);
        if (rest && *rest == '\0')
            snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" has no unit: write %.60ss, or ms, m, h", text, text);
        else
            snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no duration: write a whole number and ms, s, m or h, such as 90s", text);
        return -EINVAL;
    }
    if (ms < min_ms || ms > max_ms) {
        char low[32] = "", high[32] = "";
        duration_text(min_ms, low, sizeof low);
        duration_text(max_ms, high, sizeof high);
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is out of range: %s to %s", text, low, high);
        return -EINVAL;
    }
    *out_ms = ms;
    return 0;
}

int parse_size_bytes(const char *text, int64_t min, int64_t max, int64_t *out, char *why)
{
    static const struct unit units[] = {{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
    int64_t bytes = read_with_unit(text, units, 1);
    if (bytes < 0) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no size: write bytes, or a whole number and K, M or G, such as 10M", text);
        return -EINVAL;
    }
    if (bytes < min || bytes > max) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is out of range: %lld to %lld bytes", text, (long long)min, (long long)max);
        return -EINVAL;
    }
    *out = bytes;
    return 0;
}

int parse_integer(const char *text, int64_t min, int64_t max, int64_t *out, char *why)
{
    int64_t value;
    int is_negative = min < 0 && *text == '-';
    const char *rest = read_digits(text + is_negative, &value);
    if (!rest || *rest) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no whole number", text);
        return -EINVAL;
    }
    value = is_negative ? -value : value;
    if (value < min || value > max) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is out of range: %lld to %lld", text, (long long)min, (long long)max);
        return -EINVAL;
    }
    *out = value;
    return 0;
}

/* number * 10^exponent; -1 where that is no int64_t, or no whole number. */
static int64_t shift_decimally(int64_t number, int64_t exponent)
{
    for (; exponent > 0 && number > 0; exponent--)
        if (__builtin_mul_overflow(number, 10, &number))
            return -1;
    for (; exponent < 0 && number > 0; exponent++, number /= 10)
        if (number % 10)
            return -1;
    return number;
}

int parse_whole_number(const char *text, int64_t *out, char *why)
{
    int64_t number = 0, exponent = 0, value = -1;
    const char *rest = text;
    int has_point = 0, digits_n = 0, is_good = 1;
    for (; (*rest >= '0' && *rest <= '9') || (*rest == '.' && !has_point); rest++) {
        has_point |= *rest == '.';
        if (*rest == '.')
            continue;
        digits_n++;
        exponent -= has_point;
        is_good &= !__builtin_mul_overflow(number, 10, &number) && !__builtin_add_overflow(number, *rest - '0', &number);
    }
    if (*rest == 'e' || *rest == 'E') {
        int64_t written = 0;
        rest = read_digits(rest + 1 + (rest[1] == '+'), &written);
        exponent += written < 1000 ? written : 1000; /* far beyond any number that there is */
    }
    if (is_good && digits_n > 0 && rest && *rest == '\0')
        value = shift_decimally(number, exponent);
    if (value < 0) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no whole number, as 14000000000 or 14e9", text);
        return -EINVAL;
    }
    *out = value;
    return 0;
}

int parse_bool(const char *text, int *out, char *why)
{
    static const char *const yes[] = {"yes", "on", "true", "1"}, *const no[] = {"no", "off", "false", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        int is_yes = strcasecmp(text, yes[i]) == 0;
        if (is_yes || strcasecmp(text, no[i]) == 0) {
            *out = is_yes;
            return 0;
        }
    }
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is neither yes nor no", text);
    return -EINVAL;
}

int parse_word(const char *text, const char *words, int *out, char *why)
{
    size_t text_n = strlen(text);
    int index = 0;
    for (const char *word = words; *word; index++) {
        size_t word_n = strcspn(word, "|");
        if (word_n == text_n && memcmp(word, text, text_n) == 0) {
            *out = index;
            return 0;
        }
        word += word_n + (word[word_n] == '|');
    }
    char choice[PARSE_WHY_BYTES / 2];
    size_t n = 0;
    for (const char *c = words; *c && n < sizeof choice - 3; c++) {
        choice[n++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            choice[n++] = ' ';
    }
    choice[n] = '\0';
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is none of: %s", text, choice);
    return -EINVAL;
}

int parse_signal(const char *text, int *out, char *why)
{
    static const struct {
        char name[8];
        int number;
    } signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
                   {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (strcasecmp(name, signals[i].name) == 0) {
            *out = signals[i].number;
            return 0;
        }
    }
    int64_t number;
    if (parse_integer(text, 1, 64, &number, why) == 0) {
        *out = (int)number;
        return 0;
    }
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no signal: write TERM, INT, QUIT, HUP, KILL, USR1, USR2, WINCH or a number", text);
    return -EINVAL;
}

/* There is room for 8 items, or for the next power of two. */
static int make_room(struct list *l)
{
    size_t n = l->items_n;
    if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
        return 0;
    char **items = realloc(l->items, (n ? n * 2 : 8) * sizeof *items);
    if (!items)
        return -ENOMEM;
    l->items = items;
    return 0;
}

int list_append(struct list *l, const char *item, size_t item_n)
{
    if (make_room(l) < 0)
        return -ENOMEM;
    char *copy = malloc(item_n + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, item, item_n);
    copy[item_n] = '\0';
    l->items[l->items_n++] = copy;
    return 0;
}

void list_fini(struct list *l)
{
    for (size_t i = 0; i < l->items_n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct list){0};
}

int parse_list(const char *text, const char *separators, struct list *out)
{
    while (*text) {
        text += strspn(text, " \t");
        size_t item_n = strcspn(text, separators);
        size_t trimmed_n = item_n;
        while (trimmed_n > 0 && isspace((unsigned char)text[trimmed_n - 1]))
            trimmed_n--;
        if (trimmed_n > 0) {
            int error = list_append(out, text, trimmed_n);
            if (error)
                return error;
        }
        text += item_n + (text[item_n] != '\0');
    }
    return 0;
}

/* One word from *text into word (at least as long as the text); 1 with a word, 0 at the end, -EINVAL. */
static int next_word(const char **text, char *word, size_t *word_n, char *why)
{
    const char *c = *text + strspn(*text, " \t");
    char quote = '\0';
    size_t n = 0;
    if (*c == '\0')
        return 0;
    for (; *c && (quote || (*c != ' ' && *c != '\t')); c++) {
        if (quote == '\0' && (*c == '\'' || *c == '"'))
            quote = *c;
        else if (quote && *c == quote)
            quote = '\0';
        else if (*c == '\\' && quote != '\'' && c[1])
            word[n++] = *++c;
        else
            word[n++] = *c;
    }
    if (quote) {
        snprintf(why, PARSE_WHY_BYTES, "the quote %c is not closed", quote);
        return -EINVAL;
    }
    *word_n = n;
    *text = c;
    return 1;
}

int parse_command(const char *text, struct list *out, char *why)
{
    char *word = malloc(strlen(text) + 1);
    if (!word)
        return -ENOMEM;
    size_t word_n = 0;
    int got;
    while ((got = next_word(&text, word, &word_n, why)) > 0) {
        got = list_append(out, word, word_n);
        if (got < 0)
            break;
    }
    free(word);
    if (got < 0)
        list_fini(out);
    return got;
}
