//! The environment of the VM: what an operator gives it beside the configuration, so that it need not stand there.

use crate::config::Config;

/// Looks up the variables that a configuration names. They are those of the VM, and not of the proxy.
pub(crate) fn look_up(config: &mut Config) {
    let local = config.providers.values_mut().filter_map(|provider| provider.local_jwks.as_mut());
    for variable in local.filter_map(|jwks| jwks.environment_variable.as_mut()) {
        variable.value = std::env::var(&variable.name).ok();
    }
}
