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

