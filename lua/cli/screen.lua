-- SPDX-License-Identifier: MIT
-- What goes to standard output and standard error: colours and progress only on a terminal.
local M = {}
local out, err = io.stdout, io.stderr
local colours = { error = "31", warning = "33", info = "36", debug = "90", ok = "32", dim = "90" }
local levels = { "error", "warning", "info", "debug" }
local progress_is_on, drawn, drawn_at = weir.is_terminal(2), false, 0

out:setvbuf("line")

local function coloured(file)
    local no = os.getenv("NO_COLOR")
    return weir.is_terminal(file) and not (no and no ~= "") and os.getenv("TERM") ~= "dumb"
end
local out_coloured, err_coloured = coloured(1), coloured(2)

function M.paint(text, colour, on_errors)
    local on = out_coloured
    if on_errors then on = err_coloured end
    return on and ("\27[%sm%s\27[0m"):format(colours[colour], text) or text
end

-- A result. Whoever reads it may be gone: then there is nothing left to do.
function M.print(...)
    M.clear()
    local ok, why = out:write(table.concat({ ... }), "\n")
    if not ok then error({ code = 1, text = "standard output: " .. why }) end
end

function M.flush()
    out:flush()
end

-- A sentence for the person, on standard error.
function M.say(level, text)
    M.clear()
    err:write(M.paint(level .. ":", level, true), " ", text, "\n")
end

-- A line of a script or a node: level 0 is what it printed.
function M.line(level, text)
    if level == 0 then return M.print(text) end
    M.say(levels[level] or "debug", text)
end

-- How far something long is: one line on a terminal that each call draws anew.
function M.progress(text)
    if not progress_is_on or weir.clock() - drawn_at < 100000 then return end
    drawn_at = weir.clock()
    err:write("\r\27[K", text:sub(1, weir.width(2) - 1))
    err:flush()
    drawn = true
end

function M.clear()
    if drawn then err:write("\r\27[K") end
    drawn = false
end

-- Rows of texts in columns; the last one wraps under itself. right: columns set to the right.
function M.columns(rows, right, width)
    local text = weir.module("text")
    local widths = {}
    for _, row in ipairs(rows) do
        for i = 1, #row - 1 do widths[i] = math.max(widths[i] or 0, utf8.len(row[i]) or #row[i]) end
    end
    local used = 0
    for _, w in ipairs(widths) do used = used + w + 2 end
    for _, row in ipairs(rows) do
        local line = {}
        for i = 1, #row - 1 do
            local space = (" "):rep(widths[i] - (utf8.len(row[i]) or #row[i]))
            line[i] = right and right[i] and space .. row[i] or row[i] .. space
        end
        local last, room = row[#row], math.max(30, (width or weir.width(1)) - used)
        if weir.is_terminal(1) or width then
            last = text.wrap(last, room, ""):gsub("\n", "\n" .. (" "):rep(used))
        end
        line[#line + 1] = last
        M.print((table.concat(line, "  "):gsub("%s+$", "")))
    end
end

return M
