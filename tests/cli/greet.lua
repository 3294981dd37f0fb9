-- SPDX-License-Identifier: MIT
-- For the tests of the command: answers, asks once when it is given an address, and says when it stops.
local P = protocol "test-greet/1" {
    serve = 16,
    hello = request { bytes = 64, answer = 128, within = 5*sec },
}

function P:hello(from, name)
    print("asked")
    return "Hello, " .. name .. "!"
end

function P:start(address, name)
    if not address then return end
    local peer, why = connect(address)
    if not peer then
        print("no connection: " .. why)
        return quit(4)
    end
    print(ask(peer, P.hello, name))
    quit(0)
end

function P:stop()
    print("stopped")
end

return P
