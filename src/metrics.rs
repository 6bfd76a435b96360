//! The Prometheus page, on a port of its own and at any path, as in the reference.

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    http::{Method, header::CONTENT_TYPE},
    web,
};
use guildhall_actors::{cx::Cx, metrics::Gauges};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts the page on `listeners`. It stops when its handle is told to, not by signals.
///
/// # Errors
/// Where a listener cannot be taken over.
pub fn serve(cx: Arc<Cx>, listeners: Vec<TcpListener>) -> io::Result<Server> {
    let mut server = HttpServer::new(move || {
        let cx = Arc::clone(&cx);
        App::new().default_service(web::to(move |request: HttpRequest| {
            let response = respond(&cx, &request);
            async move { response }
        }))
    })
    .workers(1)
    .shutdown_timeout(0)
    .disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.run())
}

fn respond(cx: &Cx, request: &HttpRequest) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let page = cx.metrics.page(Gauges {
                db: cx.db.usage(),
                sessions: cx.sockets.count(),
                presences: cx.tracker.count(),
                matches: cx.matches.count(),
                parties: cx.parties.count(),
            });
            HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(page)
        }
        _ => HttpResponse::MethodNotAllowed().finish(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::{body::to_bytes, test::TestRequest};
    use tokio::runtime::Handle;

    use super::*;

    #[actix_web::test]
    async fn any_path_shows_the_page_and_only_reading_is_allowed() {
        let cx = Cx::without_database(Arc::default(), Handle::current()).unwrap();
        let request = TestRequest::get().uri("/whatever").to_http_request();
        let response = respond(&cx, &request);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), TEXT);
        let page = to_bytes(response.into_body()).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("\nnakama_overall_count{node_name=\"nakama\"} 0\n"), "{page}");
        assert!(page.contains("\nnakama_db_idle_conns{"), "{page}");
        let request = TestRequest::post().to_http_request();
        assert_eq!(respond(&cx, &request).status(), 405);
    }
}
