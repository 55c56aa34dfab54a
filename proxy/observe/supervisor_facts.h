/*
 * supervisor_facts: what a supervisor's status says (docs/contract.md, `status`), as numbers for /metrics.
 */
#ifndef PROXY_OBSERVE_SUPERVISOR_FACTS_H
#define PROXY_OBSERVE_SUPERVISOR_FACTS_H

#include "common/contract.h"

/* The phases of a start of Ollama, as they follow each other. */
enum { SUPERVISOR_PHASES = 5 };

/* Each number is -1 where it is not known. */
struct program_fact {
    char name[CONTRACT_NAME_BYTES];
    int state; /* enum contract_state; -1: another word */
    double restarts_n, last_exit_code, memory_bytes, cpu_ms;
};

struct supervisor_facts {
    double memory_limit_bytes, memory_used_bytes, memory_cache_bytes, oom_kills_n;
    double awake_s, asleep_s, cold_starts_n, wakes_n;
    double boot_ms[SUPERVISOR_PHASES];                       /* of the last start, from its beginning */
    double cold_n[SUPERVISOR_PHASES], cold_ms[SUPERVISOR_PHASES]; /* of all cold starts: how often, and how long together */
    size_t programs_n;
    struct program_fact programs[CONTRACT_PROGRAMS];
};

/* 0; -EINVAL: it is no object, and *out says nothing. What is missing in it is not known. */
int supervisor_facts_read(struct supervisor_facts *out, const char *json, size_t json_n) WARN_UNUSED;

/* The phase's word. */
const char *supervisor_phase_name(size_t phase);

#endif
