/* See supervisor_facts.h. */
#include "proxy/observe/supervisor_facts.h"

#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NONE = -1 };

static const char *const phase_names[SUPERVISOR_PHASES] = {"exec", "api", "models", "load", "first_token"};

const char *supervisor_phase_name(size_t phase)
{
    return phase_names[phase];
}

/* None of them is ever below 0. */
static double number_of(const struct json_value *v)
{
    double number;
    return v->kind == JSON_NUMBER && json_read_number(v->at, v->n, &number) == 0 && number >= 0 ? number : NONE;
}

static int state_of(const struct json_value *v)
{
    for (int i = 0; i < CONTRACT_STATE_COUNT; i++)
        if (json_read_is(v, contract_state_name((enum contract_state)i)))
            return i;
    return NONE;
}

static void read_program(struct supervisor_facts *out, const struct json_value *program)
{
    enum { NAME, STATE, RESTARTS, CODE, RSS, CPU, NAMES_N };
    static const char *const names[NAMES_N] = {"name", "state", "restarts", "last_exit_code", "rss_bytes", "cpu_ms"};
    struct json_value v[NAMES_N];
    struct program_fact *p = &out->programs[out->programs_n];
    json_read_object(program, names, NAMES_N, JSON_EXACT, v);
    if (v[NAME].kind != JSON_STRING || json_decode(json_read_text(&v[NAME]), p->name, sizeof p->name) < 0 || !*p->name)
        return;
    p->state = state_of(&v[STATE]);
    p->restarts_n = number_of(&v[RESTARTS]);
    p->last_exit_code = number_of(&v[CODE]);
    p->memory_bytes = number_of(&v[RSS]);
    p->cpu_ms = number_of(&v[CPU]);
    out->programs_n++;
}

static void read_programs(struct supervisor_facts *out, const struct json_value *programs)
{
    struct json_items items;
    struct json_value program;
    json_items_init(&items, programs);
    while (out->programs_n < CONTRACT_PROGRAMS && json_items_next(&items, &program))
        read_program(out, &program);
}

/* The last one of the array is the last start. */
static void read_boots(struct supervisor_facts *out, const struct json_value *boots)
{
    static const char *const names[SUPERVISOR_PHASES] = {"exec_ms", "api_ms", "models_ms", "load_ms", "first_token_ms"};
    struct json_value boot = {.kind = JSON_NULL}, v[SUPERVISOR_PHASES];
    struct json_items items;
    json_items_init(&items, boots);
    while (json_items_next(&items, &boot))
        continue;
    json_read_object(&boot, names, SUPERVISOR_PHASES, JSON_EXACT, v);
    for (size_t i = 0; i < SUPERVISOR_PHASES; i++)
        out->boot_ms[i] = number_of(&v[i]);
}

static void read_sleep(struct supervisor_facts *out, const struct json_value *sleep)
{
    enum { AWAKE, ASLEEP, COLD_STARTS, WAKES, PARTS, NAMES_N };
    static const char *const names[NAMES_N] = {"awake_s", "asleep_s", "cold_starts", "wakes", "parts"};
    static const char *const of_part[] = {"n", "ms"};
    struct json_value v[NAMES_N], parts[SUPERVISOR_PHASES], part[2];
    json_read_object(sleep, names, NAMES_N, JSON_EXACT, v);
    out->awake_s = number_of(&v[AWAKE]);
    out->asleep_s = number_of(&v[ASLEEP]);
    out->cold_starts_n = number_of(&v[COLD_STARTS]);
    out->wakes_n = number_of(&v[WAKES]);
    json_read_object(&v[PARTS], phase_names, SUPERVISOR_PHASES, JSON_EXACT, parts);
    for (size_t i = 0; i < SUPERVISOR_PHASES; i++) {
        json_read_object(&parts[i], of_part, 2, JSON_EXACT, part);
        out->cold_n[i] = number_of(&part[0]);
        out->cold_ms[i] = number_of(&part[1]);
    }
}

static void read_memory(struct supervisor_facts *out, const struct json_value *memory)
{
    static const char *const names[] = {"limit_bytes", "used_bytes", "cache_bytes", "oom_kills"};
    struct json_value v[4];
    json_read_object(memory, names, 4, JSON_EXACT, v);
    out->memory_limit_bytes = number_of(&v[0]);
    out->memory_used_bytes = number_of(&v[1]);
    out->memory_cache_bytes = number_of(&v[2]);
    out->oom_kills_n = number_of(&v[3]);
}

int supervisor_facts_read(struct supervisor_facts *out, const char *json, size_t json_n)
{
    enum { SLEEP, MEMORY, PROGRAMS, BOOTS, NAMES_N };
    static const char *const names[NAMES_N] = {"sleep", "memory", "programs", "boots"};
    struct json_walk w = {json, json + json_n};
    struct json_value v[NAMES_N];
    out->programs_n = 0;
    if (json_read_members(&w, names, NAMES_N, JSON_EXACT, v) < 0)
        return -EINVAL;
    read_sleep(out, &v[SLEEP]);
    read_memory(out, &v[MEMORY]);
    read_programs(out, &v[PROGRAMS]);
    read_boots(out, &v[BOOTS]);
    return 0;
}
