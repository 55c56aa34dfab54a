-- The queue that all replicas have in common, as one script in Redis: who waits, who has which slot, who lives. It decides by the rules of
-- proxy/balance/assign.h, under Redis' own clock (TIME, ms), and nothing is ever done between reading and writing, as Redis runs one script at a time.
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

-- ---- who gets which slot: proxy/balance/assign.h, step by step ----

local WINDOW, LANE_LEAST, ENDS = 32, 4, 16
local PATIENCE, SWAP_LOADS, OVERDUE_LEAST_MS, OVERDUE, TIE_LEAST_MS, TIE = 0.50, 3, 1000, 0.50, 10, 0.01

-- The tickets that are looked at, by tag, then arrival; and {backend = {model = true}}: for whom some of them may go where.
local function looked_at()
    local models, all, wanted = call('SMEMBERS', P .. ':models'), {}, {}
    local depth = math.max(LANE_LEAST, math.floor(WINDOW / math.max(1, #models)))
    for _, model in ipairs(models) do
        for _, member in ipairs(call('ZRANGE', line_key(model), 0, depth - 1)) do
            local id = member:match(':(.*)$')
            local t = ticket_of(id)
            if t and t.state == 'line' then
                all[#all + 1] = {id = id, t = t}
                for _, way in ipairs(t.ways) do
                    wanted[way[1]] = wanted[way[1]] or {}
                    wanted[way[1]][model] = true
                end
            else
                call('ZREM', line_key(model), member)
            end
        end
    end
    table.sort(all, function(x, y)
        if x.t.g ~= y.t.g then return x.t.g < y.t.g end
        return x.t.a < y.t.a
    end)
    return all, wanted
end

local function add_end(place, at)
    local i = #place.ends
    while i > 0 and place.ends[i] > at do i = i - 1 end
    table.insert(place.ends, i + 1, at)
    place.ends[ENDS + 1] = nil
end

-- A backend's slots as they are, before tickets take some in mind.
local function place_of(name)
    local b, its = all_backends()[name], leases_of(name)
    local place = {b = b, free = math.max(0, b.slots - #its), used = #its, ends = {}}
    for _, id in ipairs(its) do
        local t = ticket_of(id)
        add_end(place, t.ends > now and t.ends or now + math.max(OVERDUE_LEAST_MS, math.floor((now - t.granted) * OVERDUE)))
    end
    for _ = 1, #its - b.slots do table.remove(place.ends, 1) end
    return place
end

local function is_preferred(x, y)
    local taken_x, taken_y = math.floor(x.used * 1000 / x.b.weight), math.floor(y.used * 1000 / y.b.weight)
    if taken_x ~= taken_y then return taken_x < taken_y end
    return x.b.last < y.b.last
end

local function choose(offers, only_now)
    local least
    for _, offer in ipairs(offers) do
        if (offer.at <= now or not only_now) and (not least or offer.finish < least) then least = offer.finish end
    end
    local best
    for _, offer in ipairs(offers) do
        if (offer.at <= now or not only_now) and offer.finish <= least + math.max(TIE_LEAST_MS, math.floor((least - now) * TIE))
            and (not best or is_preferred(offer.place, best.place)) then best = offer end
    end
    return best
end

-- Where a ticket goes now, or for what it waits: {name, place, at, cost, finish}; nil: no backend will do.
local function pick(t, places, wanted)
    local offers = {}
    for _, way in ipairs(t.ways) do
        local name, b = way[1], all_backends()[way[1]]
        if b and b.slots > 0 and not b.drained then
            places[name] = places[name] or place_of(name)
            local place, is_loaded = places[name], b.loaded[t.m]
            local at = place.free > 0 and now or place.ends[1]
            if at then
                at = math.max(at, now)
                local cost, detour = way[2] + (is_loaded and 0 or way[3]), 0
                if not is_loaded and b.resident and wanted[name][b.resident] then
                    detour = SWAP_LOADS * way[3] -- that model is to be loaded again, for who waits meanwhile
                    at = math.max(at, b.swapped + math.max(t.residency, detour))
                end
                offers[#offers + 1] = {name = name, place = place, at = at, cost = cost, finish = at + cost + detour}
            end
        end
    end
    local best, free = choose(offers), choose(offers, true)
    if free and free.finish <= best.finish + math.floor(free.cost * PATIENCE) then return free end
    return best
end

local granted = {} -- {replica, id, backend} of this call

local function grant(id, t, offer)
    local name, b = offer.name, offer.place.b
    let_go(id, t)
    if not b.loaded[t.m] then b.loaded, b.swapped = {}, now end
    b.loaded[t.m], b.resident, b.last = true, t.m, now
    take_lease(id, t, name, now + offer.cost, t.lease)
    save(id)
    save_backend(name)
    note('grant', {id = id, r = t.r, b = name, m = t.m, p = t.p, g = t.g, c = offer.cost, u = used_after(t), s = b.slots})
    granted[#granted + 1] = {t.r, id, name}
    if t.r ~= me then call('PUBLISH', P .. ':grants:' .. t.r, id .. ' ' .. name) end
end

-- What is free and waits for its model's turn is for others until then.
local function take_in_mind(offer)
    local place = offer.place
    if place.free > 0 and offer.at > now then return end
    if place.free > 0 then place.free, place.used = place.free - 1, place.used + 1 else table.remove(place.ends, 1) end
    add_end(place, offer.at + offer.cost)
end

-- The first that gets a slot has it: true. Else, or where that is only looked at, those that were looked at, with `at` when they would begin.
local function grant_one(is_only_looking)
    local all, wanted = looked_at()
    local places = {}
    for _, one in ipairs(all) do
        local best = pick(one.t, places, wanted)
        if best and best.at <= now and not is_only_looking then
            grant(one.id, one.t, best)
            return true
        end
        if best then
            take_in_mind(best)
            one.at = best.at
        end
    end
    return false, all
end

local function free_slots_n()
    local n = 0
    for name, b in pairs(all_backends()) do
        if not b.drained then n = n + math.max(0, b.slots - #leases_of(name)) end
    end
    return n
end

local settled -- grants are made from then on; nil: there never was a reason to wait
local function settle()
    settled = now + SETTLE_MS
    call('HSET', STATE, 'settled', settled)
end
local function assign()
    if settled and now < settled then return end
    for _ = 1, free_slots_n() do
        if not grant_one() then return end
    end
end

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
