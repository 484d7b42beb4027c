//! HTTP Basic authentication (RFC 7617) at the proxy: the door between Envoy and the decisions in `policy`.
#![forbid(unsafe_code)]
