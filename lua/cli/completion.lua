-- SPDX-License-Identifier: MIT
-- weir --completion SHELL: what a shell needs to complete commands, options and files.
local commands = weir.module("commands")
local M = {}

local function words(command)
    local list = { "--help" }
    for _, option in ipairs(command.options) do list[#list + 1] = "--" .. option.name end
    return table.concat(list, " ")
end

local function all()
    local list = {}
    for i, command in ipairs(commands) do list[i] = command.name end
    return table.concat(list, " ") .. " --help --version"
end

function M.bash()
    local out = { "# weir: completion for bash. In ~/.bashrc: eval \"$(weir --completion bash)\"",
        "_weir() {", "    local word=${COMP_WORDS[COMP_CWORD]} words",
        "    if [ \"$COMP_CWORD\" = 1 ]; then", ("        words='%s'"):format(all()), "    else",
        "        case ${COMP_WORDS[1]} in" }
    for _, command in ipairs(commands) do
        out[#out + 1] = ("        %s) words='%s' ;;"):format(command.name, words(command))
    end
    out[#out + 1] = [[
        esac
    fi
    case $word in
    -*) ;;
    *) [ "$COMP_CWORD" = 1 ] || { COMPREPLY=($(compgen -f -- "$word")); return; } ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _weir weir]]
    return table.concat(out, "\n")
end

local function quote(s)
    return (s:gsub("'", ""):gsub("[%[%]:]", " "))
end

local actions = { file = "_files", folder = "_files -/" }

function M.zsh()
    local out = { "#compdef weir",
        "# weir: completion for zsh. A file _weir in a folder of $fpath.", "_weir() {",
        "    local -a commands", "    commands=(" }
    for _, command in ipairs(commands) do
        out[#out + 1] = ("        '%s:%s'"):format(command.name, quote(command.summary))
    end
    out[#out + 1] = "    )"
    out[#out + 1] = "    if (( CURRENT == 2 )); then _describe command commands; return; fi"
    out[#out + 1] = "    case $words[2] in"
    for _, command in ipairs(commands) do
        out[#out + 1] = ("    %s) _arguments '--help[This text.]' \\"):format(command.name)
        for _, option in ipairs(command.options) do
            local value = ""
            if option.value then
                value = (":%s:%s"):format((option.value:gsub(":", " ")), actions[option.kind] or "")
            end
            out[#out + 1] = ("        '%s--%s[%s]%s' \\"):format(option.many and "*" or "",
                option.name, quote(option.text), value)
        end
        out[#out + 1] = "        '*:file:_files' ;;"
    end
    out[#out + 1] = "    esac\n}\n_weir \"$@\""
    return table.concat(out, "\n")
end

function M.fish()
    local out = { "# weir: completion for fish. In ~/.config/fish/completions/weir.fish." }
    for _, command in ipairs(commands) do
        out[#out + 1] = ("complete -c weir -n __fish_use_subcommand -f -a %s -d '%s'"):format(
            command.name, quote(command.summary))
        for _, option in ipairs(command.options) do
            out[#out + 1] = ("complete -c weir -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'")
                :format(command.name, option.name, option.value and " -r" or "", quote(option.text))
        end
    end
    return table.concat(out, "\n")
end

return M
