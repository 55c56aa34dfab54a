/*
 * See models.h. POST /api/pull of the proxy, or, where there is no Ollama, POST /pull of its model server: both tell their progress by lines of JSON
 * (common/pull_progress.h). On a terminal one line is drawn anew; elsewhere a line is written each tenth.
 */
#include "ctl/models.h"

#include "common/pull_progress.h"
#include "common/text.h"
#include "ctl/call.h"
#include "ctl/plain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_LIMIT_BYTES = 1 << 16, DRAW_MS = 100, STEP_PERCENT = 10, NAME_BYTES = 256 };

struct pull {
    const struct ctl *ctl;
    struct progress progress;
    struct buf line;
    char name[NAME_BYTES];
    int has_terminal;
    int told_percent;
    int64_t drawn_at_ms;
};

/* "llama3.2:1b: 42 %, 559 MB of 1.3 GB, 12 MB/s, 1m02s left" */
static void draw(const struct pull *p, int percent, int64_t now_ms, const char *begin, const char *end)
{
    char have[TEXT_NUMBER_BYTES], all[TEXT_NUMBER_BYTES], rate[TEXT_NUMBER_BYTES], left[TEXT_NUMBER_BYTES];
    text_bytes(have, p->progress.completed);
    text_bytes(all, p->progress.total);
    text_bytes(rate, progress_rate(&p->progress, now_ms));
    text_duration(left, progress_left_ms(&p->progress, now_ms));
    printf("%s%s: %d %%, %s of %s, %s/s, %s left%s", begin, p->name, percent, have, all, rate, left, end);
    fflush(stdout);
}

static void show(struct pull *p, int64_t now_ms)
{
    int percent = progress_percent(&p->progress);
    if (p->ctl->is_json || percent < 0 || p->progress.stage == PROGRESS_SUCCESS)
        return;
    if (p->has_terminal && now_ms - p->drawn_at_ms >= DRAW_MS) {
        p->drawn_at_ms = now_ms;
        draw(p, percent, now_ms, "\r", "\033[K");
    } else if (!p->has_terminal && percent >= p->told_percent + STEP_PERCENT) {
        p->told_percent = percent - percent % STEP_PERCENT;
        draw(p, percent, now_ms, "", "\n");
    }
}

static int take(void *context, const char *bytes, size_t bytes_n)
{
    struct pull *p = context;
    const char *end;
    if (p->ctl->is_json) {
        fwrite(bytes, 1, bytes_n, stdout);
        fflush(stdout);
    }
    if (buf_append(&p->line, bytes, bytes_n) < 0)
        return -1;
    while ((end = memchr(buf_data(&p->line), '\n', buf_size(&p->line)))) {
        size_t n = (size_t)(end - buf_data(&p->line));
        int64_t now_ms = sys_monotonic_ms();
        if (!text_is_blank(buf_data(&p->line), n))
            progress_line(&p->progress, buf_data(&p->line), n, now_ms);
        buf_consume(&p->line, n + 1);
        show(p, now_ms);
    }
    return 0;
}

/* How it ended, once the answer has: its last line says so. */
static int judge(struct pull *p)
{
    if (p->has_terminal && p->drawn_at_ms > 0)
        fputs("\r\033[K", stdout);
    if (p->progress.stage == PROGRESS_SUCCESS && !p->progress.error[0]) {
        if (!p->ctl->is_json)
            printf("%s is there\n", p->name);
        return CTL_OK;
    }
    if (!p->ctl->is_json)
        fprintf(stderr, "sidecarctl: %s\n", p->progress.error[0] ? p->progress.error : "the answer ended, and did not say that the model is there");
    return CTL_REFUSED;
}

/* *is_for_ollama: the path is, and there is none; nothing was told then. */
static int ask(struct pull *p, const char *path, int *is_for_ollama)
{
    struct buf body;
    struct door_answer a = {.status = 0};
    int code = CTL_NOBODY;
    buf_init(&body, 0);
    buf_init(&a.body, 0);
    if (models_body(p->ctl->argument, ",\"stream\":true", &body) == 0) {
        const struct door_request request = {.method = "POST", .path = path, .body = buf_data(&body), .take = take, .context = p, .is_patient = 1};
        code = door_ask(p->ctl, &request, &a);
    }
    *is_for_ollama = code == CTL_OK && a.status == 501 && strcmp(path, "/pull") != 0;
    if (code == CTL_OK && !*is_for_ollama)
        code = a.status == 200 ? judge(p) : call_refuse(p->ctl, &a);
    buf_fini(&body);
    door_answer_fini(&a);
    return code;
}

int models_pull(const struct ctl *ctl)
{
    struct pull p = {.ctl = ctl, .has_terminal = sys_isatty(STDOUT_FILENO)};
    int is_for_ollama;
    plain_clean_to(p.name, sizeof p.name, ctl->argument);
    progress_init(&p.progress);
    progress_begin(&p.progress, sys_monotonic_ms());
    buf_init(&p.line, LINE_LIMIT_BYTES);
    int code = ask(&p, "/api/pull", &is_for_ollama);
    if (is_for_ollama)
        code = ask(&p, "/pull", &is_for_ollama);
    buf_fini(&p.line);
    return code;
}
