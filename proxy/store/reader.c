/* See reader.h. Since hiredis 1.0 an array's number of elements is a size_t. */
#include "proxy/store/reader.h"

#if HIREDIS_MAJOR >= 1
typedef size_t elements_n;
#else
typedef int elements_n;
#endif

static void *new_array(const redisReadTask *task, elements_n n)
{
    const struct reader_bounds *bounds = task->privdata;
    return n > (elements_n)READER_ELEMENTS ? NULL : bounds->own->createArray(task, n);
}

redisReader *reader_new(struct reader_bounds *bounds)
{
    redisReader *reader = redisReaderCreate();
    if (!reader)
        return NULL;
    bounds->own = reader->fn;
    bounds->bounded = *reader->fn;
    bounds->bounded.createArray = new_array;
    reader->fn = &bounds->bounded;
    reader->privdata = bounds;
    return reader;
}
