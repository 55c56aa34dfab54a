/*
 * The programs that a tortured supervisor runs. What it is, its first argument says; called ollama-proxy or ollama-preload
 * it keeps docs/contract.md as far as a scenario needs it. Small, and without a sanitizer: it is started thousands of times.
 */
#include "common/contract.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static void notify(const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (!path || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    to.sun_path[0] = '\0';
    (void)!sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

static int number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? (int)strtol(text, NULL, 10) : -1;
}

static void say(int fd, int kind, unsigned value, const char *name)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = (uint16_t)kind, .value = value};
    snprintf(m.name, sizeof m.name, "%s", name);
    (void)!send(fd, &m, sizeof m, MSG_NOSIGNAL);
}

/* An engine with a model, until it is there; who is not told that it has gone asks again in a moment. */
static void ask_for_engine(int fd)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = CONTRACT_ENGINE_START, .name = "org/name",
                                 .detail = "played 0123456789abcdef0123456789abcdef01234567 4096 q4"};
    if (getenv("TORTURE_ENGINES"))
        (void)!send(fd, &m, sizeof m, MSG_NOSIGNAL);
}

/* With one end of a socket, on which this line stands; what comes back is of no interest. */
static void hand_up(int fd, int kind, const char *line)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = (uint16_t)kind};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec part = {&m, sizeof m};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return;
    (void)!send(pair[0], line, strlen(line), MSG_NOSIGNAL);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    (void)!sendmsg(fd, &message, MSG_NOSIGNAL);
    close(pair[1]);
}

/* Nobody waits there. */
static void close_what_leaves(void)
{
    int first, fds_n;
    const char *text = getenv("SIDECAR_LEAVING_FDS");
    if (text && sscanf(text, "%d:%d", &first, &fds_n) == 2)
        for (int i = 0; i < fds_n; i++)
            close(first + i);
}

/* Breaks the contract, asks for `wanted`, agrees to sleep, and goes when the supervisor has gone or says so. */
static int proxy(void)
{
    struct contract_message m;
    struct timeval moment = {.tv_usec = 500000};
    int fd = number_of(CONTRACT_ENV_CHANNEL);
    close_what_leaves();
    notify("READY=1\nSTATUS=serving\nnonsense\n=\n");
    (void)!send(fd, "short", 5, MSG_NOSIGNAL);
    say(fd, 99, 0, "of no known kind");
    say(fd, CONTRACT_WANT, 0, "nobody declared this");
    say(fd, CONTRACT_WANT, 0, "wanted");
    if (getenv("TORTURE_ENGINES"))
        hand_up(fd, CONTRACT_HUB, "");
    hand_up(fd, CONTRACT_ASK, "status\n");
    hand_up(fd, CONTRACT_ASK, "stop proxy\n");
    ask_for_engine(fd);
    fcntl(fd, F_SETFL, 0); /* it may wait here */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
    for (;;) {
        ssize_t n = recv(fd, &m, sizeof m, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return 0;
        if (n > 0 && m.kind == CONTRACT_MAY_I_SLEEP) {
            say(fd, CONTRACT_SLEEP, contract_nap_value(contract_nap_number(m.value), 1), "");
            continue;
        }
        if (n > 0)
            say(fd, CONTRACT_WANT, 0, "wanted"); /* as long as somebody waits for it */
        ask_for_engine(fd);
    }
}

static int preload(void)
{
    int fd = number_of(CONTRACT_ENV_CHANNEL);
    struct contract_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, number_of(CONTRACT_ENV_PAGE), 0);
    if (page == MAP_FAILED)
        return 111;
    snprintf(page->models[0].name, sizeof page->models[0].name, "m:latest");
    atomic_store(&page->models[0].state, CONTRACT_MODEL_READY);
    atomic_store(&page->models_n, 1);
    atomic_store(&page->phase, CONTRACT_PHASE_DONE);
    say(fd, CONTRACT_CHANGED, 0, "");
    return 0;
}

static void wait_for_the_end(void)
{
    for (;;)
        pause();
}

static int lines(void)
{
    char much[5000];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    printf("one\ntwo level=ERROR bad\n\n%s\n", much);
    fwrite("nul \0 esc \033[31m\r\n", 1, 17, stdout);
    printf("the last one has no end");
    fflush(stdout);
    close(1);
    close(2);
    wait_for_the_end();
    return 0;
}

/* Children of children, whose parents are gone: n at once, and each ends by itself. */
static int orphans(int n)
{
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            if (fork() == 0)
                usleep((unsigned)(i % 7) * 1000);
            _exit(0);
        }
    wait_for_the_end();
    return 0;
}

/* 200 for everybody who connects to this port of 127.0.0.1. */
static int serve(int port)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char bytes[2048];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4) < 0) {
        printf("error: %d: address already in use\n", port);
        return 1;
    }
    for (;;) {
        int client = accept(fd, NULL, NULL);
        (void)!read(client, bytes, sizeof bytes);
        (void)!write(client, answer, sizeof answer - 1);
        close(client);
    }
}

/* One that will not go when asked, and has a child of the same kind. */
static int stubborn(void)
{
    signal(SIGTERM, SIG_IGN);
    if (fork() > 0)
        notify("READY=1");
    wait_for_the_end();
    return 0;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    if (strcmp(name, "ollama-proxy") == 0)
        return proxy();
    if (strcmp(name, "ollama-preload") == 0 && argc > 1 && strcmp(argv[1], "--hub") == 0)
        return write(1, "{}\n", 3) == 3 ? 0 : 1;
    if (strcmp(name, "ollama-preload") == 0)
        return preload();
    const char *what = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    if (strcmp(what, "exit") == 0)
        return n;
    if (strcmp(what, "leave") == 0) { /* somebody of another session behind */
        if (fork() == 0) {
            setsid();
            wait_for_the_end();
        }
        return n;
    }
    if (strcmp(what, "lines") == 0)
        return lines();
    if (strcmp(what, "orphans") == 0)
        return orphans(n);
    if (strcmp(what, "serve") == 0)
        return serve(n);
    if (strcmp(what, "stubborn") == 0)
        return stubborn();
    if (strcmp(what, "notify") == 0)
        notify("STATUS=there\nREADY=1");
    wait_for_the_end();
}
