//! Ping and pong as messages of the protocol, for clients that cannot see those of WebSockets.

use guildhall_proto::realtime::{self, envelope::Message};

use crate::{
    envelope::{Handled, Incoming, Reply},
    socket_messages,
};

socket_messages! {
    /// Asks for a pong.
    Ping(realtime::Ping) => ping;
    /// Answers a ping; nothing comes of it.
    Pong(realtime::Pong) => pong;
}

async fn ping(incoming: Incoming<'_>, _: realtime::Ping) -> Handled {
    Ok(incoming.reply(Message::Pong(realtime::Pong {})))
}

async fn pong(_: Incoming<'_>, _: realtime::Pong) -> Handled {
    Ok(Reply::NONE)
}
