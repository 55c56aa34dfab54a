/* See accept.h. Who names both with the same weight reads both, and has named events for a reason. */
#include "proxy/accept.h"

enum { Q_ONE = 1000 };

struct text {
    const char *at;
    size_t n;
};

static struct text trim(struct text t)
{
    while (t.n > 0 && (*t.at == ' ' || *t.at == '\t'))
        t.at++, t.n--;
    while (t.n > 0 && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

/* Takes what stands before the next separator off the text; separators in quotes are none. */
static struct text take(struct text *rest, char separator)
{
    struct text piece = *rest;
    int is_quoted = 0;
    for (piece.n = 0; piece.n < rest->n; piece.n++) {
        char c = rest->at[piece.n];
        if (c == '\\' && is_quoted && piece.n + 1 < rest->n)
            piece.n++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == separator && !is_quoted)
            break;
    }
    size_t taken_n = piece.n < rest->n ? piece.n + 1 : piece.n;
    rest->at += taken_n;
    rest->n -= taken_n;
    return trim(piece);
}

/* `0.75` is 750; what is no weight does not count. RFC 9110 section 12.4.2 */
static int weight_of(struct text value)
{
    int weight = 0, unit = Q_ONE;
    if (value.n == 0 || (value.at[0] != '0' && value.at[0] != '1') || (value.n > 1 && value.at[1] != '.'))
        return Q_ONE;
    for (size_t i = 0; i < value.n && unit > 0; i++) {
        if (i == 1)
            continue;
        if (value.at[i] < '0' || value.at[i] > '9')
            return Q_ONE;
        weight += (value.at[i] - '0') * unit;
        unit /= 10;
    }
    return weight > Q_ONE ? Q_ONE : weight;
}

static int read_weight(struct text parameters)
{
    while (parameters.n > 0) {
        struct text p = take(&parameters, ';');
        if (p.n > 2 && text_is(p.at, 2, "q="))
            return weight_of((struct text){p.at + 2, p.n - 2});
    }
    return Q_ONE;
}

static void note_weight(int *most, int weight)
{
    if (weight > *most)
        *most = weight;
}

int accept_wants_events(const struct message *m)
{
    static const char *const json[] = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json"};
    int events = 0, others = 0;
    for (int i = message_find(m, "accept", 0); i >= 0; i = message_find(m, "accept", (size_t)i + 1)) {
        struct text rest = {message_at(m, m->fields[i].value), m->fields[i].value.n};
        while (rest.n > 0) {
            struct text range = take(&rest, ','), type = take(&range, ';');
            int weight = read_weight(range);
            if (text_is(type.at, type.n, "text/event-stream"))
                note_weight(&events, weight);
            for (size_t k = 0; k < sizeof json / sizeof *json; k++)
                if (text_is(type.at, type.n, json[k]))
                    note_weight(&others, weight);
        }
    }
    return events > 0 && events >= others;
}

int accept_takes_gzip(const struct message *m)
{
    int place = message_find(m, "accept-encoding", 0), gzip = -1, others = 0;
    if (place < 0)
        return 1;
    for (; place >= 0; place = message_find(m, "accept-encoding", (size_t)place + 1)) {
        struct text rest = {message_at(m, m->fields[place].value), m->fields[place].value.n};
        while (rest.n > 0) {
            struct text item = take(&rest, ','), coding = take(&item, ';');
            int weight = read_weight(item);
            if (text_is(coding.at, coding.n, "gzip") || text_is(coding.at, coding.n, "x-gzip"))
                note_weight(&gzip, weight);
            else if (text_is(coding.at, coding.n, "*"))
                note_weight(&others, weight);
        }
    }
    return gzip < 0 ? others > 0 : gzip > 0;
}
