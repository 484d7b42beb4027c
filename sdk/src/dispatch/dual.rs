//! One stream of a plugin for HTTP and TCP. Which of the two it is, the first callback of its own tells.

use super::guard;
use super::plugin::{Plugin, RootState};
use super::{HttpStream, TcpStream};
use crate::context;
use crate::tcp::AlsoTcp;
use std::cell::OnceCell;
use std::rc::Rc;

/// The context of a stream.
pub struct DualStream<E: AlsoTcp> {
    id: u32,
    root: Rc<RootState>,
    extension: Option<Rc<E>>,
    stream: OnceCell<Stream<E>>,
}

enum Stream<E: AlsoTcp> {
    Http(Rc<HttpStream<E::Filter>>),
    Tcp(Rc<TcpStream<E::Connection>>),
}

impl<E: AlsoTcp> Plugin<E> {
    /// The stream with this id begins.
    pub(crate) fn open_dual(&self, id: u32) -> Rc<DualStream<E>> {
        let (root, extension) = (self.state.clone(), self.extension.clone());
        Rc::new(DualStream { id, root, extension, stream: OnceCell::new() })
    }
}

impl<E: AlsoTcp> DualStream<E> {
    /// A callback of HTTP has come.
    pub(crate) fn http(&self) -> Option<&Rc<HttpStream<E::Filter>>> {
        let open = || Stream::Http(HttpStream::new(self.id, self.root.clone(), self.filter(E::filter)));
        match self.stream.get_or_init(open) {
            Stream::Http(stream) => Some(stream),
            Stream::Tcp(_) => None,
        }
    }

    /// A callback of TCP has come.
    pub(crate) fn tcp(&self) -> Option<&Rc<TcpStream<E::Connection>>> {
        let open = || Stream::Tcp(TcpStream::new(self.id, self.root.clone(), self.filter(E::connection)));
        match self.stream.get_or_init(open) {
            Stream::Tcp(stream) => Some(stream),
            Stream::Http(_) => None,
        }
    }

    /// A stream that is logged and nothing before that is a request which never reached this filter.
    pub(crate) fn log(&self) {
        match self.stream.get() {
            Some(Stream::Tcp(stream)) => stream.log(),
            _ => drop(self.http().map(|stream| stream.log())),
        }
    }

    pub(crate) fn done(&self) {
        match self.stream.get() {
            Some(Stream::Http(stream)) => stream.done(),
            Some(Stream::Tcp(stream)) => stream.done(),
            None => {}
        }
    }

    fn filter<F>(&self, make: fn(&Rc<E>) -> F) -> Option<F> {
        context::begin(self.id, true);
        guard(None, || self.extension.as_ref().map(make))
    }
}
