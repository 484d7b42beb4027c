//! Several attributes in one host call: a list in CEL.

use super::CALL;
use crate::abi;
use crate::bytes::Bytes;
use crate::decode::Decode;
use crate::error::HostError;
use crate::foreign::Expression;
use std::fmt;
use std::marker::PhantomData;

/// From how many attributes on a list in CEL is cheaper than a host call for each.
const CHEAPER_FROM: usize = 3;

/// An attribute by its name, with the type that it has. Those that Envoy documents are in [`names`](super::names).
///
/// ```
/// use proxy_wasm_kit::Bytes;
/// use proxy_wasm_kit::attributes::Attribute;
///
/// const TENANT: Attribute<Bytes> = Attribute::new("request.headers['x-tenant']");
/// ```
#[derive(Debug)]
pub struct Attribute<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Attribute<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Attribute<T> {}

impl<T> Attribute<T> {
    /// An attribute by its path as CEL has it: `a.b`, `a.b['c']`.
    ///
    /// ```
    /// # use proxy_wasm_kit::attributes::Attribute;
    /// const REGION: Attribute<String> = Attribute::new("xds.node.metadata['REGION']");
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }
}

/// The steps of `a.b['c.d']`.
fn steps(name: &str) -> Vec<&str> {
    let mut quoted = false;
    let step = |character: char| {
        if matches!(character, '\'' | '"') {
            quoted = !quoted;
        }
        !quoted && matches!(character, '.' | '[' | ']')
    };
    let steps = name.split(step).map(|step| step.trim_matches(['\'', '"']));
    steps.filter(|step| !step.is_empty()).collect()
}

/// A list of the attribute, or an empty one when it is absent.
fn listed(name: &str) -> String {
    match name.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((map, key)) => format!("{key} in {map} ? [{name}] : []"),
        // There is no asking whether a name that stands alone is there; those that do always are.
        None if !name.contains('.') => format!("[{name}]"),
        None => format!("has({name}) ? [{name}] : []"),
    }
}

/// Several attributes that are read together. Made by [`Root::batch`](crate::Root::batch).
///
/// ```
/// use proxy_wasm_kit::attributes::{Attribute, Batch, names};
/// use proxy_wasm_kit::prelude::*;
///
/// type Seen = Batch<(Attribute<Bytes>, Attribute<i64>, Attribute<Bytes>)>;
///
/// struct Report(Seen);
/// struct OnLog(Rc<Report>);
///
/// impl Extension for Report {
///     type Config = ();
///     type Filter = OnLog;
///
///     fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self(root.batch((names::request::url_path, names::response::code, names::xds::cluster_name))))
///     }
///
///     fn filter(self: &Rc<Self>) -> OnLog {
///         OnLog(self.clone())
///     }
/// }
///
/// impl HttpFilter for OnLog {
///     fn on_log(&mut self, _: &Log<'_>) -> Result<()> {
///         let (path, code, cluster) = self.0.0.read()?;
///         log::info!("{path:?} {code:?} {cluster:?}");
///         Ok(())
///     }
/// }
/// ```
pub struct Batch<A> {
    attributes: A,
    list: Option<Expression<Vec<Vec<Bytes>>>>,
}

impl<A: Batched> Batch<A> {
    pub(crate) fn new(attributes: A) -> Self {
        let names = attributes.names();
        let list = (names.len() >= CHEAPER_FROM).then(|| {
            let items: Vec<String> = names.iter().map(|name| listed(name)).collect();
            Expression::create(&format!("[{}]", items.join(", "))).ok()
        });
        Self { attributes, list: list.flatten() }
    }

    /// The same attributes, read by a host call each.
    ///
    /// ```
    /// # use proxy_wasm_kit::attributes::{Batch, Batched, names};
    /// # use proxy_wasm_kit::prelude::*;
    /// fn prepare(root: &Root) -> Batch<impl Batched> {
    ///     root.batch((names::request::id, names::request::time, names::request::protocol)).singly()
    /// }
    /// ```
    #[must_use]
    pub fn singly(mut self) -> Self {
        self.list = None;
        self
    }

    /// The values, each `None` when the proxy does not have the attribute, or not in this phase.
    ///
    /// ```
    /// # use proxy_wasm_kit::attributes::{Attribute, Batch};
    /// # use proxy_wasm_kit::prelude::*;
    /// fn address(batch: &Batch<(Attribute<Bytes>, Attribute<i64>)>) -> Result<Option<Bytes>> {
    ///     let (address, _port) = batch.read()?;
    ///     Ok(address)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed, or a value has another type.
    pub fn read(&self) -> Result<A::Values, HostError> {
        let lists = self.list.as_ref().and_then(|list| list.evaluate().ok());
        match lists.filter(|lists| lists.len() == self.attributes.names().len()) {
            Some(lists) => self.attributes.values(lists.into_iter().map(|list| Ok(list.into_iter().next()))),
            // No CEL, another context entered, or a list that failed as a whole, as it does when a value has no form.
            None => {
                let names = self.attributes.names();
                self.attributes.values(names.iter().map(|name| abi::property(&steps(name).join("\0"))))
            }
        }
    }
}

impl<A: Batched> fmt::Debug for Batch<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.list.is_some() { "together" } else { "singly" };
        write!(f, "Batch({:?}, {how})", self.attributes.names())
    }
}

/// What a [`Batch`] can be of: up to twelve [`Attribute`]s in brackets.
///
/// ```
/// use proxy_wasm_kit::attributes::{Batched, names};
///
/// fn can_be_batched(_: impl Batched) {}
/// can_be_batched((names::request::path, names::source::port));
/// ```
pub trait Batched {
    /// The values: an `Option` for each attribute.
    type Values;

    #[doc(hidden)]
    fn names(&self) -> Vec<&'static str>;

    #[doc(hidden)]
    fn values(
        &self,
        read: impl Iterator<Item = Result<Option<Bytes>, HostError>>,
    ) -> Result<Self::Values, HostError>;
}

fn next<T: Decode>(
    read: &mut impl Iterator<Item = Result<Option<Bytes>, HostError>>,
) -> Result<Option<T>, HostError> {
    match read.next().transpose()?.flatten() {
        Some(bytes) => T::take(bytes).map(Some).ok_or(HostError::malformed(CALL)),
        None => Ok(None),
    }
}

macro_rules! batched {
    ($($first:ident $($rest:ident)*;)*) => {$(
        #[allow(non_snake_case, reason = "the type parameters name the values, too")]
        impl<$first: Decode, $($rest: Decode),*> Batched for (Attribute<$first>, $(Attribute<$rest>),*) {
            type Values = (Option<$first>, $(Option<$rest>),*);

            fn names(&self) -> Vec<&'static str> {
                let ($first, $($rest),*) = self;
                vec![$first.name, $($rest.name),*]
            }

            fn values(
                &self,
                mut read: impl Iterator<Item = Result<Option<Bytes>, HostError>>,
            ) -> Result<Self::Values, HostError> {
                Ok((next::<$first>(&mut read)?, $(next::<$rest>(&mut read)?),*))
            }
        }
    )*};
}

batched! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}

#[cfg(test)]
mod tests {
    //! Names as paths, and as items of a list.

    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        assert_eq!(steps("request.headers['x-a.b']"), ["request", "headers", "x-a.b"]);
        assert_eq!(steps("xds.node.metadata[\"A\"].b"), ["xds", "node", "metadata", "A", "b"]);
        assert_eq!(steps("plugin_name"), ["plugin_name"]);
    }

    #[test]
    fn an_item_asks_first_whether_it_is_there() {
        assert_eq!(listed("request.id"), "has(request.id) ? [request.id] : []");
        assert_eq!(listed("a.b['c']"), "'c' in a.b ? [a.b['c']] : []");
        assert_eq!(listed("plugin_name"), "[plugin_name]");
    }
}
