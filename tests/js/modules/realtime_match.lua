-- A match for tests/js/realtime.mjs: who knows the password may join; what players send comes back.
local nk = require("nakama")
local M = {}

function M.match_init(context, params)
  local state = { members = 0 }
  return state, 20, nk.json_encode({ language = "lua", room = params.room })
end

function M.match_join_attempt(context, dispatcher, tick, state, presence, metadata)
  if metadata.password ~= "sesame" then
    return state, false, "wrong password"
  end
  return state, true
end

function M.match_join(context, dispatcher, tick, state, presences)
  state.members = state.members + #presences
  return state
end

function M.match_leave(context, dispatcher, tick, state, presences)
  state.members = state.members - #presences
  if state.members == 0 then
    return nil
  end
  return state
end

function M.match_loop(context, dispatcher, tick, state, messages)
  for _, message in ipairs(messages) do
    if message.op_code == 3 then
      dispatcher.match_kick({ message.sender })
    elseif message.op_code == 2 then
      dispatcher.broadcast_message_deferred(102, message.data, nil, message.sender)
    else
      dispatcher.broadcast_message(101, message.data, nil, message.sender)
    end
  end
  return state
end

function M.match_terminate(context, dispatcher, tick, state, grace_seconds)
  return state
end

function M.match_signal(context, dispatcher, tick, state, data)
  dispatcher.broadcast_message(109, data)
  return state, "heard " .. data .. " with " .. state.members
end

return M
