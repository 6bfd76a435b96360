-- A match that answers signals, for the cases of tests/host_functions/cases/matches.rs.
local M = {}

function M.match_init(_, params)
  return {label = params.label}, 10, params.label or ""
end

function M.match_join_attempt(_, _, _, state)
  return state, true
end

local function stay(_, _, _, state)
  return state
end

M.match_join, M.match_leave, M.match_loop, M.match_terminate = stay, stay, stay, stay

function M.match_signal(_, dispatcher, _, state, data)
  if data == "end" then
    return nil
  elseif data == "relabel" then
    dispatcher.match_label_update("again " .. state.label)
  end
  return state, data
end

return M
