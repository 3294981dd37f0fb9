-- SPDX-License-Identifier: MIT
-- weir new: a starter script and its test.
local node, screen = weir.module("node"), weir.module("screen")

local script = [[
-- NAME/1: one question with an answer, and one message. Change what you like; every word is in
-- docs/lua.md. What a file declares is all that can be said, and how much of it.
local P = protocol "NAME/1" {
    serve = 16,                     -- so many questions are dealt with at once
    greet = request { bytes = 64, answer = 128, within = 5*sec },
    thanks = message { bytes = 16, full = "drop-old" },
    fields = { greeted = 0 },       -- what `self` has, and the values that it begins with
}

-- Somebody asks. What is returned is the answer.
function P:greet(from, name)
    if type(name) ~= "string" then return refuse "a name is a text" end
    self.greeted = self.greeted + 1
    return ("Hello, %s! You are number %d."):format(name, self.greeted)
end

-- Somebody says something; nothing goes back.
function P:thanks(from, text)
    print(from:short() .. " says " .. tostring(text))
end

-- The script begins. Behind `--` stand its arguments: weir run NAME.lua -- ADDRESS NAME
function P:start(address, name)
    if not address then return end  -- nobody to ask: only answer
    local peer, why = connect(address)
    if not peer then
        print("no connection: " .. why)
        return quit(1)
    end
    local answer, sentence = ask(peer, P.greet, name or "stranger")
    print(answer or "no answer: " .. sentence)
    if answer then tell(peer, P.thanks, "thanks") end
    quit(answer and 0 or 1)
end

return P
]]

local test = [[
-- weir test NAME_test.lua: both sides in a simulated world; `weir test --help` lists the words.
test("a question is answered", function()
    local w = world { nodes = 2, latency = 20*ms }
    w:run(1, "NAME.lua")
    w:run(2, "NAME.lua", w:address(1), "Ada")
    w:run_for(5*sec)
    equal(w:lines(2)[1], "Hello, Ada! You are number 1.")
    equal(#w:lines(1), 1)
end)

test("it works when one packet in ten is lost", function()
    local w = world { nodes = 2, latency = 20*ms, loss = 0.1, packets = true }
    w:run(1, "NAME.lua")
    w:run(2, "NAME.lua", w:address(1), "Ada")
    w:run_for(30*sec)
    equal(w:lines(2)[1], "Hello, Ada! You are number 1.")
end)
]]

local function write(path, text)
    local file, why = io.open(path, "wb")
    if not file then node.fail(why) end
    local ok
    ok, why = file:write(text)
    if not (ok and file:close()) then node.fail(("%s: %s"):format(path, why or "not written")) end
    screen.print("wrote ", path)
end

return function(o)
    local name = o[1]:gsub("%.lua$", "")
    if not name:match("^%a[%w_-]*$") then
        node.fail(("'%s' is not a name: letters, digits, - and _"):format(name), 2)
    end
    local paths = { name .. ".lua", name .. "_test.lua" }
    for _, path in ipairs(paths) do
        if weir.look(path) then node.fail(path .. " is there already") end
    end
    write(paths[1], (script:gsub("NAME%f[%W_]", name)))
    write(paths[2], (test:gsub("NAME%f[%W]", name):gsub("NAME_test", name .. "_test")))
    screen.print("weir test ", paths[2])
    return 0
end
