/* See openai_logprobs.h. Numbers and tokens are copied as they stand. */
#include "proxy/openai_logprobs.h"

enum { TOKEN, LOGPROB, BYTES, TOP_LOGPROBS, NAMES_N };
static const char *const names[] = {"token", "logprob", "bytes", "top_logprobs"};

/* Whatever a backend writes, its kind is the one that readers expect. */
static void write_or(struct json_write *w, const struct json_value *value, enum json_kind kind, const char *otherwise)
{
    if (value->kind == kind && value->at)
        json_write_safely(w, value);
    else
        json_write_text(w, otherwise);
}

static void write_token(struct json_write *w, const struct json_value v[NAMES_N])
{
    json_write_text(w, "{\"token\":");
    write_or(w, &v[TOKEN], JSON_STRING, "\"\"");
    json_write_text(w, ",\"logprob\":");
    write_or(w, &v[LOGPROB], JSON_NUMBER, "0");
    json_write_text(w, ",\"bytes\":");
    write_or(w, &v[BYTES], JSON_ARRAY, "null");
}

/* The next one of an array; a comma goes before all but the first. */
static int next(struct json_write *w, struct json_items *items, struct json_value v[NAMES_N])
{
    struct json_value item;
    if (!json_items_next(items, &item))
        return 0;
    if (items->read_n > 1)
        json_write_text(w, ",");
    json_read_object(&item, names, NAMES_N, JSON_EXACT, v);
    return 1;
}

void openai_logprobs_chat(struct json_write *w, const struct json_value *logprobs)
{
    struct json_items items, tops;
    struct json_value v[NAMES_N], top[NAMES_N];
    if (logprobs->kind != JSON_ARRAY) {
        json_write_text(w, "null");
        return;
    }
    json_write_text(w, "{\"content\":[");
    for (json_items_init(&items, logprobs); next(w, &items, v);) {
        write_token(w, v);
        json_write_text(w, ",\"top_logprobs\":[");
        for (json_items_init(&tops, &v[TOP_LOGPROBS]); next(w, &tops, top);) {
            write_token(w, top);
            json_write_text(w, "}");
        }
        json_write_text(w, "]}");
    }
    json_write_text(w, "],\"refusal\":null}");
}

/* Characters of a JSON string: an escape is one, a pair of surrogates too. */
static uint64_t count_chars(const struct json_value *string)
{
    struct json_text text = string->kind == JSON_STRING ? json_read_text(string) : (struct json_text){"", 0};
    uint64_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int is_escape = text.at[i] == '\\' && i + 1 < text.n, is_long = is_escape && text.at[i + 1] == 'u' && i + 5 < text.n;
        int is_high = is_long && (text.at[i + 2] == 'd' || text.at[i + 2] == 'D') && strchr("89abAB", text.at[i + 3]);
        n += !is_high && (text.at[i] & 0xc0) != 0x80;
        i += is_long ? 5 : is_escape ? 1 : 0;
    }
    return n;
}

/* {" a": -0.1, …} */
static void write_tops(struct json_write *w, const struct json_value *tops)
{
    struct json_items items;
    struct json_value v[NAMES_N];
    json_write_text(w, "{");
    for (json_items_init(&items, tops); next(w, &items, v);) {
        write_or(w, &v[TOKEN], JSON_STRING, "\"\"");
        json_write_text(w, ":");
        write_or(w, &v[LOGPROB], JSON_NUMBER, "0");
    }
    json_write_text(w, "}");
}

void openai_logprobs_text(struct json_write *w, const struct json_value *logprobs, uint64_t *text_n)
{
    static const char *const members[] = {"{\"tokens\":[", "],\"token_logprobs\":[", "],\"top_logprobs\":[", "],\"text_offset\":["};
    struct json_items items;
    struct json_value v[NAMES_N];
    if (logprobs->kind != JSON_ARRAY) {
        json_write_text(w, "null");
        return;
    }
    for (size_t member = 0; member < sizeof members / sizeof *members; member++) {
        json_write_text(w, members[member]);
        for (json_items_init(&items, logprobs); next(w, &items, v);) {
            if (member == 0)
                write_or(w, &v[TOKEN], JSON_STRING, "\"\"");
            else if (member == 1)
                write_or(w, &v[LOGPROB], JSON_NUMBER, "0");
            else if (member == 2)
                write_tops(w, &v[TOP_LOGPROBS]);
            else
                json_write_number(w, *text_n);
            *text_n += member == 3 ? count_chars(&v[TOKEN]) : 0;
        }
    }
    json_write_text(w, "]}");
}
