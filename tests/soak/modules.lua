-- What the clients of the soak ask of a module, and what the test looks at the server through.
local nk = require("nakama")

nk.register_rpc(function(context)
  return nk.json_encode({session_id = context.session_id, user_id = context.user_id})
end, "whoami")

nk.register_rpc(function(_, payload)
  return payload
end, "echo_lua")

nk.register_rpc(function()
  return string.rep("z", 100000)
end, "flood")

nk.register_rpc(function(_, session_id)
  nk.session_disconnect(session_id)
end, "kill")

nk.register_rpc(function(_, handler)
  return nk.match_create(handler, {room = "soak"})
end, "make")

-- Of each stream that is asked for, who is there.
nk.register_rpc(function(_, payload)
  local answer = {}
  for at, stream in ipairs(nk.json_decode(payload).streams) do
    local present = {}
    for place, presence in ipairs(nk.stream_user_list(stream, true, true)) do
      local shown = presence.hidden and "hidden" or "shown"
      present[place] = table.concat({presence.session_id, shown, presence.status}, " ")
    end
    if #present ~= nk.stream_count(stream) then
      present[#present + 1] = "stream_count says " .. nk.stream_count(stream)
    end
    answer[at] = table.concat(present, "\n")
  end
  return nk.json_encode({streams = answer})
end, "present")

-- All authoritative matches, with their size.
nk.register_rpc(function()
  local rows = {}
  for at, row in ipairs(nk.match_list(10000, true, nil, 0, 10000, nil)) do
    rows[at] = row.match_id .. " " .. row.size
  end
  return table.concat(rows, "\n")
end, "matches")

-- The last so many messages of a channel, the oldest first: what they are marked with.
nk.register_rpc(function(_, payload)
  local request = nk.json_decode(payload)
  local marks, cursor = {}, ""
  repeat
    local messages
    messages, cursor = nk.channel_messages_list(request.channel, 100, false, cursor)
    for _, message in ipairs(messages) do
      table.insert(marks, 1, nk.json_decode(message.content).mark or "")
    end
  until #marks >= request.count or cursor == nil or cursor == ""
  return table.concat(marks, "\n")
end, "history")
