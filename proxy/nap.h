/*
 * nap: the supervisor asks whether anything is under way, as it wants to sleep (CONTRACT_MAY_I_SLEEP): what is answered, and what is
 * done first. Where Ollama alone is to be stopped, it is asked for what will be told of it meanwhile.
 */
#ifndef PROXY_NAP_H
#define PROXY_NAP_H

#include "proxy/listener.h"

/* All is borrowed. */
struct nap {
    struct env *env;
    struct clients *clients;
    const struct listeners *listeners;
    struct timer timer;   /* to look again whether nobody needs Ollama */
    int64_t until_ms;     /* the answer is due then */
    int is_asked;         /* … and was not given */
    uint32_t question;    /* that is being answered: its number and the nap, as they came */
};

void nap_init(struct nap *n, struct env *env, struct clients *clients, const struct listeners *listeners);
void nap_fini(struct nap *n);

/* The supervisor asks. The answer goes over the channel, at once or a little later; of a question that is asked again meanwhile
 * only the last counts. question: the value of the message, or anything. */
void nap_asked(struct nap *n, uint32_t question);

#endif
