-- SPDX-License-Identifier: MIT
-- The man page weir(1), as roff: docs/man/weir.1 is what this writes.
local commands, help = weir.module("commands"), weir.module("help")

local function escape(s)
    s = s:gsub("\\", "\\e"):gsub("%-", "\\-")
    return (s:gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

return function()
    local out = {}
    local function add(...) out[#out + 1] = table.concat({ ... }) end
    add('.\\" SPDX-License-Identifier: MIT')
    add('.\\" Written by weir --man.')
    add('.TH WEIR 1 "" "weir" "User Commands"')
    add(".SH NAME\nweir \\- ", escape(commands.summary))
    add(".SH SYNOPSIS")
    for i, command in ipairs(commands) do
        add(i > 1 and ".br\n" or "", ".B weir ", escape(help.usage(command)))
    end
    add(".SH DESCRIPTION\n", escape(commands.text))
    add(".SH COMMANDS")
    for _, command in ipairs(commands) do
        add(".SS weir ", escape(help.usage(command)))
        add(escape(command.text))
        for _, option in ipairs(command.options) do
            add(".TP\n.B ", escape(help.option(option)), "\n", escape(option.text),
                option.many and " May be repeated." or "")
        end
    end
    add(".SH EXIT STATUS")
    for _, code in ipairs(commands.exit) do add(".TP\n.B ", code[1], "\n", escape(code[2])) end
    add(".SH ENVIRONMENT")
    for _, name in ipairs(commands.environment) do
        add(".TP\n.B ", escape(name[1]), "\n", escape(name[2]))
    end
    return table.concat(out, "\n")
end
