/*
 * advice: what an operator can do about an error. Pure.
 */
#ifndef PROXY_OBSERVE_ADVICE_H
#define PROXY_OBSERVE_ADVICE_H

/* code: an error's, as its client is told it; or NULL. A literal; NULL: its own text says it, or nobody knows. */
const char *advice_for(const char *code);

#endif
