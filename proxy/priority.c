/* See priority.h. */
#include "proxy/priority.h"

#include "common/buf.h"
#include "common/json_walk.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_BYTES = 40 };

#define RIGHT "must be a whole number from 0 to 9 (9 goes first; 5 where nobody says)"

/* One digit; -1 for anything else: 5.0 and 05 are not what another reader may take them for. */
static int read_digit(const char *text, size_t n)
{
    return n == 1 && *text >= '0' && *text <= '9' ? *text - '0' : -1;
}

static int refuse_text(const char *place, const char *text, size_t n, char why[PRIORITY_WHY_BYTES])
{
    char shown[SHOWN_BYTES + 1];
    snprintf(shown, sizeof shown, "%.*s", (int)(n < SHOWN_BYTES ? n : SHOWN_BYTES), text);
    buf_neutralise(shown);
    snprintf(why, PRIORITY_WHY_BYTES, "%s: " RIGHT ", not %s", place, shown);
    return -EINVAL;
}

/* The last member of the name; 1 where there is any. */
static int find_member(const char *json, size_t json_n, struct json_value *value)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    int is_there = 0, got = json_take(&w, '{');
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1 && json_match(m.name, "priority") != JSON_OTHER) {
            *value = m.value;
            is_there = 1;
        }
    }
    return got >= 0 && is_there;
}

static int read_body(struct priority_said *said, const char *json, size_t json_n, char why[PRIORITY_WHY_BYTES])
{
    struct json_value value = {.kind = JSON_NULL};
    said->is_in_body = find_member(json, json_n, &value);
    if (!said->is_in_body || value.kind == JSON_NULL)
        return 0;
    said->of_body = value.kind == JSON_NUMBER ? read_digit(value.at, value.n) : -1;
    if (said->of_body >= 0)
        return 0;
    if (value.kind == JSON_NUMBER)
        return refuse_text("priority", value.at, value.n, why);
    snprintf(why, PRIORITY_WHY_BYTES, "priority: " RIGHT ", not %s", json_kind_name(value.kind));
    return -EINVAL;
}

static int read_head(struct priority_said *said, const struct message *request, char why[PRIORITY_WHY_BYTES])
{
    int place = message_find(request, "x-priority", 0);
    struct span value = place < 0 ? (struct span){0, 0} : request->fields[place].value;
    if (value.n == 0) /* as an empty field that somebody's template has left */
        return 0;
    if (message_count(request, "x-priority") > 1) {
        snprintf(why, PRIORITY_WHY_BYTES, "X-Priority: is there more than once; one of them is enough");
        return -EINVAL;
    }
    said->of_head = read_digit(message_at(request, value), value.n);
    return said->of_head >= 0 ? 0 : refuse_text("X-Priority", message_at(request, value), value.n, why);
}

int priority_read(struct priority_said *said, const struct message *request, const char *json, size_t json_n, char why[PRIORITY_WHY_BYTES])
{
    *said = (struct priority_said){.of_body = PRIORITY_UNSAID, .of_head = PRIORITY_UNSAID};
    int error = read_body(said, json, json_n, why);
    return error ? error : read_head(said, request, why);
}

unsigned priority_choose(const struct priority_said *said, int of_key)
{
    int otherwise = of_key != PRIORITY_UNSAID ? of_key : BALANCE_PRIORITY;
    int wanted = said->of_body != PRIORITY_UNSAID ? said->of_body : said->of_head != PRIORITY_UNSAID ? said->of_head : otherwise;
    return (unsigned)(of_key != PRIORITY_UNSAID && of_key < wanted ? of_key : wanted);
}
