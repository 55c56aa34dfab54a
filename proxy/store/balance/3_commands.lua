-- ---- the commands ----

local commands = {}

-- A ticket's tag: how far its payer's others of its class and above put it behind now, and its class behind the first (proxy/balance/fair.h).
local function tag(payer, priority, ageing, fair_most)
    local owed = 0
    for class = priority, 9 do owed = owed + (call('HGET', OWED, payer .. ' ' .. class) or 0) end
    return now + math.min(owed, fair_most) + (9 - priority) * ageing
end

function commands.enter()
    local id, model, priority, payer = argument('ID'), argument('MODEL'), number('PRIORITY'), argument('PAYER')
    local cost, ageing, fair_most, residency, lease = number('COST_MS'), number('AGEING_MS'), number('FAIR_MAX_MS'), number('RESIDENCY_MS'), number('LEASE_MS')
    local ways, texts = {}, {}
    while has_more() do
        local way = {argument('BACKEND'), number('RUN_MS'), number('LOAD_MS')}
        ways[#ways + 1], texts[#texts + 1] = way, table.concat(way, ':')
    end
    if priority > 9 then fail('SIDECAR ARGUMENT enter: PRIORITY is ' .. priority .. ', and 9 is the most') end
    local t, event = ticket_of(id), 'enter'
    if t and t.r ~= me then fail('SIDECAR ARGUMENT enter: the ticket ' .. id .. ' is another replica\'s') end
    hear(lease)
    if t and t.state == 'slot' and not t.acked then -- the two crossed
        t.ways = ways
        save(id)
        granted[1] = {me, id, t.b}
        return
    elseif t and t.state == 'line' and t.m == model then
        event = 'ways'
    elseif t then
        let_go(id, t)
        event = 'again'
    else
        local tickets_n = call('HLEN', TICKETS)
        if tickets_n == 0 and call('HLEN', OWED) > 0 then call('DEL', OWED) end -- Redis has lost what was owed for
        if tickets_n >= TICKETS_MOST then fail('SIDECAR FULL ' .. TICKETS_MOST .. ' tickets wait in Redis: no more replicas, or a smaller max_queue') end
        t = {r = me, g = tag(payer, priority, ageing, fair_most), a = call('HINCRBY', STATE, 'arrivals', 1)}
        tickets[id] = t
    end
    if not t.y then t.p, t.y, t.c = priority, payer, cost end
    t.m, t.ways, t.residency, t.lease = model, ways, residency, lease
    if event ~= 'ways' then
        line_up(id, t)
        call('SADD', P .. ':of:' .. me, id)
    end
    save(id)
    note(event, {id = id, r = me, m = model, p = priority, g = t.g, a = t.a, y = payer, c = cost, o = ageing, f = fair_most, l = lease, w = table.concat(texts, ',')})
end

-- Those of the IDs that are tickets of this replica's.
local function each_of_mine(fn)
    while has_more() do
        local id = argument('ID')
        local t = ticket_of(id)
        if t and t.r == me then fn(id, t) end
    end
end

local function acknowledge(id, t)
    if t.acked then return end
    t.acked = true
    save(id)
    note('ack', {id = id, r = me, b = t.b})
end

function commands.ack()
    each_of_mine(function(id, t)
        if t.state == 'slot' then acknowledge(id, t) end
    end)
end

function commands.back()
    each_of_mine(function(id, t)
        if t.state ~= 'slot' then return end
        lapse(id, t)
        note('back', {id = id, r = me, b = t.b, u = used_after(t)})
    end)
end

function commands.leave()
    each_of_mine(function(id, t)
        local b = t.state == 'slot' and t.b or ''
        forget(id, t)
        note('leave', {id = id, r = me, b = b, u = used_after(t)})
    end)
end

-- A lease over and above, if need be.
local function hold(event, id, t, name, ends, lease)
    if t.state then let_go(id, t) end
    take_lease(id, t, name, ends, lease)
    t.acked = true
    save(id)
    call('SADD', P .. ':of:' .. me, id)
    note(event, {id = id, r = me, b = name, m = t.m, l = lease, u = used_after(t), s = all_backends()[name] and all_backends()[name].slots or 0})
end

function commands.hold()
    local id, name, model, ends_in, lease = argument('ID'), argument('BACKEND'), argument('MODEL'), number('ENDS_IN_MS'), number('LEASE_MS')
    local t = ticket_of(id) or {r = me, p = 5, g = now, a = call('HINCRBY', STATE, 'arrivals', 1), residency = 0}
    if t.r ~= me then fail('SIDECAR ARGUMENT hold: the ticket ' .. id .. ' is another replica\'s') end
    hear(lease)
    if t.state ~= 'line' then t.m = model end -- its line is found by its model
    tickets[id] = t
    hold('hold', id, t, name, now + ends_in, lease)
    local b = backend_of(name)
    b.loaded[model] = true
    save_backend(name)
end

function commands.keep()
    each_of_mine(function(id, t)
        if t.state == 'slot' then
            acknowledge(id, t)
        elseif t.b then
            hold('keep', id, t, t.b, t.ends, t.lease)
        end
    end)
end

function commands.backend()
    local name, slots, weight = argument('NAME'), number('SLOTS'), number('WEIGHT')
    local b = backend_of(name)
    if slots > 0 then
        b.by[me], b.slots = slots, slots
    else
        unsay(b, me)
    end
    b.weight = math.max(1, weight)
    local differs = 0
    for _, said in pairs(b.by) do
        if said ~= b.slots then differs = 1 end
    end
    save_backend(name)
    note('backend', {b = name, r = me, s = b.slots, u = #leases_of(name)})
    return differs
end

function commands.loaded()
    local name = argument('NAME')
    local b = backend_of(name)
    b.loaded = {}
    while has_more() do b.loaded[argument('MODEL')] = true end
    for _, id in ipairs(leases_of(name)) do b.loaded[ticket_of(id).m] = true end -- it was asked before they were given
    if not b.loaded[b.resident or ''] then b.resident = nil end
    save_backend(name)
end

function commands.drain()
    local name, is_drained = argument('NAME'), number('0|1') == 1
    local b = backend_of(name)
    b.drained = is_drained
    save_backend(name)
    note('drain', {b = name, r = me, d = is_drained and 1 or 0})
end

function commands.learnt()
    local name, model, text = argument('BACKEND'), argument('MODEL'), argument('TEXT')
    local field, order = cjson.encode({me, name, model}), P .. ':learnt:order'
    call('HSET', P .. ':learnt', field, text)
    call('ZADD', order, call('HINCRBY', STATE, 'learnt', 1), field)
    for _, oldest in ipairs(call('ZRANGE', order, 0, -LEARNT_MOST - 1)) do
        call('HDEL', P .. ':learnt', oldest)
        call('ZREM', order, oldest)
    end
end

-- What others have learnt since this replica was told last.
local function learnt_since()
    local rows, seen = {}, tonumber(call('HGET', P .. ':learnt:seen', me) or 0)
    local found = call('ZRANGEBYSCORE', P .. ':learnt:order', '(' .. seen, '+inf', 'WITHSCORES', 'LIMIT', 0, TOLD_MOST)
    for i = 1, #found, 2 do
        local by, name, model = unpack(cjson.decode(found[i]))
        if by ~= me then rows[#rows + 1] = {name, model, call('HGET', P .. ':learnt', found[i])} end
        seen = found[i + 1]
    end
    if #found > 0 then call('HSET', P .. ':learnt:seen', me, seen) end
    return rows
end

-- Grants that this replica does not seem to know.
local function missed()
    local rows = {}
    leases_of('')
    for name, ids in pairs(leases) do
        for _, id in ipairs(ids) do
            local t = ticket_of(id)
            if t.r == me and not t.acked then rows[#rows + 1] = {id, name} end
        end
    end
    return rows
end

-- Those of all lines that stand first, by tag, then arrival: {id, tag, member}.
local function first_of_all()
    local all = {}
    for _, model in ipairs(call('SMEMBERS', P .. ':models')) do
        local found = call('ZRANGE', line_key(model), 0, TOLD_MOST - 1, 'WITHSCORES')
        for i = 1, #found, 2 do all[#all + 1] = {found[i]:match(':(.*)$'), tonumber(found[i + 1]), found[i]} end
    end
    table.sort(all, function(x, y)
        if x[2] ~= y[2] then return x[2] < y[2] end
        return x[3] < y[3]
    end)
    return all
end

-- Where this replica's tickets stand: 1 is the next. Who stands behind those that are looked at waits as long as the last of these, and as much longer as
-- his place is.
local function places()
    local rows, at, last_at, looked_at_n, is_mine = {}, {}, now, 0, {}
    for _, id in ipairs(call('SMEMBERS', P .. ':of:' .. me)) do is_mine[id] = true end
    if not next(is_mine) then return rows end
    local _, looked = grant_one(true)
    for i, one in ipairs(looked) do
        at[one.id], looked_at_n = one.at, i
        last_at = math.max(last_at, one.at or 0)
    end
    for place, one in ipairs(first_of_all()) do
        local id = one[1]
        if place > TOLD_MOST then break end
        if is_mine[id] then rows[#rows + 1] = {id, place, at[id] and at[id] - now or math.floor((last_at - now) * place / math.max(1, looked_at_n))} end
    end
    return rows
end

function commands.beat()
    local lease, is_first, lost = number('LEASE_MS'), number('0|1') == 1, {}
    call('ZADD', REPLICAS, now + lease, me)
    local is_new = call('SADD', P .. ':met', me)
    if is_new == 1 and not is_first and not settled then settle() end -- it knew another Redis, or what this one has lost: others may, too
    while has_more() do
        local id = argument('ID')
        local t = ticket_of(id)
        if t and t.r == me and t.state == 'slot' then
            call('ZADD', LEASES, now + lease, id)
            acknowledge(id, t)
        elseif t or is_new == 0 then -- of who is new, what is not known was begun while Redis was away
            lost[#lost + 1] = id
            note('lost', {id = id, r = me, b = t and t.b or ''})
        end
    end
    assign()
    granted = {}
    local drained = {}
    for name, b in pairs(all_backends()) do
        if b.drained ~= nil then drained[#drained + 1] = {name, b.drained and 1 or 0} end
    end
    return {call('ZCARD', REPLICAS), lost, missed(), places(), drained, learnt_since(), is_new, math.max(0, (settled or now) - now)}
end

function commands.bye()
    for id, t in pairs(tickets_of(me)) do forget(id, t) end
    part(me, 'bye')
end

-- ---- one call ----

local function check_schema()
    if ARGV[1] ~= SCHEMA then fail('SIDECAR SCHEMA this script\'s is ' .. SCHEMA .. ', and ' .. tostring(ARGV[1]) .. ' was asked for') end
    local theirs = call('GET', P .. ':schema')
    if theirs and theirs ~= SCHEMA then
        fail('SIDECAR SCHEMA the keys below ' .. P .. ' are of schema ' .. theirs .. ', this replica\'s is ' .. SCHEMA
            .. ': update all replicas, or give these another [redis] prefix')
    end
    if not theirs then call('SET', P .. ':schema', SCHEMA) end
end

-- Who calls first after a pause waits for the others, but for one that has just begun where nobody is known: there is nobody to wait for.
local function read_clock()
    local time = redis.call('TIME')
    local last, behind
    last, settled, behind = unpack(call('HMGET', STATE, 'last', 'settled', 'behind'))
    last, settled = tonumber(last or 0), tonumber(settled)
    now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(behind or 0)
    if now < last then -- it was set back, or this is another machine: leases and tags would be of the future
        call('HINCRBY', STATE, 'behind', last - now)
        now = last
    end
    local is_alone = command == 'beat' and ARGV[5] == '1' and call('EXISTS', REPLICAS) == 0
    if now - last >= SETTLE_MS and not is_alone then settle() end
    call('HSET', STATE, 'last', now)
    is_journaled = call('EXISTS', P .. ':journal:on') == 1
end

local function main()
    if not commands[command] then fail('SIDECAR ARGUMENT there is no command ' .. tostring(command)) end
    if not me then fail('SIDECAR ARGUMENT who asks?') end
    check_schema()
    read_clock()
    tidy()
    local reply = commands[command]()
    if command == 'beat' then return reply end
    assign()
    return command == 'backend' and {granted, reply} or granted
end

local is_done, reply = pcall(main)
if is_done then return reply end
local text = type(reply) == 'table' and (reply.text or reply.err) or 'SIDECAR SCRIPT ' .. tostring(reply)
return redis.error_reply((text:gsub('%c', ' '))) -- an error is one line
