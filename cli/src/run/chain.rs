//! A request on its way through the plugins to the upstream, and the answer on its way back.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::message;
use super::trace::{Story, Visit};
use super::upstream::{Down, Sender};
use super::vm::{PluginVm, Turn};
use proxy_wasm_kit_host::exchange::Message;

/// The plugins of a worker, in the order in which a request passes them.
pub(super) struct Chain {
    pub(super) plugins: Vec<Rc<PluginVm>>,
    pub(super) upstream: Sender,
    /// Hears what came of each request.
    pub(super) tell: Box<dyn Fn(&Story)>,
}

/// One request on its way. Its streams end, and its story is told, when it is dropped: also when its client went away.
struct Passage {
    chain: Rc<Chain>,
    begun: Instant,
    request: Message,
    /// The stream in each plugin that has seen the request, and what passed there.
    stays: Vec<Stay>,
    upstream: Option<Duration>,
    down: Option<String>,
    status: Option<u16>,
}

struct Stay {
    id: u32,
    arrived: Message,
    went_on: Option<Message>,
    answer: Option<Message>,
    answered: bool,
}

impl Chain {
    /// Takes a request to its end. None: the stream was reset, and the client gets nothing.
    pub(super) async fn serve(self: Rc<Self>, request: Message) -> Option<Message> {
        let mut passage = Passage {
            begun: Instant::now(),
            request: request.clone(),
            stays: Vec::new(),
            upstream: None,
            down: None,
            status: None,
            chain: self,
        };
        let response = passage.run(request).await;
        passage.status = response.as_ref().map(Message::status);
        response
    }
}

impl Passage {
    async fn run(&mut self, request: Message) -> Option<Message> {
        let mut response = match self.towards_upstream(request).await {
            Some(request) => self.ask_upstream(request).await,
            None => self.leave(self.stays.len().checked_sub(1)?)?,
        };
        // The plugin that answered has seen its own answer pass.
        let from = self.stays.len() - usize::from(self.stays.last().is_some_and(|stay| stay.answered));
        for index in (0..from).rev() {
            let plugin = Rc::clone(self.chain.plugins.get(index)?);
            let stay = self.stays.get_mut(index)?;
            stay.answer = Some(response.clone());
            plugin.response(stay.id, response).await;
            response = self.leave(index)?;
        }
        Some(response)
    }

    /// The request behind all plugins; none if one of them has answered it.
    async fn towards_upstream(&mut self, mut request: Message) -> Option<Message> {
        let chain = Rc::clone(&self.chain);
        for plugin in &chain.plugins {
            let id = plugin.admit(request.clone());
            let stay = Stay { id, arrived: request, went_on: None, answer: None, answered: false };
            self.stays.push(stay);
            let turn = plugin.request(id).await;
            let stay = self.stays.last_mut()?;
            match turn {
                Turn::On(message) => {
                    stay.went_on = Some(message.clone());
                    request = message;
                }
                Turn::Answered => {
                    stay.answered = true;
                    return None;
                }
            }
        }
        Some(request)
    }

    async fn ask_upstream(&mut self, mut request: Message) -> Message {
        message::mend_length(&mut request);
        let begun = Instant::now();
        let answer = self.chain.upstream.send(&request).await;
        self.upstream = Some(begun.elapsed());
        answer.unwrap_or_else(|down: Down| {
            let response = down.response();
            self.down = Some(down.text);
            response
        })
    }

    /// What the client of a plugin gets.
    fn leave(&self, index: usize) -> Option<Message> {
        let plugin = self.chain.plugins.get(index)?;
        plugin.client_side(self.stays.get(index)?.id)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let chain = Rc::clone(&self.chain);
        let stays = std::mem::take(&mut self.stays);
        let visits = stays.into_iter().zip(&chain.plugins).map(|(stay, plugin)| {
            let (exchange, account) = plugin.end(stay.id);
            let Stay { arrived, went_on, answer, answered, .. } = stay;
            Visit { plugin: plugin.name().to_owned(), arrived, went_on, answer, answered, exchange, account }
        });
        let visits: Vec<Visit> = visits.collect();
        let story = Story {
            request: std::mem::take(&mut self.request),
            status: self.status,
            time: self.begun.elapsed(),
            upstream: self.upstream,
            down: self.down.take(),
            visits,
        };
        (chain.tell)(&story);
    }
}
