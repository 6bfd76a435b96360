//! The edge of the WebSocket.

mod dispatch;
