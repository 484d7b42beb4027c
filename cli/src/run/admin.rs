//! The admin port: whether the proxy is ready, and what its plugins have measured.

use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;

use super::message::{self, Outgoing};
use super::proxy::Proxy;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proxy_wasm_kit_host::exchange::Message;

/// Answers as long as the proxy runs.
pub(super) async fn serve(listener: TcpListener, proxy: Rc<Proxy>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that does not block");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let proxy = Rc::clone(&proxy);
        let service = service_fn(move |request| answer(request, Rc::clone(&proxy)));
        tokio::task::spawn_local(async move {
            // What a client does wrong on its connection ends it.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer<B>(request: Request<B>, proxy: Rc<Proxy>) -> Result<Response<Outgoing>, Infallible> {
    let (status, body) = match request.uri().path() {
        "/ready" => (200, "LIVE\n".to_owned()),
        "/stats/prometheus" => (200, proxy.statistics.borrow().render(&proxy.engine.metrics())),
        _ => (404, "there is /ready and /stats/prometheus\n".to_owned()),
    };
    let message = Message::response(status)
        .header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        .header("content-length", body.len().to_string())
        .body(body);
    Ok(message::give_response(&message.headers, Outgoing::of(&message)))
}
