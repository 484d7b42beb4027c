//! What the streams of a plugin are: HTTP streams, TCP connections, or both.

use super::{DualStream, HttpStream, Plugin, TcpStream};
use crate::extension::{Extension, HttpFilter};
use crate::tcp::{AlsoTcp, TcpExtension, TcpFilter};
use std::marker::PhantomData;
use std::rc::Rc;

/// What both doors have to know of a kind.
pub trait Kind: 'static {
    type Extension: 'static;
    /// The context of a stream.
    type Stream: Clone;

    fn configure(plugin: &mut Plugin<Self::Extension>) -> bool;

    fn open(plugin: &Plugin<Self::Extension>, id: u32) -> Self::Stream;

    fn log(stream: &Self::Stream);

    fn done(stream: &Self::Stream);
}

/// A kind with HTTP streams.
pub trait HttpKind: Kind {
    type Filter: HttpFilter;

    /// `None` if this one is another.
    fn http(stream: &Self::Stream) -> Option<&Rc<HttpStream<Self::Filter>>>;
}

/// A kind with TCP connections.
pub trait TcpKind: Kind {
    type Filter: TcpFilter;

    /// `None` if this one is another.
    fn tcp(stream: &Self::Stream) -> Option<&Rc<TcpStream<Self::Filter>>>;
}

/// HTTP streams.
pub struct Http<E>(PhantomData<E>);

/// TCP connections.
pub struct Tcp<E>(PhantomData<E>);

/// Both.
pub struct Dual<E>(PhantomData<E>);

impl<E: Extension> Kind for Http<E> {
    type Extension = E;
    type Stream = Rc<HttpStream<E::Filter>>;

    fn configure(plugin: &mut Plugin<E>) -> bool {
        plugin.configure()
    }

    fn open(plugin: &Plugin<E>, id: u32) -> Self::Stream {
        plugin.open(id)
    }

    fn log(stream: &Self::Stream) {
        stream.log();
    }

    fn done(stream: &Self::Stream) {
        stream.done();
    }
}

impl<E: Extension> HttpKind for Http<E> {
    type Filter = E::Filter;

    fn http(stream: &Self::Stream) -> Option<&Rc<HttpStream<E::Filter>>> {
        Some(stream)
    }
}

impl<E: TcpExtension> Kind for Tcp<E> {
    type Extension = E;
    type Stream = Rc<TcpStream<E::Filter>>;

    fn configure(plugin: &mut Plugin<E>) -> bool {
        plugin.configure_tcp()
    }

    fn open(plugin: &Plugin<E>, id: u32) -> Self::Stream {
        plugin.open_tcp(id)
    }

    fn log(stream: &Self::Stream) {
        stream.log();
    }

    fn done(stream: &Self::Stream) {
        stream.done();
    }
}

impl<E: TcpExtension> TcpKind for Tcp<E> {
    type Filter = E::Filter;

    fn tcp(stream: &Self::Stream) -> Option<&Rc<TcpStream<E::Filter>>> {
        Some(stream)
    }
}

impl<E: AlsoTcp> Kind for Dual<E> {
    type Extension = E;
    type Stream = Rc<DualStream<E>>;

    fn configure(plugin: &mut Plugin<E>) -> bool {
        plugin.configure()
    }

    fn open(plugin: &Plugin<E>, id: u32) -> Self::Stream {
        plugin.open_dual(id)
    }

    fn log(stream: &Self::Stream) {
        stream.log();
    }

    fn done(stream: &Self::Stream) {
        stream.done();
    }
}

impl<E: AlsoTcp> HttpKind for Dual<E> {
    type Filter = E::Filter;

    fn http(stream: &Self::Stream) -> Option<&Rc<HttpStream<E::Filter>>> {
        stream.http()
    }
}

impl<E: AlsoTcp> TcpKind for Dual<E> {
    type Filter = E::Connection;

    fn tcp(stream: &Self::Stream) -> Option<&Rc<TcpStream<E::Connection>>> {
        stream.tcp()
    }
}
