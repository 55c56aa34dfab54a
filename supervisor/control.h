/*
 * control: the UNIX socket by which the owner's sidecarctl asks: a line of text in, JSON lines out. A proxy hands up sockets of its own that are
 * answered like it, as far as a proxy may ask.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include "common/buf.h"
#include "common/contract.h"
#include "common/loop.h"
#include "supervisor/tail.h"

enum { CONTROL_CLIENTS_MAX = 16, CONTROL_PROXIES_MAX = 4, CONTROL_PLACES = CONTROL_CLIENTS_MAX + CONTROL_PROXIES_MAX, CONTROL_FOLLOWERS_MAX = 8, CONTROL_LINE_BYTES = 512, CONTROL_PATH_BYTES = 108 };

/* Who asks: a proxy hears what there is, and changes nothing. */
enum control_who { CONTROL_OWNER, CONTROL_PROXY };

struct control_client {
    struct control *control;
    enum control_who who;
    int fd; /* -1: free */
    char *line; /* into lines */
    size_t line_n;
    struct buf reply;
    struct timer timer;
    int is_in_pieces; /* more follows the reply: tail says what */
    struct tail tail;
};

/* What a command returns whose answer goes on with the programs' lines, as `tail ARGUMENTS` says. */
enum { CONTROL_TAIL = 1 };

struct control {
    struct loop *loop;
    int fd;
    char path[CONTROL_PATH_BYTES];
    struct timer rest; /* no client is taken until then */
    /* Answers one command; 0, CONTROL_TAIL, or -errno when there was no memory for it. */
    int (*command)(void *context, enum control_who who, const char *line, struct buf *reply);
    void *context;
    const struct ring *ring; /* of CONTROL_TAIL; set by whoever has one, else NULL */
    unsigned followers_n;
    struct timer grown;      /* the followers are told some milliseconds after a line, of all that came meanwhile */
    struct control_client clients[CONTROL_PLACES];  /* the owner's, then proxies' */
    char lines[CONTROL_PLACES][CONTROL_LINE_BYTES]; /* the last, and never cleared: nobody touches what nobody needs */
};

/* Makes the socket (0600) and its folder. 0; -EADDRINUSE when another supervisor answers there; -errno. */
int control_init(struct control *c, struct loop *loop, const char *path,
                 int (*command)(void *, enum control_who, const char *, struct buf *), void *context) WARN_UNUSED;
void control_fini(struct control *c);

/* Another socket, beside the one that is there, until control_move puts it in the other's place (which is closed and removed;
 * clients stay) or control_unbind removes it again; fd: -1 where there is none. Errors as control_init's. */
int control_bind(struct control *c, const char *path, int *fd) WARN_UNUSED;
void control_move(struct control *c, const char *path, int take_fd);
void control_unbind(struct control *c, const char *path, int fd);

/* One end of a UNIX stream socket that a proxy has handed up, and that stays the caller's: it is a client of this kind. Where too many are there
 * it is told so, and no more; any other descriptor is let be. */
void control_take(struct control *c, int fd);
/* A proxy said this, and fd (-1: none) came with it: 1 where that was it. */
int control_heard(struct control *c, const struct contract_message *m, int fd);

/* The ring has grown: whoever follows it is told, soon. */
void control_ring_grown(struct control *c);
#endif
