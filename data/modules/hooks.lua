-- Hooks in Lua: a before hook sees, changes or refuses what a client sends; an after hook runs once
-- it is done.
local nk = require("nakama")

-- Refuses: names that look like staff are not for players. The table is {message, gRPC code}.
local function before_device(context, request)
  if request.username and request.username:lower():find("^staff_") then
    error({"This name is reserved.", 3})
  end
  return request
end
nk.register_req_before(before_device, "AuthenticateDevice")

-- Mends: spaces around a display name go away before the server checks and stores it.
local function before_update(context, request)
  if request.display_name then
    request.display_name = request.display_name:match("^%s*(.-)%s*$")
  end
  return request
end
nk.register_req_before(before_update, "UpdateAccount")

-- Afterwards: a note for every new account. What fails here is logged and the client is served.
local function after_device(context, response, request)
  if response.created then
    nk.storage_write({{
      collection = "notes", key = "welcome", user_id = context.user_id,
      value = {text = "Welcome, " .. context.username .. "!"},
      permission_read = 1, permission_write = 0,
    }})
    nk.logger_info("a new account: " .. context.user_id)
  end
end
nk.register_req_after(after_device, "AuthenticateDevice")
