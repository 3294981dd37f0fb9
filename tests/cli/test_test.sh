# SPDX-License-Identifier: MIT
# weir test: what passes, what fails and where, seeds, and words that do not exist.
. "$(dirname "$0")/lib.sh"
mkdir scripts
cp "$tree/tests/cli/greet.lua" scripts/greet.lua

cat >scripts/reader.lua <<'END'
local P = protocol "reader/1" { serve = 1, never = message { bytes = 1, full = "drop-old" } }
function P:never() end
function P:start(path)
    local f = file(path, "read")
    print(f and f:read(100) or "absent")
end
return P
END
cat >scripts/good_test.lua <<'END'
test("it is answered", function()
    local w = world { nodes = 3, latency = 10*ms }
    w:run(1, "greet.lua")
    w:run(2, "greet.lua", w:address(1), "Ada")
    w:run_for(2*sec)
    print("a line")
    equal(w:lines(2)[1], "Hello, Ada!")
    equal(#w:lines(1), 1)
    equal(#w:lines(3), 0)
    equal(w:now(), 2*sec)
end)
test("a node has files in memory", function()
    local w = world { nodes = 2 }
    w:file(1, "here", "some bytes")
    w:run(1, "reader.lua", "here")
    w:run(2, "reader.lua", "/etc/passwd")
    w:run_for(1*sec)
    equal(w:lines(1)[1], "some bytes")
    equal(w:lines(2)[1], "absent")
end)
test("a dead node does not answer", function()
    local w = world { nodes = 2 }
    w:run(1, "greet.lua")
    w:kill(1)
    w:run(2, "greet.lua", w:address(1), "Ada")
    w:run_for(2*min)
    check(w:lines(2)[1]:match("no connection"))
end)
END
expect 0 test scripts/good_test.lua
[ "$(grep -c '^ok ' out)" = 3 ] || fail "not three tests"
prints '# a line'
[ "$(grep -c '^# a line' out)" = 1 ] || fail "what is printed is shown for each seed"
prints '1..3'
prints '3 of 3 passed'
expect 0 test scripts/good_test.lua --only dead
prints 'ok 1 a dead node'
prints '1 of 1 passed'
expect 1 test scripts/good_test.lua --only nothing

cat >bad_test.lua <<'END'
test("equal fails", function()
    equal(1, 2, "numbers")
end)
test("check fails", function()
    check(false, "a reason")
end)
test("a misspelt word", function()
    local w = world { nodes = 2 }
    w:run_fro(1*sec)
end)
test("a misspelt option", function()
    world { node = 2 }
end)
test("no such node", function()
    world { nodes = 2 }:run(3, "scripts/greet.lua")
end)
test("no such view", function()
    local w = world { nodes = 2 }
    w:run(1, "scripts/greet.lua")
    w:reachable("links")
end)
test("no files", function()
    io.open("x")
end)
local count = 0
test("another run each time", function()
    count = count + 1
    local w = world { nodes = 2, seed = 1 }
    w:run(1, "scripts/greet.lua")
    w:run(2, "scripts/greet.lua", w:address(1), ("x"):rep(count))
    w:run_for(1*sec)
end)
local seeds = {}
test("only seed 2", function()
    local w = world { nodes = 2 }
    seeds[w:address(1)] = true
    local n = 0
    for _ in pairs(seeds) do n = n + 1 end
    check(n < 2, "two seeds")
end)
END
expect 1 test bad_test.lua scripts/good_test.lua
[ "$(grep -c '^not ok ' out)" = 9 ] && [ "$(grep -c '^ok ' out)" = 3 ] || fail "not nine failures"
for text in 'bad_test.lua:2: numbers: got 1, wanted 2' 'bad_test.lua:5: not so: a reason' "did you mean 'run_for'" \
    "did you mean 'nodes'" 'there is no node 3' "a view 'links'" "there is no 'io'" 'the same seed gave another run' \
    'with seed 2'; do
    prints "$text"
done

expect 1 test nowhere_test.lua
complains nowhere_test.lua
echo 'tset("x", function() end)' >misspelt_test.lua
expect 1 test misspelt_test.lua
grep -q "^misspelt_test.lua:1: there is no 'tset' (did you mean 'test'?)" err || fail "the place is missing"
echo 'test("x" function() end)' >broken_test.lua
expect 1 test broken_test.lua
complains 'broken_test.lua:1:'
: >empty_test.lua
expect 1 test empty_test.lua
complains 'has no test'
expect 2 test
