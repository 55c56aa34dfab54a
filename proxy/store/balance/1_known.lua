-- The queue that all replicas have in common, as one script in Redis: who waits, who has which slot, who lives. It decides by the rules of
-- proxy/balance/assign.h, under Redis' own clock (TIME, ms), and nothing is ever done between reading and writing, as Redis runs one script at a time.
-- It is one text, of this file (what is known, and who lives), 2_assign.lua (who gets which slot) and 3_commands.lua, one behind the other.
-- A ticket is in one of three states:
--   line    it waits, at its place by tag
--   slot    a lease of a backend's slot is its own; renewed by beat, it ends by leave or by itself
--   lapsed  its replica has not been heard of for too long, or did not take the grant. Its tag is kept for a while: who enters it again has his place
-- KEYS[1] is the prefix P. ARGV: schema "1", command, replica (a text that no other has), then
--   enter ID MODEL PRIORITY PAYER COST_MS AGEING_MS FAIR_MAX_MS RESIDENCY_MS LEASE_MS {BACKEND RUN_MS LOAD_MS}…
--                                 it waits; or its ways are others now; or its slot, which was acknowledged, is given back, and it waits again.
--                                 A grant that was not acknowledged is told again
--   ack ID…                       these grants were taken
--   back ID…                      … were not: the slot is somebody else's; who still waits enters again
--   leave ID…                     it wants nothing any more
--   hold ID BACKEND MODEL ENDS_IN_MS LEASE_MS   it is in a slot, given while Redis was away: over and above, if need be
--   keep ID…                      its answer has begun: where its lease is lost, it has one over and above
--   backend NAME SLOTS WEIGHT     0: this replica has it no more. Reply: [[…], 1 where another replica says otherwise, else 0]
--   loaded NAME MODEL…            all that the backend says that it has loaded
--   drain NAME 0|1                nothing new goes there; it lasts
--   learnt BACKEND MODEL TEXT     for the other replicas
--   beat LEASE_MS 0|1 ID…         this replica lives, and runs these. 1: it has just begun, and has no slot that was given elsewhere
--   bye                           it goes: all that it has is given back
-- Replies: beat's is [replicas, [ID lost…], [[ID, BACKEND] granted and not acknowledged…], [[ID, PLACE, WAIT_MS] in line, of its first 512…], [[BACKEND, 0|1 drained]… where
-- anybody has said so: a Redis that has lost it does not say that it is not],
-- [[BACKEND, MODEL, TEXT] learnt by others since…], 1: you are not known (any more): tell all that you have, ms until grants are made]; of the others [[REPLICA, ID,
-- BACKEND] granted now…]. Those of other replicas are published to them on P:grants:REPLICA as "ID BACKEND". Errors begin with SIDECAR where this script found
-- them, else they are Redis' own.
-- Keys behind P: :schema, :state (when it was called last, counters), :backends, :tickets (JSON), :line:MODEL (by tag, then arrival), :models (whose
-- line is not empty), :leases and :replicas (by when they end), :of:REPLICA (its tickets), :met (replicas that were told that they are new), :lapsed (by when),
-- :owed (what payers have in line and in slots, by payer and class), :learnt, :learnt:order, :learnt:seen, :journal (where :journal:on is there). Where Redis has lost some of
-- them, as one does that evicts keys, what belonged to them is forgotten, too.

local SCHEMA = '1'
local SETTLE_MS = 2000      -- nobody has called for so long, as Redis was away: so long replicas may tell what they have before anything is granted (read_clock)
local LAPSED_MOST, TICKETS_MOST, BACKENDS_MOST, LEARNT_MOST, TOLD_MOST = 4096, 65536, 256, 1024, 512

if redis.replicate_commands then redis.replicate_commands() end -- before Redis 7: what is written is replicated, as TIME is another elsewhere
local P, command, me = KEYS[1], ARGV[2], ARGV[3]
local STATE, BACKENDS, TICKETS, LEASES, REPLICAS, OWED = P .. ':state', P .. ':backends', P .. ':tickets', P .. ':leases', P .. ':replicas', P .. ':owed'

local function fail(text) error({text = text}, 0) end

local function call(name, key, ...)
    local reply = redis.pcall(name, key, ...)
    if type(reply) ~= 'table' or not reply.err then return reply end
    if reply.err:find('WRONGTYPE', 1, true) then
        fail('SIDECAR WRONGTYPE the key ' .. key .. ' is no key of ollama-sidecar\'s: another program uses it. Set another [redis] prefix, or delete it')
    end
    fail((reply.err:gsub('^@user_script:%s*%d+:%s*%-?', ''):gsub('%s+$', ''))) -- before Redis 7 they begin with where they came up
end

local argument_n = 3 -- read so far
local function argument(what)
    argument_n = argument_n + 1
    return ARGV[argument_n] or fail('SIDECAR ARGUMENT ' .. command .. ' lacks ' .. what)
end
local function number(what)
    local text = argument(what)
    local value = tonumber(text)
    if not value or value ~= math.floor(value) or value < 0 or value > 1e12 then fail('SIDECAR ARGUMENT ' .. command .. ': ' .. what .. ' is ' .. text) end
    return value
end
local function has_more() return argument_n < #ARGV end

-- ---- the clock, the journal ----

local now -- ms
local is_journaled

local function note(event, fields)
    if not is_journaled then return end
    local row = {'e', event, 't', now}
    for name, value in pairs(fields) do
        row[#row + 1] = name
        row[#row + 1] = tostring(value)
    end
    call('XADD', P .. ':journal', 'MAXLEN', '~', 1000000, '*', unpack(row))
end

-- ---- what is known, read when it is asked for ----

local backends -- name -> {slots, weight, drained, loaded = {model = true}, resident = the model it was given last,
-- swapped and last = when it changed models, and was given something, by = {replica = slots}}; drained nil: nobody has said
local function all_backends()
    if not backends then
        backends = {}
        local rows = call('HGETALL', BACKENDS)
        for i = 1, #rows, 2 do backends[rows[i]] = cjson.decode(rows[i + 1]) end
    end
    return backends
end
local leases_of
-- … which no replica has, nobody uses and nobody has drained, or undrained: they all have it no more while it is, and are to hear of its end.
local function forget_unused(name)
    local b = all_backends()[name]
    if next(b.by) or b.drained ~= nil or #leases_of(name) > 0 then return false end
    call('HDEL', BACKENDS, name)
    backends[name] = nil
    return true
end
local function save_backend(name)
    if not forget_unused(name) then call('HSET', BACKENDS, name, cjson.encode(all_backends()[name])) end
end
local function backend_of(name)
    local all = all_backends()
    if not all[name] then
        local n = 0
        for _ in pairs(all) do n = n + 1 end
        for other, b in pairs(n >= BACKENDS_MOST and all or {}) do -- addresses that were drained, and are gone for good
            if not next(b.by) and #leases_of(other) == 0 then
                call('HDEL', BACKENDS, other)
                all[other], n = nil, n - 1
            end
        end
        if n >= BACKENDS_MOST then fail('SIDECAR FULL more than ' .. BACKENDS_MOST .. ' backends: do the replicas have the same configuration?') end
        all[name] = {slots = 0, weight = 1, loaded = {}, by = {}, swapped = 0, last = 0}
    end
    return all[name]
end

local tickets = {} -- id -> {r, m, p, y = payer, c = cost, g = tag, a = arrival, state, ways = {{b, run, load}…}, residency, lease, b, granted, ends, acked}; false: none
local function ticket_of(id)
    if tickets[id] == nil then
        local text = call('HGET', TICKETS, id)
        tickets[id] = text and cjson.decode(text) or false
    end
    return tickets[id]
end
local function save(id) call('HSET', TICKETS, id, cjson.encode(tickets[id])) end

local leases -- backend -> {id…}
function leases_of(name)
    if not leases then
        leases = {}
        for _, id in ipairs(call('ZRANGE', LEASES, 0, -1)) do
            local t = ticket_of(id)
            if t then
                leases[t.b] = leases[t.b] or {}
                table.insert(leases[t.b], id)
            else
                call('ZREM', LEASES, id)
            end
        end
    end
    leases[name] = leases[name] or {}
    return leases[name]
end

-- ---- a ticket's states ----

local function line_key(model) return P .. ':line:' .. model end
local function line_member(id, t) return string.format('%015d:%s', t.a, id) end -- equal tags stand in the order of arrival

-- What a ticket costs is owed by its payer while it stands in line or has a slot (proxy/balance/fair.h).
local function owe(t, cost)
    if not t.y or t.y == '0' or cost == 0 then return end
    local who = t.y .. ' ' .. t.p
    if call('HINCRBY', OWED, who, cost) <= 0 then call('HDEL', OWED, who) end
end

local function line_up(id, t)
    t.state = 'line'
    owe(t, t.c)
    call('ZADD', line_key(t.m), t.g, line_member(id, t))
    call('SADD', P .. ':models', t.m)
end

local function take_lease(id, t, name, ends, lease_ms)
    table.insert(leases_of(name), id)
    owe(t, t.c or 0)
    t.state, t.b, t.granted, t.ends, t.lease, t.ways = 'slot', name, now, ends, lease_ms, nil
    call('ZADD', LEASES, now + lease_ms, id)
end

-- Out of its line, or its slot.
local function let_go(id, t)
    if t.state ~= 'lapsed' then owe(t, -(t.c or 0)) end
    if t.state == 'line' then
        call('ZREM', line_key(t.m), line_member(id, t))
        if call('EXISTS', line_key(t.m)) == 0 then call('SREM', P .. ':models', t.m) end
    elseif t.state == 'slot' then
        local its = leases_of(t.b)
        for i = #its, 1, -1 do
            if its[i] == id then table.remove(its, i) end
        end
        call('ZREM', LEASES, id)
        if #its == 0 and all_backends()[t.b] then forget_unused(t.b) end
    else
        call('ZREM', P .. ':lapsed', id)
    end
    t.acked = nil
end

local function forget(id, t)
    let_go(id, t)
    call('HDEL', TICKETS, id)
    call('SREM', P .. ':of:' .. t.r, id)
    tickets[id] = false
end

local function lapse(id, t)
    let_go(id, t)
    t.state = 'lapsed'
    save(id)
    call('SREM', P .. ':of:' .. t.r, id)
    call('ZADD', P .. ':lapsed', now, id)
    for _, oldest in ipairs(call('ZRANGE', P .. ':lapsed', 0, -LAPSED_MOST - 1)) do
        call('ZREM', P .. ':lapsed', oldest)
        if ticket_of(oldest) then forget(oldest, ticket_of(oldest)) end
    end
end

local function tickets_of(replica)
    local its = {}
    for _, id in ipairs(call('SMEMBERS', P .. ':of:' .. replica)) do its[id] = ticket_of(id) or nil end
    return its
end

local function used_after(t) return t.b and #leases_of(t.b) or 0 end

-- A replica has no say about a backend any more. The slots that it alone said go with it, as those of one whose breaker lets but one request try it: the most of
-- what others say counts then.
local function unsay(b, replica)
    b.by[replica] = nil
    local most = 0
    for _, said in pairs(b.by) do
        if said == b.slots then return end
        most = math.max(most, said)
    end
    b.slots = most
end

-- ---- who lives ----

local function part(replica, event)
    for id, t in pairs(tickets_of(replica)) do lapse(id, t) end
    call('DEL', P .. ':of:' .. replica)
    call('ZREM', REPLICAS, replica)
    call('SREM', P .. ':met', replica)
    call('HDEL', P .. ':learnt:seen', replica)
    note(event, {r = replica})
    for name, b in pairs(all_backends()) do
        if b.by[replica] then
            unsay(b, replica)
            save_backend(name)
            note('backend', {b = name, r = replica, s = b.slots, u = #leases_of(name)})
        end
    end
end

-- Leases that have ended, and replicas that were not heard of: before anything else.
local function tidy()
    for _, id in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', now)) do
        local t = ticket_of(id)
        if t then
            lapse(id, t)
            note('expire', {id = id, r = t.r, b = t.b, u = used_after(t)})
        end
        call('ZREM', LEASES, id)
    end
    for _, replica in ipairs(call('ZRANGEBYSCORE', REPLICAS, '-inf', now)) do part(replica, 'dead') end
end

-- A replica that has said something lives for a while, also if it has not beaten yet.
local function hear(lease_ms)
    call('ZADD', REPLICAS, 'NX', now + lease_ms, me)
end

