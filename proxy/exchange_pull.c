/* See exchange_state.h. Which model a request uses. */
#include "proxy/exchange_state.h"

int exchange_find_installed(struct exchange *x)
{
    return !x->preset || x->is_model_used || exchange_use_model(x, x->preset->models.items[0]) == 0;
}
