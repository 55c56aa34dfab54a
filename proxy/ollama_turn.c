/* See ollama_turn.h. */
#include "proxy/ollama_turn.h"

#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct ollama_turn *ollama_turn_of(struct translation *t)
{
    if (!t->turn)
        t->turn = calloc(1, sizeof *t->turn);
    return t->turn;
}

static void free_calls(struct ollama_turn *turn)
{
    for (size_t i = 0; i < turn->calls_n; i++) {
        buf_fini(&turn->calls[i].id);
        buf_fini(&turn->calls[i].name);
        buf_fini(&turn->calls[i].arguments);
    }
    free(turn->calls);
    turn->calls = NULL;
    turn->calls_n = 0;
}

void ollama_turn_fini(struct translation *t)
{
    if (!t->turn)
        return;
    free_calls(t->turn);
    free(t->turn);
    t->turn = NULL;
}

const char *ollama_turn_stamp(const struct translation *t, char out[TURN_STAMP_BYTES])
{
    int64_t passed_ms = t->now_ms > t->began_ms ? t->now_ms - t->began_ms : 0;
    time_t now = (time_t)(t->created_s + passed_ms / 1000);
    struct ollama_turn *turn = t->turn;
    struct tm tm;
    if (!turn || turn->stamp_s != now) {
        gmtime_r(&now, &tm);
        strftime(out, TURN_STAMP_BYTES, "%Y-%m-%dT%H:%M:%S.000000000Z", &tm);
        if (turn) {
            memcpy(turn->stamp, out, TURN_STAMP_BYTES);
            turn->stamp_s = now;
        }
    } else {
        memcpy(out, turn->stamp, TURN_STAMP_BYTES);
    }
    char *fraction = strchr(out, '.');
    if (fraction) {
        fraction[1] = (char)('0' + passed_ms / 100 % 10);
        fraction[2] = (char)('0' + passed_ms / 10 % 10);
        fraction[3] = (char)('0' + passed_ms % 10);
    }
    return out;
}

enum { INDEX, ID, FUNCTION, CALL_N };
static const char *const call_names[] = {"index", "id", "function"};

/* A piece belongs to the call of its index; without one to the last. One with an id that none of these has begins another, as some
 * servers number all calls 0. */
static struct ollama_call *find_call(struct ollama_turn *turn, const struct json_value v[CALL_N])
{
    int has_index = v[INDEX].kind == JSON_NUMBER, has_id = v[ID].kind == JSON_STRING && v[ID].n > 2;
    uint64_t index = has_index ? json_read_count(&v[INDEX]) : 0;
    int is_last = 1;
    for (size_t i = turn->calls_n; i-- > 0;) {
        struct ollama_call *c = &turn->calls[i];
        if (has_index && c->index != index)
            continue;
        if (!has_id || (is_last && buf_size(&c->id) == 0) ||
            (buf_size(&c->id) == v[ID].n - 2 && memcmp(buf_data(&c->id), v[ID].at + 1, v[ID].n - 2) == 0))
            return c;
        is_last = 0;
    }
    return NULL;
}

static struct ollama_call *add_call(struct ollama_turn *turn, const struct json_value v[CALL_N])
{
    if (!turn->calls)
        turn->calls = calloc(TURN_CALLS_MAX, sizeof *turn->calls);
    if (!turn->calls)
        return NULL;
    struct ollama_call *c = &turn->calls[turn->calls_n++];
    c->index = v[INDEX].kind == JSON_NUMBER ? json_read_count(&v[INDEX]) : turn->calls_n - 1;
    buf_init(&c->id, 0);
    buf_init(&c->name, 0);
    buf_init(&c->arguments, 0);
    return c;
}

static int add_text(struct ollama_turn *turn, struct buf *to, const struct json_value *text)
{
    turn->calls_bytes += text->n;
    return turn->calls_bytes > TURN_CALLS_BYTES ? -EINVAL : buf_append(to, text->at + 1, text->n - 2);
}

static int gather_call(struct ollama_turn *turn, const struct json_value *call)
{
    static const char *const function_names[] = {"name", "arguments"};
    struct json_value v[CALL_N], function[2];
    json_read_object(call, call_names, CALL_N, JSON_EXACT, v);
    json_read_object(&v[FUNCTION], function_names, 2, JSON_EXACT, function);
    struct ollama_call *c = find_call(turn, v);
    if (!c && turn->calls_n == TURN_CALLS_MAX)
        return -EINVAL;
    if (!c)
        c = add_call(turn, v);
    int error = c ? 0 : -ENOMEM;
    if (!error && v[ID].kind == JSON_STRING && buf_size(&c->id) == 0)
        error = add_text(turn, &c->id, &v[ID]);
    if (!error && function[0].kind == JSON_STRING)
        error = add_text(turn, &c->name, &function[0]);
    if (!error && function[1].kind == JSON_STRING)
        error = add_text(turn, &c->arguments, &function[1]);
    else if (!error && function[1].kind == JSON_OBJECT) /* as some servers write them */
        error = turn->calls_bytes + function[1].n > TURN_CALLS_BYTES ? -EINVAL : buf_json_text(&c->arguments, function[1].at, function[1].n);
    return error;
}

int ollama_turn_gather(struct translation *t, const struct json_value *calls)
{
    struct ollama_turn *turn = ollama_turn_of(t);
    struct json_items items;
    struct json_value call;
    int error = turn ? 0 : -ENOMEM;
    json_items_init(&items, calls);
    while (!error && json_items_next(&items, &call))
        if (call.kind == JSON_OBJECT)
            error = gather_call(turn, &call);
    if (error == -EINVAL)
        t->fault = "more calls of tools, or longer ones, than are taken";
    return error;
}

static void write_quoted(struct json_write *w, const struct buf *text)
{
    struct json_value value = {JSON_STRING, buf_data(text), buf_size(text)};
    json_write_text(w, "\"");
    json_write_safely(w, &value);
    json_write_text(w, "\"");
}

/* Their text becomes an object again, as it stands. 0, or -EINVAL where it is none. */
static int write_arguments(struct json_write *w, const struct buf *text)
{
    struct buf object;
    struct json_value value = {JSON_OBJECT, "{}", 2};
    buf_init(&object, 0);
    struct json_write decoded = json_write_begin(&object);
    const char *at = "";
    ssize_t n = json_write_decoded(&decoded, (struct json_text){buf_data(text), buf_size(text)}, &at);
    struct json_walk walk = {at, at + (n > 0 ? n : 0)};
    json_space(&walk);
    int error = n < 0 ? -EINVAL : walk.at == walk.end ? 0 : json_value(&walk, &value);
    json_space(&walk);
    if (!error && (value.kind != JSON_OBJECT || walk.at < walk.end || !json_has_known_escapes((struct json_text){value.at, value.n})))
        error = -EINVAL;
    if (!error)
        json_write_safely(w, &value);
    buf_fini(&object);
    return error;
}

int ollama_turn_write(struct translation *t, struct json_write *w, int is_cut)
{
    struct ollama_turn *turn = t->turn;
    size_t written_n = 0;
    for (size_t i = 0; i < turn->calls_n && !w->error; i++) {
        struct ollama_call *c = &turn->calls[i];
        size_t before_n = buf_size(w->out);
        json_write_text(w, written_n ? ",{\"id\":" : ",\"tool_calls\":[{\"id\":");
        write_quoted(w, &c->id);
        json_write_text(w, ",\"function\":{\"index\":");
        json_write_number(w, written_n);
        json_write_text(w, ",\"name\":");
        write_quoted(w, &c->name);
        json_write_text(w, ",\"arguments\":");
        if (write_arguments(w, &c->arguments) == 0) {
            json_write_text(w, "}}");
            written_n++;
        } else if (is_cut) {
            buf_truncate(w->out, before_n);
        } else {
            t->fault = "a call of a tool whose arguments are no JSON object";
            return -EINVAL;
        }
    }
    if (written_n > 0)
        json_write_text(w, "]");
    free_calls(turn);
    return 0;
}
