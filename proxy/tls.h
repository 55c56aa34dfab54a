/*
 * tls: clients that speak https to a port that takes http only.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

/* Whether a connection's first byte begins a TLS handshake, RFC 8446 section 5.1. The log is told once. */
int tls_is_handshake(const char *first, int *has_told);

#endif
