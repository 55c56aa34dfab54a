/*
 * reader: hiredis' reader of replies, with a bound: by itself it makes room for as many elements as an array says that it will have.
 */
#ifndef PROXY_STORE_READER_H
#define PROXY_STORE_READER_H

#include <hiredis/hiredis.h>

enum { READER_ELEMENTS = 64 * 1024 }; /* of one array */

/* What its functions are; it stays while the reader is used. */
struct reader_bounds {
    redisReplyObjectFunctions bounded;
    const redisReplyObjectFunctions *own;
};

/* NULL: no memory. An array that is longer is an error of the reader's: no memory. To be freed by redisReaderFree. */
redisReader *reader_new(struct reader_bounds *bounds);

#endif
