-- A match that tells its members what happens to it. The same handler stands in index.js.
local M = {}

function M.match_init(_, params)
  return {password = params.password, told = false}, 20, params.label
end

function M.match_join_attempt(_, dispatcher, _, state, presence, metadata)
  if metadata.password ~= state.password then
    dispatcher.broadcast_message(1, "refused " .. presence.username)
    return state, false, "wrong password"
  end
  return state, true
end

function M.match_join(_, dispatcher, _, state, presences)
  for _, presence in ipairs(presences) do
    dispatcher.broadcast_message(2, "joined " .. presence.username .. " " .. presence.reason)
  end
  return state
end

function M.match_leave(_, dispatcher, _, state, presences)
  for _, presence in ipairs(presences) do
    dispatcher.broadcast_message(3, "left " .. presence.username .. " " .. presence.reason)
  end
  return state
end

function M.match_loop(_, dispatcher, _, state, messages)
  if state.told then
    return nil
  end
  for _, message in ipairs(messages) do
    if message.op_code == 4 then
      dispatcher.broadcast_message_deferred(4, "deferred")
      dispatcher.broadcast_message(4, "at once")
    elseif message.op_code == 5 then
      dispatcher.broadcast_message(5, message.data, {message.sender}, message.sender)
    elseif message.op_code == 6 then
      dispatcher.match_kick({message.sender})
    end
  end
  return state
end

function M.match_terminate(_, dispatcher, _, state, grace)
  dispatcher.broadcast_message(7, "ends in " .. grace)
  state.told = true
  return state
end

function M.match_signal(_, dispatcher, _, state, data)
  dispatcher.match_label_update(data)
  return state, "label " .. data
end

return M
