//! WebSockets as clients meet them: how they begin, what they carry, how they end.

use serde_json::json;

use crate::support::{SERVER_KEY, Setup, socket::Socket};

#[test]
fn a_socket_answers_a_ping_and_closes_with_the_client() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let mut socket = Socket::open(&server, &token, "status=true");
    let event = socket.until("status_presence_event");
    let join = &event["status_presence_event"]["joins"][0];
    assert_eq!((&join["username"], &join["status"]), (&json!("ann"), &json!("")));
    assert_eq!(socket.call(json!({ "ping": {} })), json!({ "pong": {} }));
    socket.quiet(100);
    assert_eq!(socket.close(), (1000, String::new()));
}

#[test]
fn refusals_come_in_the_order_and_words_of_the_reference() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    let format = (400, "Invalid format parameter\n".to_owned());
    assert_eq!(Socket::refused(&server, &token, "format=JSON"), format);
    assert_eq!(Socket::refused(&server, "", "format=xml"), format);
    let no_token = (401, "Missing or invalid token\n".to_owned());
    assert_eq!(Socket::refused(&server, "", ""), no_token);
    assert_eq!(Socket::refused(&server, "garbage", ""), no_token);
    // Without an upgrade.
    let plain = server.get(&format!("/ws?token={token}"), "");
    assert_eq!((plain.status, plain.body), (400, json!("Bad Request\n")));
    let basic = server.get(&format!("/ws?token={token}"), SERVER_KEY);
    assert_eq!((basic.status, basic.body), (401, json!(no_token.1)));
    assert_eq!(server.post("/ws", &token, json!({})).status, 404);
}

#[test]
fn a_log_out_closes_the_way_to_new_sockets() {
    let server = Setup::new().start();
    let token = server.sign_in("ann");
    Socket::open(&server, &token, "");
    let tokens = json!({ "token": token, "refresh_token": "" });
    server.post("/v2/session/logout", &token, tokens).ok();
    assert_eq!(Socket::refused(&server, &token, "").0, 401);
}
