-- A match in which members speak to one another. The same handler stands in index.js.
-- Op code 1 is said to all, 2 the same at the end of the tick; 3 asks to be put out, which 90 tells the
-- one who asks; 4 gives it another label; 5 ends the match, which 91 tells all.
local M = {}

function M.match_init()
  return {members = 0, ends = false}, 10, "lua"
end

function M.match_join_attempt(_, _, _, state)
  return state, not state.ends, "it ends"
end

function M.match_join(_, _, _, state, presences)
  state.members = state.members + #presences
  return state
end

function M.match_leave(_, _, _, state, presences)
  state.members = state.members - #presences
  if state.members == 0 then
    return nil
  end
  return state
end

function M.match_loop(_, dispatcher, _, state, messages)
  if state.ends then
    return nil
  end
  for _, message in ipairs(messages) do
    if message.op_code == 1 then
      dispatcher.broadcast_message(1, message.data, nil, message.sender)
    elseif message.op_code == 2 then
      dispatcher.broadcast_message_deferred(2, message.data, nil, message.sender)
    elseif message.op_code == 3 then
      dispatcher.broadcast_message(90, "out", {message.sender})
      dispatcher.match_kick({message.sender})
    elseif message.op_code == 4 then
      dispatcher.match_label_update(message.data)
    elseif message.op_code == 5 then
      dispatcher.broadcast_message(91, "over")
      state.ends = true
    end
  end
  return state
end

function M.match_terminate(_, _, _, state)
  return state
end

function M.match_signal(_, _, _, state, data)
  return state, data
end

return M
