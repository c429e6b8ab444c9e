//! The scripts: what has to happen in one step on the server.

use redis::{Cmd, Pipeline, Script, Value};

/// A script, called by its digest.
#[derive(Debug)]
pub(crate) struct Lua {
    code: &'static str,
    digest: String,
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    /// Reads the record of the namespace; makes one where there is none.
    pub(crate) look: Lua,
    pub(crate) put: Lua,
    pub(crate) remove: Lua,
    pub(crate) bump: Lua,
    pub(crate) fence: Lua,
    pub(crate) clear: Lua,
    pub(crate) prolong: Lua,
    pub(crate) reclaim: Lua,
    pub(crate) announce: Lua,
    pub(crate) lease: Lua,
    /// Reads a key, and takes its lease where nothing usable is there.
    pub(crate) read_to_load: Lua,
}

macro_rules! lua {
    ($file:literal) => {
        Lua::new(concat!(
            include_str!("scripts/tell.lua"),
            include_str!("scripts/prelude.lua"),
            include_str!($file)
        ))
    };
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            look: lua!("scripts/look.lua"),
            put: Lua::new(concat!(
                include_str!("scripts/index.lua"),
                include_str!("scripts/end_lease.lua"),
                include_str!("scripts/tell.lua"),
                include_str!("scripts/order.lua"),
                include_str!("scripts/put_fast.lua"),
                include_str!("scripts/prelude.lua"),
                include_str!("scripts/put.lua")
            )),
            remove: lua!("scripts/remove.lua"),
            bump: lua!("scripts/bump.lua"),
            fence: lua!("scripts/fence.lua"),
            clear: lua!("scripts/clear.lua"),
            prolong: Lua::new(include_str!("scripts/prolong.lua")),
            reclaim: Lua::new(include_str!("scripts/reclaim.lua")),
            announce: Lua::new(concat!(
                include_str!("scripts/tell.lua"),
                include_str!("scripts/announce.lua")
            )),
            lease: Lua::new(concat!(
                include_str!("scripts/take_lease.lua"),
                include_str!("scripts/lease.lua")
            )),
            read_to_load: Lua::new(concat!(
                include_str!("scripts/take_lease.lua"),
                include_str!("scripts/read_to_load.lua")
            )),
        }
    }
}

/// Sees to it that a namespace gets a new generation on a server that may not know its purges.
pub(crate) const MEET: &str = concat!(
    include_str!("scripts/known.lua"),
    include_str!("scripts/tell.lua"),
    include_str!("scripts/prelude.lua"),
    include_str!("scripts/meet.lua")
);

/// What is done with leases in rounds, away from those who hold them.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) renew: Lua,
    pub(crate) give_up: Lua,
}

impl Rounds {
    pub(crate) fn new() -> Self {
        Self {
            renew: Lua::new(include_str!("scripts/renew.lua")),
            give_up: Lua::new(concat!(
                include_str!("scripts/end_lease.lua"),
                include_str!("scripts/give_up.lua")
            )),
        }
    }
}

/// How a script is named to the server.
#[derive(Clone, Copy)]
pub(crate) enum Called {
    /// By its digest, which the server knows after the first call.
    ByDigest,
    /// By its code.
    ByCode,
}

impl Lua {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            digest: Script::new(code).get_hash().to_owned(),
        }
    }

    /// The command that runs the script.
    pub(crate) fn call(&self, called: Called, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Pipeline {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(self.command(called, keys, arguments));
        commands
    }

    /// The same, to go out with others.
    pub(crate) fn command(&self, called: Called, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Cmd {
        let mut command = Cmd::new();
        match called {
            Called::ByDigest => command.arg("EVALSHA").arg(&self.digest),
            Called::ByCode => command.arg("EVAL").arg(self.code),
        };
        command.arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

/// Whether the server does not know the script by its digest.
pub(crate) fn is_unknown(values: &[Value]) -> bool {
    matches!(values, [Value::ServerError(error)] if error.code() == "NOSCRIPT")
}
