-- SPDX-License-Identifier: MIT
-- echo/1: what is asked comes back.
--
-- What you will see: one side answers, the other asks ten times and prints what came back, and how long that took.
--
--   weir run echo.lua --listen :4001                     prints its invitation, and answers
--   weir run echo.lua -- weir:PEERID@host:4001 [TEXT]    asks
local P = protocol "echo/1" {
    serve = 128, -- requests at once; more are refused "busy"
    per_peer = 128,
    echo = request { bytes = 8*KB, answer = 8*KB, within = 10*sec },
}

function P:echo(from, body)
    return body
end

function P:start(address, text)
    if not address then return end
    local peer, why = connect(address)
    if not peer then
        print("not connected: " .. why)
        return quit(1)
    end
    local wrong = 0
    for i = 1, 10 do
        local body = (text or "hello") .. " " .. i
        local begun = now()
        local answer, sentence = ask(peer, P.echo, body)
        print(answer or sentence, (now() - begun) // ms .. " ms")
        if answer ~= body then wrong = wrong + 1 end
    end
    quit(wrong == 0 and 0 or 1)
end

return P
