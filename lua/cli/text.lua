-- SPDX-License-Identifier: MIT
-- Words for people: quantities in and out, lists, the nearest name, JSON.
local M = {}

local times = { us = 1, ms = 1000, s = 1000000, sec = 1000000, min = 60000000, m = 60000000,
    h = 3600000000, hour = 3600000000 }
local sizes = { [""] = 1, b = 1, k = 1 << 10, m = 1 << 20, g = 1 << 30, t = 1 << 40 }

local function number(text)
    local digits, unit = text:match("^(%d+%.?%d*)%s*(%a*)$")
    return digits and tonumber(digits), unit
end

-- Readers of option values: the value, or nil and what it should look like.
M.read = {
    text = function(text) return text end,
    count = function(text)
        local n = text:match("^%d+$") and math.tointeger(tonumber(text))
        if n and n > 0 then return n end
        return nil, "a whole number above 0"
    end,
    number = function(text)
        local n = text:match("^%d+$") and math.tointeger(tonumber(text))
        if n then return n end
        return nil, "a whole number"
    end,
    bytes = function(text)
        local n, unit = number(text)
        local size = n and sizes[unit:lower():gsub("ib$", ""):gsub("(%a)b$", "%1")]
        if size and n * size < 2^62 then return math.floor(n * size) end
        return nil, "a size such as 512K, 64M or 2G"
    end,
    time = function(text)
        local n, unit = number(text)
        if n and times[unit] and n * times[unit] < 2^53 then return math.floor(n * times[unit]) end
        return nil, "a time such as 500ms, 60s or 2min"
    end,
    share = function(text)
        local n, percent = text:match("^(%d*%.?%d+)(%%?)$")
        n = tonumber(n)
        if n and percent == "%" then n = n / 100 end
        if n and n <= 1 then return n end
        return nil, "a share such as 0.05 or 5%"
    end,
}
M.read.file, M.read.folder, M.read.address = M.read.text, M.read.text, M.read.text

function M.bytes(n)
    for _, unit in ipairs { { 1 << 40, "TiB" }, { 1 << 30, "GiB" }, { 1 << 20, "MiB" },
        { 1 << 10, "KiB" } } do
        if n >= unit[1] then
            return (("%.1f"):format(n / unit[1]):gsub("%.0$", "")) .. " " .. unit[2]
        end
    end
    return n .. " B"
end

function M.time(us)
    if us < 1000 then return us .. " us" end
    if us < 1000000 then return ("%.3g ms"):format(us / 1000) end
    if us < 120000000 then return (("%.2f"):format(us / 1000000):gsub("%.?0+$", "")) .. " s" end
    if us < 7200000000 then return (("%.1f"):format(us / 60000000):gsub("%.0$", "")) .. " min" end
    return (("%.1f"):format(us / 3600000000):gsub("%.0$", "")) .. " h"
end

-- 1234567 as "1,234,567".
function M.count(n)
    local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (text:gsub("^,", ""))
end

-- How many letters differ between two names; two that changed places count as one.
local function distance(a, b)
    local rows = { [0] = {} }
    for j = 0, #b do rows[0][j] = j end
    for i = 1, #a do
        local row, above = { [0] = i }, rows[i - 1]
        rows[i] = row
        for j = 1, #b do
            local same = a:byte(i) == b:byte(j) and 0 or 1
            row[j] = math.min(row[j - 1] + 1, above[j] + 1, above[j - 1] + same)
            if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                row[j] = math.min(row[j], rows[i - 2][j - 2] + 1)
            end
        end
    end
    return rows[#a][#b]
end

-- " (did you mean ...?)", or nothing when no name is near.
function M.nearest(name, names)
    local best, least = nil, math.max(2, #name // 3) + 1
    for _, other in ipairs(names) do
        local d = distance(name, other)
        if other:sub(1, #name) == name then d = math.min(d, 1) end
        if d < least then best, least = other, d end
    end
    return best and (" (did you mean '%s'?)"):format(best) or ""
end

-- Text in lines of at most `width`.
function M.wrap(text, width, indent)
    local lines, line = {}, ""
    for word in text:gmatch("%S+") do
        if line ~= "" and #line + 1 + #word > width - #indent then
            lines[#lines + 1] = indent .. line
            line = word
        else
            line = line == "" and word or line .. " " .. word
        end
    end
    if line ~= "" then lines[#lines + 1] = indent .. line end
    return table.concat(lines, "\n")
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function json_text(s)
    return '"' .. s:gsub('[%c"\\\127]', function(c)
        return escapes[c] or ("\\u%04x"):format(c:byte())
    end) .. '"'
end

-- Keys are sorted: equal values are equal texts. A table with [1], or an empty one, is a list.
function M.json(value)
    if type(value) == "string" then return json_text(value) end
    if type(value) ~= "table" then return tostring(value) end
    local parts = {}
    if value[1] ~= nil or next(value) == nil then
        for i, v in ipairs(value) do parts[i] = M.json(v) end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    for name in pairs(value) do parts[#parts + 1] = name end
    table.sort(parts)
    for i, name in ipairs(parts) do parts[i] = json_text(name) .. ":" .. M.json(value[name]) end
    return "{" .. table.concat(parts, ",") .. "}"
end

return M
