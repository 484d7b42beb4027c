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
    /// Each with the paths that it serves; all of them if there is none.
    pub(super) plugins: Vec<(Option<String>, Rc<PluginVm>)>,
    pub(super) upstream: Sender,
    /// Hears what came of each request.
    pub(super) tell: Box<dyn Fn(&Story)>,
}

/// One request on its way. Its streams end, and its story is told, when it is dropped: also when its client went away.
struct Passage {
    chain: Rc<Chain>,
    /// Those that serve this path.
    plugins: Vec<Rc<PluginVm>>,
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
    pub(super) async fn serve(self: Rc<Self>, mut request: Message) -> Option<Message> {
        let asked = request.clone();
        let plugins = self.route(&mut request);
        let mut passage = Passage {
            begun: Instant::now(),
            request: asked,
            plugins,
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

    /// The plugins that serve a request's path, of which the prefix is taken away: the longest that fits.
    fn route(&self, request: &mut Message) -> Vec<Rc<PluginVm>> {
        let path = request.headers.first(":path").unwrap_or_default().to_vec();
        let prefixes = self.plugins.iter().filter_map(|(prefix, _)| prefix.as_deref());
        let fitting = prefixes.filter_map(|prefix| Some((prefix, below(prefix, &path)?)));
        let found = fitting.max_by_key(|(prefix, _)| prefix.len());
        if let Some((_, rest)) = &found {
            set_path(request, rest);
        }
        let prefix = found.map(|(prefix, _)| prefix);
        let serving = self.plugins.iter().filter(|(own, _)| own.is_none() || own.as_deref() == prefix);
        serving.map(|(_, plugin)| Rc::clone(plugin)).collect()
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
            let plugin = Rc::clone(self.plugins.get(index)?);
            let stay = self.stays.get_mut(index)?;
            stay.answer = Some(response.clone());
            plugin.response(stay.id, response).await;
            response = self.leave(index)?;
        }
        Some(response)
    }

    /// The request behind all plugins; none if one of them has answered it.
    async fn towards_upstream(&mut self, mut request: Message) -> Option<Message> {
        for plugin in self.plugins.clone() {
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
        let plugin = self.plugins.get(index)?;
        plugin.client_side(self.stays.get(index)?.id)
    }
}

/// A path without a prefix, if it lies below it: `/a/b` and `/a?b` lie below `/a`, and `/ab` does not.
fn below(prefix: &str, path: &[u8]) -> Option<Vec<u8>> {
    match path.strip_prefix(prefix.as_bytes())? {
        rest @ [b'/', ..] => Some(rest.to_vec()),
        rest @ ([] | [b'?', ..]) => Some([b"/", rest].concat()),
        _ => None,
    }
}

fn set_path(request: &mut Message, path: &[u8]) {
    let field = request.headers.0.iter_mut().find(|(name, _)| name == b":path");
    if let Some((_, value)) = field {
        value.clear();
        value.extend(path);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let stays = std::mem::take(&mut self.stays);
        let visits = stays.into_iter().zip(&self.plugins).map(|(stay, plugin)| {
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
        (self.chain.tell)(&story);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let found = |path: &str| below("/a", path.as_bytes()).map(|rest| String::from_utf8(rest).unwrap());
        assert_eq!(found("/a/b?c").as_deref(), Some("/b?c"));
        assert_eq!(found("/a?c").as_deref(), Some("/?c"));
        assert_eq!(found("/a").as_deref(), Some("/"));
        assert_eq!((found("/ab"), found("/b/a")), (None, None));
    }
}
