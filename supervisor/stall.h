/*
 * stall: is Ollama hung? It is where requests are with it, no byte of an answer comes, and no process below it does anything: no
 * processor time, nothing read from files, no time of a GPU. A long silent prefill is none, nor is a load from a slow disk. A
 * pure judgement over samples that somebody else takes.
 */
#ifndef SUPERVISOR_STALL_H
#define SUPERVISOR_STALL_H

#include <stdint.h>

enum {
    /* What counts as nothing, of one processor in percent. Measured on Ollama 0.9.5: 0.0 where its runner stands still in the middle of
     * an answer, 0.45 where it stands still while it loads, as Ollama asks it four times a second. Work takes a whole core, and on
     * the smallest of shared machines still some percent. */
    STALL_CPU_PERCENT = 1,
    STALL_CPU_LEAST_MS = 20,         /* two ticks of the kernel's, whatever the time: one of them is chance */
    STALL_CPU_CREEPS_MS = 80,        /* … and eight since it seems to stand still, should it be starved by others and work in small pieces */
    STALL_READ_BYTES_A_SECOND = 64 * 1024, /* and of reading: what Ollama reads of its runner's answers is less, and no disk so slow */
    STALL_GPU_PERCENT = 10,          /* of a GPU's time: a screen takes some too */
};

/* What all processes below Ollama have taken since they began; ever growing, but where one has ended. */
struct stall_sample {
    int is_known;              /* else nobody could look */
    int gpu_percent;           /* how busy GPUs are at this moment, whoever uses them; 0 where nobody knows */
    int64_t cpu_ms, read_bytes;
    int64_t gpu_ms;            /* 0 where no driver tells */
};

struct stall {
    int has_sample;
    int64_t since_ms;   /* nothing has moved since */
    int64_t since_cpu_ms; /* … and what had been taken then */
    int64_t sampled_ms;
    uint64_t progress;
    struct stall_sample sample;
};

enum stall_verdict {
    STALL_MOVES,
    STALL_STILL,
    STALL_HUNG, /* still for limit_ms */
};

/* From here on. */
void stall_begin(struct stall *s);
/* The next sample, and what writers count of answers. limit_ms: stall_timeout. */
enum stall_verdict stall_judge(struct stall *s, const struct stall_sample *sample, uint64_t progress, int64_t limit_ms, int64_t now_ms);

#endif
