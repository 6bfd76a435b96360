// RPCs and hooks in JavaScript. Call one with the HTTP key:
//   curl 'http://127.0.0.1:7350/v2/rpc/hello_js?unwrap&http_key=defaulthttpkey' -d '"you"'

// The smallest RPC.
function hello(ctx, logger, nk, payload) {
  const name = payload ? JSON.parse(payload) : "world";
  return JSON.stringify({ message: `Hello, ${name}!`, from: "JavaScript" });
}

// Storage: the calling user's own settings, as one object.
function saveSettings(ctx, logger, nk, payload) {
  const settings = JSON.parse(payload);
  const [ack] = nk.storageWrite([{
    collection: "settings", key: "all", userId: ctx.userId, value: settings,
    permissionRead: 1, permissionWrite: 0,
  }]);
  logger.debug("settings of %s are now at version %s", ctx.userId, ack.version);
  return JSON.stringify({ version: ack.version });
}

// Refuses: e-mail addresses of throw-away providers. A thrown {message, code} reaches the client.
const throwAway = new Set(["mailinator.com", "guerrillamail.com"]);

function beforeEmail(ctx, logger, nk, request) {
  const domain = request.account.email.split("@").pop().toLowerCase();
  if (throwAway.has(domain)) {
    throw { message: "Please use a lasting e-mail address.", code: 3 };
  }
  return request;
}

// Afterwards: what an account update changed, in the log.
function afterUpdate(ctx, logger, nk, response, request) {
  logger.info("%s changed their account", ctx.username);
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerRpc("hello_js", hello);
  initializer.registerRpc("save_settings_js", saveSettings);
  initializer.registerBeforeAuthenticateEmail(beforeEmail);
  initializer.registerAfterUpdateAccount(afterUpdate);
}
