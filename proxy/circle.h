/*
 * circle: whether the backend is one of our own listeners under another name, asked once, when the proxy starts.
 */
#ifndef PROXY_CIRCLE_H
#define PROXY_CIRCLE_H

#include "common/conf.h"
#include "proxy/backend.h"

/* 1 where one of the backend's addresses leads to a listener of conf; then *listener is that one. What the names alone
 * tell is a mistake in the configuration (conf_check.c); here are those that a resolver or the network tell. */
int circle_find(const struct backend *b, const struct conf *conf, const struct address **listener);

#endif
