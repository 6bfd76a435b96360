-- Answers for matched players what their property `answer` asks for.
local nk = require("nakama")

local ID = "11111111-2222-4333-8444-555555555555.nakama"

local function is_whole(user)
  local presence = user.presence
  return #presence.user_id == 36 and #presence.session_id == 36 and presence.node == "nakama"
    and #presence.username == 3 and user.properties.level == 1.5 and user.party_id == nil
    and user.ticket == nil
end

nk.register_matchmaker_matched(function(ctx, users)
  local answer = users[1].properties.answer
  if answer == "id" and #users == 2 and is_whole(users[1]) and is_whole(users[2]) then
    return ID
  elseif answer == "number" then
    return 5
  elseif answer == "text" then
    return "no id"
  elseif answer == "error" then
    error("no match today")
  end
end)
