/*
 * See handshakes.h. sock_diag(7) may be missing: it is a module of the kernel, and some sandboxes have none. A line of /proc has
 * some 150 bytes; what does not read as one of them counts for nothing.
 */
#include "supervisor/handshakes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 512, CHUNK_BYTES = 4096, HEX = 16, SYN_RECV = 3, ANSWER_BYTES = 16384, ANSWERS_MAX = 64 };

/* The next word behind *at, which moves behind it; its length. */
static size_t word(const char **at, const char **begin)
{
    *begin = *at + strspn(*at, " ");
    size_t n = strcspn(*begin, " \n");
    *at = *begin + n;
    return n;
}

/* A hexadecimal number at the end of a word, behind its last colon where there is one; -1: none is there. */
static long last_number(const char *begin, size_t n)
{
    const char *from = begin;
    char *end;
    for (size_t i = 0; i < n; i++)
        if (begin[i] == ':')
            from = begin + i + 1;
    if (from == begin + n || strspn(from, "0123456789abcdefABCDEF") < (size_t)(begin + n - from))
        return -1;
    long value = strtol(from, &end, HEX);
    return end == begin + n && value >= 0 ? value : -1;
}

static int is_ours(long port, const struct handshakes_ports *ports)
{
    for (size_t i = 0; i < ports->n; i++)
        if (ports->ports[i] == port)
            return 1;
    return 0;
}

static int is_under_way(long state, long repeated_n, long port, const struct handshakes_ports *ports)
{
    return state == SYN_RECV && repeated_n >= 0 && repeated_n < HANDSHAKES_GIVEN_UP_N && is_ours(port, ports);
}

/* sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt … */
int handshakes_line(const char *line, const struct handshakes_ports *ports)
{
    enum { NUMBER, LOCAL, REMOTE, STATE, QUEUES, TIMER, REPEATED, WORDS_N };
    const char *at = line, *begin;
    long values[WORDS_N];
    for (size_t i = 0; i < WORDS_N; i++) {
        size_t n = word(&at, &begin);
        if (n == 0)
            return 0;
        values[i] = i == NUMBER ? 0 : last_number(begin, n);
    }
    return is_under_way(values[STATE], values[REPEATED], values[LOCAL], ports);
}

/* The lines that are whole in text; what is behind them is moved to its beginning. Whether one tells of a handshake. */
static int take_lines(char *text, size_t *text_n, const struct handshakes_ports *ports)
{
    char *at = text, *end;
    int is_found = 0;
    while ((end = memchr(at, '\n', *text_n - (size_t)(at - text))) != NULL) {
        *end = '\0';
        is_found |= handshakes_line(at, ports);
        at = end + 1;
    }
    *text_n -= (size_t)(at - text);
    memmove(text, at, *text_n);
    if (*text_n >= LINE_BYTES) /* no line of the kernel's */
        *text_n = 0;
    return is_found;
}

static int look_at(const char *path, const struct handshakes_ports *ports)
{
    char text[LINE_BYTES + CHUNK_BYTES];
    size_t text_n = 0, read_n = 0;
    int is_found = 0, fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t n;
    while ((n = sys_read(fd, text + text_n, CHUNK_BYTES)) > 0 && !is_found && read_n < HANDSHAKES_READ_BYTES) {
        text_n += (size_t)n;
        read_n += (size_t)n;
        is_found = take_lines(text, &text_n, ports);
    }
    sys_close(fd);
    if (n < 0 && !is_found)
        return (int)n;
    return is_found ? 1 : read_n < HANDSHAKES_READ_BYTES ? 0 : -EFBIG;
}

static int look_at_files(const char *folder, const struct handshakes_ports *ports)
{
    char path[256];
    snprintf(path, sizeof path, "%s/tcp", folder);
    int found = look_at(path, ports);
    if (found != 0)
        return found;
    snprintf(path, sizeof path, "%s/tcp6", folder);
    found = look_at(path, ports);
    return found == -ENOENT ? 0 : found; /* there is no IPv6 here */
}

enum handshakes_said handshakes_answer(const char *bytes, size_t bytes_n, const struct handshakes_ports *ports)
{
    struct nlmsghdr head;
    struct inet_diag_msg one;
    while (bytes_n >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > bytes_n)
            return HANDSHAKES_BAD;
        if (head.nlmsg_type == NLMSG_DONE)
            return HANDSHAKES_END;
        if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || head.nlmsg_len < sizeof head + sizeof one)
            return HANDSHAKES_BAD; /* NLMSG_ERROR for one */
        memcpy(&one, bytes + sizeof head, sizeof one);
        if (is_under_way(one.idiag_state, one.idiag_retrans, ntohs(one.id.idiag_sport), ports))
            return HANDSHAKES_FOUND;
        size_t whole_n = NLMSG_ALIGN(head.nlmsg_len);
        if (whole_n >= bytes_n)
            return HANDSHAKES_MORE;
        bytes += whole_n;
        bytes_n -= whole_n;
    }
    return HANDSHAKES_BAD;
}

static int read_answers(int fd, const struct handshakes_ports *ports)
{
    char bytes[ANSWER_BYTES];
    for (int i = 0; i < ANSWERS_MAX; i++) {
        ssize_t n = sys_recv(fd, bytes, sizeof bytes, 0);
        if (n < 0)
            return (int)n;
        switch (handshakes_answer(bytes, (size_t)n, ports)) {
        case HANDSHAKES_FOUND:
            return 1;
        case HANDSHAKES_END:
            return 0;
        case HANDSHAKES_BAD:
            return -EPROTO;
        case HANDSHAKES_MORE:
            break;
        }
    }
    return -EFBIG;
}

/* Those of one family. Answers wait when the question returns: the kernel needs nobody for them. */
static int ask_kernel(int family, const struct handshakes_ports *ports)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 what;
    } question = {
        .head = {.nlmsg_len = sizeof question, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .what = {.sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1u << SYN_RECV},
    };
    int fd = sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return fd;
    ssize_t n = sys_send(fd, &question, sizeof question, 0);
    int found = n < 0 ? (int)n : read_answers(fd, ports);
    sys_close(fd);
    return found;
}

int handshakes_look(const char *folder, const struct handshakes_ports *ports)
{
    int found = ask_kernel(AF_INET, ports);
    if (found == 0)
        found = ask_kernel(AF_INET6, ports);
    return found < 0 ? look_at_files(folder, ports) : found;
}
