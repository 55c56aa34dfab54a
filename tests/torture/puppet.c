/* See torture.h: the puppeteer. All it does is done without waiting, between two turns of the supervisor's loop. */
#include "tests/torture/torture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STEP_LIMIT_MS = 4000, ASK_AGAIN_MS = 150, LOG_BYTES = 1 << 18, PLAY_EVERY_MS = 2 };

char puppet_dir[64], puppet_address[32], puppet_log_path[96];
const char *puppet_child;
static char log_text[LOG_BYTES];

/* One scenario in the making. */
static struct {
    const struct scenario *scenario;
    int is_begun, is_told; /* of that step; the last signal was sent */
    int64_t since_ms, again_at_ms;
    int client_fd, http_fd, http_client_fd, asked_n;
    const char *answer;
    char reply[8192], question[512];
    size_t reply_n, question_n;
} play;

int64_t puppet_clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void puppet_fail(const char *format, ...)
{
    va_list args;
    if (faults->verdict[0])
        return;
    va_start(args, format);
    vsnprintf(faults->verdict, sizeof faults->verdict, format, args);
    va_end(args);
}

/* ---- what a puppet has ---- */

int puppet_logged(const char *text)
{
    int fd = open(puppet_log_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, log_text, sizeof log_text - 1);
    close(fd);
    log_text[n > 0 ? n : 0] = '\0';
    return strstr(log_text, text) != NULL;
}

int puppet_listen(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    inet_pton(AF_INET, puppet_address, &at.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0)
        return fd;
    close(fd);
    return -1;
}

int puppet_serve(int port)
{
    play.http_fd = puppet_listen(port);
    return play.http_fd < 0 ? -1 : 0;
}

void puppet_answer(const char *answer)
{
    play.answer = answer;
    play.asked_n = 0;
}

int puppet_asked_n(void)
{
    return play.asked_n;
}

static void serve_http(void)
{
    if (play.http_client_fd < 0)
        play.http_client_fd = accept4(play.http_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (play.http_client_fd < 0)
        return;
    ssize_t n = recv(play.http_client_fd, play.question + play.question_n, sizeof play.question - 1 - play.question_n, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    play.question_n += n > 0 ? (size_t)n : 0;
    play.question[play.question_n] = '\0';
    if (n > 0 && play.answer && !strstr(play.question, "\r\n\r\n"))
        return;
    if (n > 0) {
        play.asked_n++;
        if (play.answer)
            (void)!send(play.http_client_fd, play.answer, strlen(play.answer), MSG_NOSIGNAL);
    }
    close(play.http_client_fd);
    play.http_client_fd = -1;
    play.question_n = 0;
}

/* @CHILD, @DIR and @ADDRESS stand for what they are in this run. */
static void write_ini(const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/supervisor.ini", puppet_dir);
    FILE *f = fopen(path, "we");
    for (const char *c = text; f && *c; c++) {
        static const char *const names[] = {"@CHILD", "@DIR", "@ADDRESS"};
        const char *values[] = {puppet_child, puppet_dir, puppet_address};
        size_t i = 0;
        while (i < 3 && strncmp(c, names[i], strlen(names[i])) != 0)
            i++;
        if (i == 3)
            fputc(*c, f);
        else
            fputs(values[i], f);
        c += i == 3 ? 0 : strlen(names[i]) - 1;
    }
    if (f)
        fclose(f);
}

static void hang_up_client(void)
{
    close(play.client_fd);
    play.client_fd = -1;
}

static void call_control(const char *line, const char *end)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s/control.sock", puppet_dir);
    play.client_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    play.reply_n = 0;
    if (connect(play.client_fd, (struct sockaddr *)&to, sizeof to) < 0) {
        hang_up_client();
        return;
    }
    (void)!send(play.client_fd, line, strlen(line), MSG_NOSIGNAL);
    (void)!send(play.client_fd, end, strlen(end), MSG_NOSIGNAL);
}

/* 1 when the other side has hung up; its words are in play.reply. */
static int hear_control(void)
{
    ssize_t n;
    while ((n = recv(play.client_fd, play.reply + play.reply_n, sizeof play.reply - 1 - play.reply_n, 0)) > 0)
        play.reply_n += (size_t)n;
    play.reply[play.reply_n] = '\0';
    return n == 0 || errno != EAGAIN;
}

/* ---- steps ---- */

static int64_t again_ms(int64_t now_ms)
{
    play.again_at_ms = now_ms + ASK_AGAIN_MS;
    return play.again_at_ms;
}

static int step_say(const struct step *s, int64_t now_ms)
{
    if (play.client_fd < 0) {
        if (!play.is_begun || now_ms >= play.again_at_ms)
            call_control(s->a, s->kind == STEP_SAY ? "\n" : "");
        if (play.client_fd >= 0)
            (void)again_ms(now_ms);
        return 0;
    }
    if (s->kind == STEP_SEND) { /* it may be gone before it is answered */
        hang_up_client();
        return 1;
    }
    if (!hear_control())
        return 0;
    hang_up_client();
    return strstr(play.reply, s->b) != NULL; /* else the owner tries once more */
}

/* The one line may have been the one that failed; and without a subreaper orphans are none of ours. */
static int may_lose_lines(void)
{
    int id = faults->target;
    return atomic_load(&faults->was_hit) && (id == CALL_sys_write || id == CALL_sys_poll || id == CALL_realloc || id == CALL_sys_read ||
                                            id == CALL_sys_become_subreaper);
}

static int step_done(const struct step *s, int64_t now_ms)
{
    struct child *c = s->a ? state_child(puppet_supervisor, s->a) : NULL;
    switch (s->kind) {
    case STEP_STATE:
        return c && c->program.state == (enum contract_state)s->n;
    case STEP_RESTARTS:
        return c && c->program.restarts_n >= (unsigned)s->n;
    case STEP_SAY:
    case STEP_SEND:
        return step_say(s, now_ms);
    case STEP_INI:
        write_ini(s->a);
        return 1;
    case STEP_SIGNAL:
        if (!play.is_begun || now_ms >= play.again_at_ms) {
            kill(getpid(), s->n);
            (void)again_ms(now_ms);
        }
        return s->fn();
    case STEP_KILL:
        return c && c->program.pid > 0 && kill(c->program.pid, s->n) == 0;
    case STEP_LOG:
        return puppet_logged(s->b) || may_lose_lines();
    case STEP_CALL:
        return s->fn();
    case STEP_NONE:
        break;
    }
    return 0;
}

static void next_step(int64_t now_ms)
{
    faults->step_n++;
    play.is_begun = 0;
    play.since_ms = now_ms;
}

static void play_on(int64_t now_ms)
{
    const struct step *s = &play.scenario->steps[faults->step_n];
    if (s->kind == STEP_NONE) { /* that was all */
        if (!play.is_told && !play.scenario->ends_itself)
            kill(getpid(), SIGTERM);
        play.is_told = 1;
    } else if (step_done(s, now_ms)) {
        next_step(now_ms);
    } else {
        play.is_begun = 1;
        if (now_ms > play.since_ms + STEP_LIMIT_MS) {
            puppet_fail("step %zu (%s %s) was not reached", faults->step_n + 1, s->a ? s->a : "", s->b ? s->b : "");
            while (play.scenario->steps[faults->step_n].kind != STEP_NONE)
                next_step(now_ms);
            kill(getpid(), SIGTERM);
        }
    }
}

static int is_booted(void)
{
    return puppet_supervisor->idle_timer.fn != NULL;
}

/* It may have to do without its control socket, and says so; then nobody can talk to it. */
static void skip_what_nobody_hears(int64_t now_ms)
{
    if (puppet_supervisor->control.fd >= 0 || !atomic_load(&faults->was_hit))
        return;
    if (!puppet_logged("control_failed"))
        puppet_fail("no control socket, and no word of it");
    while (play.scenario->steps[faults->step_n].kind != STEP_NONE)
        next_step(now_ms);
}

int puppet_turn(struct pollfd *fds, size_t fds_n, int timeout_ms)
{
    (void)fds_n;
    if (timeout_ms == 0 || fds != puppet_supervisor->loop.watches.fds)
        return timeout_ms;
    int64_t now_ms = puppet_clock_ms();
    faults_are_on = 0;
    serve_http();
    if (is_booted() && play.since_ms == 0) {
        play.since_ms = now_ms;
        skip_what_nobody_hears(now_ms);
    }
    if (is_booted())
        play_on(now_ms);
    faults_are_on = 1;
    return timeout_ms < 0 || timeout_ms > PLAY_EVERY_MS ? PLAY_EVERY_MS : timeout_ms;
}

void puppet_begin(const struct scenario *s)
{
    play.scenario = s;
    play.client_fd = play.http_fd = play.http_client_fd = -1;
    write_ini(s->ini);
}

int puppet_open(void)
{
    if (play.scenario->words[0])
        return 0; /* nobody talks to it */
    play.http_fd = puppet_listen(PUPPET_HTTP_PORT);
    return play.http_fd < 0 || (play.scenario->setup && play.scenario->setup() != 0) ? -1 : 0;
}

void puppet_end(void)
{
    if (play.http_client_fd >= 0)
        close(play.http_client_fd);
    if (play.client_fd >= 0)
        close(play.client_fd);
}

int puppet_has_booted(void)
{
    return play.since_ms != 0;
}

int puppet_has_played(void)
{
    return play.scenario->steps[faults->step_n].kind == STEP_NONE;
}

const char *puppet_log(void)
{
    (void)puppet_logged("");
    return log_text;
}
