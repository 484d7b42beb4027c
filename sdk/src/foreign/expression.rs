//! Expressions in CEL over the attributes: compiled when the plugin is configured, evaluated per stream.

use crate::bytes::Bytes;
use crate::config::ConfigError;
use crate::context;
use crate::decode::Decode;
use crate::error::HostError;
use std::fmt;
use std::marker::PhantomData;

/// An expression in [CEL](https://cel.dev) over the attributes, that the proxy compiled when the plugin was configured.
///
/// Made by [`Root::expression`](crate::Root::expression); deleted in the proxy when it is dropped. It is evaluated for the
/// stream whose callback runs.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     /// For example `request.headers["x-env"] == "test" && source.port > 1024`.
///     when: String,
/// }
///
/// struct Gate(Expression<bool>);
/// struct Check(Rc<Gate>);
///
/// impl Extension for Gate {
///     type Config = Config;
///     type Filter = Check;
///
///     fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self(root.expression(&config.when).map_err(|error| error.within("when"))?))
///     }
///
///     fn filter(self: &Rc<Self>) -> Check {
///         Check(self.clone())
///     }
/// }
///
/// impl HttpFilter for Check {
///     fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
///         let open = self.0.0.evaluate()?;
///         Ok(if open { Flow::Continue } else { Flow::Reply(Response::new(403)) })
///     }
/// }
/// ```
pub struct Expression<T> {
    token: u32,
    value: PhantomData<fn() -> T>,
}

impl<T: CelType> Expression<T> {
    /// Compiles an expression in any callback, where [`Root::expression`](crate::Root::expression) does it for the configuration.
    /// That takes the proxy some ten microseconds: keep what it gives.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// /// Several expressions in one host call.
    /// fn together(sources: &[&str]) -> Result<Expression<Vec<Bytes>>, ConfigError> {
    ///     Expression::compile(&format!("[{}]", sources.join(",")))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The proxy refuses the expression, or evaluates none at all; the error says which.
    // Twice: as it stands, since with a conversion around it a stray bracket could still make sense.
    pub fn compile(source: &str) -> Result<Self, ConfigError> {
        let as_it_stands = Self::create(source).map_err(refused)?;
        match T::converted(source) {
            Some(converted) => Self::create(&converted).map_err(refused),
            None => Ok(as_it_stands),
        }
    }

    pub(crate) fn create(source: &str) -> Result<Self, HostError> {
        const CALL: &str = "expr_create";
        context::require_own(CALL)?;
        let token = super::call(CALL, source.as_bytes())?;
        let token = (*token).try_into().map_err(|_| HostError::malformed(CALL))?;
        Ok(Self { token: u32::from_le_bytes(token), value: PhantomData })
    }

    /// The expression's value for the stream whose callback runs. One host call.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn tier(of: &Expression<String>) -> Result<String, HostError> {
    ///     of.evaluate()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The expression failed (`InternalFailure`): most often it reads an attribute that is absent; `has(..)` in it asks for
    /// that. Or another context was entered: [`HostError::is_wrong_context`].
    pub fn evaluate(&self) -> Result<T, HostError> {
        const CALL: &str = "expr_evaluate";
        context::require_own(CALL)?;
        let value = super::call(CALL, &self.token.to_le_bytes())?;
        T::take(value).ok_or(HostError::malformed(CALL))
    }
}

impl<T> Drop for Expression<T> {
    fn drop(&mut self) {
        // A token that the proxy does not know any more is no matter.
        let _ = super::call("expr_delete", &self.token.to_le_bytes());
    }
}

impl<T> fmt::Debug for Expression<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.token)
    }
}

/// What a host answers that knows of no foreign functions at all.
const UNIMPLEMENTED: u32 = 12;

/// What an operator reads.
fn refused(error: HostError) -> ConfigError {
    ConfigError::new(if error.is_bad_argument() {
        "expected an expression in CEL; it has a mistake, or calls a function that this proxy does not have"
            .into()
    } else if error.is_not_found() || error.raw_status() == Some(UNIMPLEMENTED) {
        "this proxy evaluates no CEL expressions: it lacks the foreign function expr_create; Envoy and Istio's proxy have it"
            .into()
    } else if error.is_unavailable() {
        "the plugin may not evaluate expressions; add proxy_call_foreign_function to its allowed_capabilities"
            .into()
    } else {
        error.to_string()
    })
}

/// What an [`Expression`] may give: `bool`, `String`, `i64`, `u64`, `f64`, [`Bytes`], and lists of those.
///
/// The proxy converts the result (`int(..)`, `string(..)` and so on in CEL), except within a list, so an expression of another
/// type fails instead of being misread. A header's value need not be UTF-8: `Bytes` reads it in any case.
///
/// ```
/// use proxy_wasm_kit::foreign::CelType;
///
/// fn can_be_evaluated<T: CelType>() {}
/// can_be_evaluated::<Vec<String>>();
/// ```
pub trait CelType: Decode {
    /// The source with a conversion around it; `None` where there is none.
    #[doc(hidden)]
    fn converted(source: &str) -> Option<String>;
}

/// A line of its own for the closing bracket: the source may end in a comment.
macro_rules! converted {
    ($($value:ty: $before:literal $after:literal)*) => {$(
        impl CelType for $value {
            fn converted(source: &str) -> Option<String> {
                Some(format!(concat!($before, "({}\n)", $after), source))
            }
        }
    )*};
}

converted! {
    bool: "" " ? true : false"
    String: "string" ""
    i64: "int" ""
    u64: "uint" ""
    f64: "double" ""
    Bytes: "bytes" ""
}

impl<T: CelType> CelType for Vec<T> {
    fn converted(_: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    //! What an operator reads of a proxy that no test has.

    use super::*;

    #[test]
    fn a_proxy_without_expressions_is_told_from_a_plugin_that_may_not() {
        let text = |status| refused(HostError::status("expr_create", status)).to_string();
        for (status, expected) in
            [(1, "this proxy evaluates"), (12, "this proxy evaluates"), (10, "the plugin may not")]
        {
            assert!(text(status).starts_with(expected), "{}", text(status));
        }
    }
}
