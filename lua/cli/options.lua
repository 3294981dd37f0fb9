-- SPDX-License-Identifier: MIT
-- Reads a command line by the command's own table. Gives a table: each option by name ("args-first"
-- as args_first), a list for one that may be given again, `rest` what stands behind --, and the
-- arguments by number; or nil and a sentence.
local text = weir.module("text")

local function find(command, name)
    for _, option in ipairs(command.options) do
        if option.name == name or option.short == name then return option end
    end
end

local function unknown(command, word)
    local names = { "--help" }
    for _, option in ipairs(command.options) do names[#names + 1] = "--" .. option.name end
    return ("there is no option '%s'%s"):format(word, text.nearest(word, names))
end

local function take(result, option, value)
    local read, should = text.read[option.kind](value)
    if read == nil then
        return ("--%s: '%s' is not %s"):format(option.name, value, should)
    end
    local name = option.name:gsub("-", "_")
    if not option.many then
        if result[name] ~= nil then return ("--%s is given twice"):format(option.name) end
        result[name] = read
    else
        table.insert(result[name], read)
    end
end

local function read_option(command, result, words, i)
    local word = words[i]
    local name, value = word:match("^%-%-([%w-]+)=(.*)$")
    name = name or word:match("^%-%-([%w-]+)$") or word:match("^%-(%a)$")
    if name == "help" or name == "h" then
        result.help = true
        return i
    end
    local option = name and find(command, name)
    if not option then return nil, unknown(command, name and word:gsub("=.*", "") or word) end
    if not option.value then
        if value then return nil, ("--%s takes no value"):format(option.name) end
        result[option.name:gsub("-", "_")] = true
        return i
    end
    if not value then
        i = i + 1
        value = words[i]
        if not value then return nil, ("--%s needs %s"):format(option.name, option.value) end
    end
    local why = take(result, option, value)
    if why then return nil, why end
    return i
end

local function check_arguments(command, result)
    local wanted = command.arguments or {}
    if result.help then return end
    for i, argument in ipairs(wanted) do
        if not result[i] then return ("%s is missing"):format(argument[1]) end
    end
    local last = wanted[#wanted]
    if #result > #wanted and not (last and last.many) then
        return ("'%s' is one argument too many%s"):format(result[#wanted + 1],
            command.rest and ": what the script is given stands behind --" or "")
    end
end

return function(command, words)
    local result = { rest = {} }
    for _, option in ipairs(command.options) do
        if option.many then result[option.name:gsub("-", "_")] = {} end
    end
    local i = 1
    while i <= #words do
        local word = words[i]
        if word == "--" and command.rest then
            table.move(words, i + 1, #words, 1, result.rest)
            break
        elseif word:sub(1, 1) == "-" and word ~= "-" then
            local why
            i, why = read_option(command, result, words, i)
            if not i then return nil, why end
        else
            result[#result + 1] = word
        end
        i = i + 1
    end
    local why = check_arguments(command, result)
    if why then return nil, why end
    return result
end
