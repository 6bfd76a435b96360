// Hooks of socket messages: the JavaScript side of tests/realtime_hooks.rs.

function tell(context, nk, what, seen) {
  seen.mode = context.executionMode;
  seen.session = context.sessionId;
  nk.notificationSend(context.userId, what, seen, 1);
}

function beforeStatus(context, logger, nk, envelope) {
  switch (envelope.statusUpdate.status) {
    case 'refuse': throw { message: 'refused by a hook', code: 3 };
    case 'fail': throw { message: 'failed in a hook' };
    case 'drop': return null;
    case 'text': return 'text';
    case 'unknown': envelope.statusUpdate.nonsense = 1; break;
    case 'another': return { cid: 'another', pong: {} };
    case 'mark': envelope.cid = 'changed'; break;
    case 'take away': envelope.statusUpdate.status = null; break;
    case 'who':
      envelope.statusUpdate.status = JSON.stringify({
        mode: context.executionMode, user_id: context.userId, username: context.username,
        session: context.sessionId, lang: context.lang, timed: context.userSessionExp > 0,
        ip: context.clientIp, cid: envelope.cid,
      });
  }
  return envelope;
}

function afterStatus(context, logger, nk, output, input) {
  tell(context, nk, 'after status', { cid: output.cid, status: input.statusUpdate.status });
}

function afterFollow(context, logger, nk, output, input) {
  tell(context, nk, 'after follow', { answered: output !== null, ids: input.statusFollow.userIds.length });
}

function beforePing(context, logger, nk, envelope) {
  if (envelope.cid === 'refuse') throw { message: 'no pings', code: 14 };
  return envelope;
}

function afterPong(context, logger, nk, output, input) {
  tell(context, nk, 'after pong', { answered: output !== null, cid: input.cid });
}

function beforeData(context, logger, nk, envelope) {
  const send = envelope.matchDataSend;
  // Numbers of 64 bits and bytes are text, as in JSON.
  if (send.opCode === '9007199254740993') {
    send.opCode = '7';
    send.data = nk.base64Encode('was ' + nk.binaryToString(nk.base64Decode(send.data)));
  }
  return envelope;
}

function afterData(context, logger, nk, output, input) {
  tell(context, nk, 'after data', { answered: output !== null, op_code: input.matchDataSend.opCode });
}

function InitModule(context, logger, nk, initializer) {
  initializer.registerRtBefore('StatusUpdate', beforeStatus);
  initializer.registerRtAfter('StatusUpdate', afterStatus);
  initializer.registerRtAfter('StatusFollow', afterFollow);
  initializer.registerRtBefore('Ping', beforePing);
  initializer.registerRtAfter('Pong', afterPong);
  initializer.registerRtBefore('MatchDataSend', beforeData);
  initializer.registerRtAfter('MatchDataSend', afterData);
}
