-- SPDX-License-Identifier: MIT
-- weir ping: the handshake, then questions that every node answers one way or another: a stream of
-- weir's own protocol "weir/observed/1" is answered, or refused where it is not served. Either is
-- one round trip.
local node, screen, text = weir.module("node"), weir.module("screen"), weir.module("text")

-- Polls until an event of the object has one of these kinds. Gives it, or nil when time is over.
local function wait(n, object, kinds, timeout)
    local deadline = weir.clock() + timeout
    while true do
        local left = deadline - weir.clock()
        if left <= 0 then return nil end
        for _, event in ipairs(n:poll(left) or {}) do
            if event.object == object and kinds[event.kind] then return event end
            if event.kind == "connection_closed" then return event end
        end
    end
end

local function unreachable(n, o, connection, event)
    local report = n:report(connection)
    if o.json then
        screen.print(text.json { address = o[1], reachable = false, attempts = report })
        return 3
    end
    screen.say("error", ("%s cannot be reached: %s"):format(o[1],
        event and event.error or "nobody answered in time"))
    for line in report:gmatch("[^\n]+") do io.stderr:write("  ", line, "\n") end
    return 3
end

local function round_trip(n, connection, timeout)
    local begun = weir.clock()
    local stream, why = n:open(connection, "weir/observed/1")
    if not stream then return nil, why end
    local event = wait(n, stream, { readable = true, reset = true, stopped = true,
        stream_closed = true }, timeout)
    local took = weir.clock() - begun
    n:give_up(stream)
    if not event then return nil, "nobody answered in time" end
    if event.kind == "connection_closed" then return nil, event.error or "it was closed" end
    return took
end

local function show(o, peer, handshake, times)
    local sorted = table.move(times, 1, #times, 1, {})
    table.sort(sorted)
    local median = sorted[(#sorted + 1) // 2]
    if o.json then
        screen.print(text.json { address = o[1], reachable = true, peer = peer,
            handshake_us = handshake, round_trips_us = times, min_us = sorted[1],
            median_us = median, max_us = sorted[#sorted] })
        return
    end
    screen.print(("min %s, median %s, max %s"):format(text.time(sorted[1]), text.time(median),
        text.time(sorted[#sorted])))
end

return function(o)
    local timeout = o.timeout or 10000000
    local n, why = weir.node { dial_timeout = math.max(timeout, 1000000), log = 1 }
    if not n then node.fail(why) end
    local begun = weir.clock()
    local connection, name
    connection, why, name = n:dial(o[1])
    if not connection then node.fail(why, (name == "address" or name == "peer_id") and 2 or 3) end
    local event = wait(n, connection, { connected = true }, timeout)
    if not event or event.kind ~= "connected" then return unreachable(n, o, connection, event) end
    local handshake, times = weir.clock() - begun, {}
    local info = n:connection(connection)
    if not o.json then
        screen.print(("%s at %s: handshake %s"):format(info.peer, info.remote,
            text.time(handshake)))
    end
    for i = 1, o.count or 5 do
        times[i], why = round_trip(n, connection, timeout)
        if not times[i] then
            screen.say("error", ("%s was reached, and then: %s"):format(o[1], why))
            return 3
        end
        if not o.json then screen.print(("round trip %d: %s"):format(i, text.time(times[i]))) end
    end
    show(o, info.peer, handshake, times)
    n:close()
    return 0
end
