//! What a fragment asks for: its name, the values that it depends on, how long, and its tags.

use std::borrow::Cow;
use std::time::Duration;

use larder_core::{Lifetime, Policy, Tag};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The arguments of a fragment, in either spelling.
pub(crate) struct Asked<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) values: &'a [Value],
    /// In the tag spelling, what comes first.
    timeout: Option<&'a Value>,
    named: Option<Kwargs>,
}

impl<'a> Asked<'a> {
    /// `{% cache timeout, name, value, … %}`; without a name, the place of the tag stands in for it.
    pub(crate) fn by_tag(
        arguments: &'a [Value],
        place: impl FnOnce() -> String,
    ) -> Result<Self, Error> {
        let (positional, named) = split(arguments)?;
        let (timeout, rest) = match positional.split_first() {
            Some((timeout, rest)) => (Some(timeout), rest),
            None => (None, positional),
        };
        let (name, values) = match rest.split_first() {
            Some((name, values)) => (text_of(name)?, values),
            None => (Cow::Owned(place()), rest),
        };
        Ok(Self {
            name,
            values,
            timeout,
            named,
        })
    }

    /// `{% call cache(name, value, …) %}`.
    pub(crate) fn by_call(arguments: &'a [Value]) -> Result<Self, Error> {
        let (positional, named) = split(arguments)?;
        let Some((name, values)) = positional.split_first() else {
            let detail = "cache() without a name (write cache(\"sidebar\", user.id))";
            return Err(Error::new(ErrorKind::MissingArgument, detail));
        };
        Ok(Self {
            name: text_of(name)?,
            values,
            timeout: None,
            named,
        })
    }

    /// What renders the block, in the call spelling.
    pub(crate) fn caller(&self) -> Result<Value, Error> {
        let caller = self
            .named
            .as_ref()
            .and_then(|named| named.peek("caller").ok());
        caller.ok_or_else(|| {
            let detail = "cache() without a block (write {% call cache(…) %}…{% endcall %})";
            Error::new(ErrorKind::MissingArgument, detail)
        })
    }

    /// Whether the stored fragment is to be removed, as Flask-Caching's `'del'` has it.
    pub(crate) fn removes(&self) -> bool {
        self.timeout.and_then(Value::as_str) == Some("del")
    }

    /// The policy of this fragment, from that of all.
    pub(crate) fn policy(&self, usual: &Policy) -> Result<Policy, Error> {
        let mut policy = usual.clone();
        let mut ttl = self.timeout.cloned();
        for name in self.named.iter().flat_map(Kwargs::args) {
            let value: Value = self
                .named
                .as_ref()
                .map_or(Ok(Value::UNDEFINED), |all| all.peek(name))?;
            match name {
                "ttl" if ttl.is_none() => ttl = Some(value),
                "ttl" => {
                    return Err(wrong(
                        "ttl is there twice (it comes first in a cache tag)".into(),
                    ));
                }
                "tags" => add_tags(&mut policy, &value)?,
                "caller" => {}
                other => {
                    let detail =
                        format!("{other} is no option of a fragment (there are ttl and tags)");
                    return Err(wrong(detail));
                }
            }
        }
        if let Some(ttl) = ttl.filter(|ttl| !ttl.is_none()) {
            policy.ttl = lifetime(&ttl)?;
        }
        Ok(policy)
    }
}

fn split(arguments: &[Value]) -> Result<(&[Value], Option<Kwargs>), Error> {
    match arguments.split_last() {
        Some((last, positional)) if last.is_kwargs() => {
            Ok((positional, Some(Kwargs::try_from(last.clone())?)))
        }
        _ => Ok((arguments, None)),
    }
}

fn text_of(name: &Value) -> Result<Cow<'_, str>, Error> {
    match name.kind() {
        ValueKind::String => Ok(Cow::Borrowed(name.as_str().unwrap_or_default())),
        ValueKind::Number => Ok(Cow::Owned(name.to_string())),
        kind => Err(wrong(format!(
            "the name of a fragment is {name:?}, of the kind {kind} (use a text)"
        ))),
    }
}

/// Seconds, or a text such as `5m`; as in Flask-Caching, 0 is for ever, and less than that is not kept.
fn lifetime(ttl: &Value) -> Result<Lifetime, Error> {
    let no_time = || {
        let cure = "use a number of seconds, or a text such as \"5m\"";
        wrong(format!("ttl={ttl:?} is no span of time ({cure})"))
    };
    if let Some(text) = ttl.as_str() {
        // Flask-Caching's own templates may have a number in quotes.
        if text.parse::<u64>().is_err() {
            return humantime::parse_duration(text)
                .map(kept)
                .map_err(|_| no_time());
        }
    } else if ttl.kind() != ValueKind::Number {
        return Err(no_time());
    }
    let text = ttl.to_string();
    let seconds: f64 = text.parse().map_err(|_| no_time())?;
    if seconds < 0.0 {
        return Ok(Lifetime::DoNotKeep);
    }
    Duration::try_from_secs_f64(seconds)
        .map(kept)
        .map_err(|_| no_time())
}

fn kept(span: Duration) -> Lifetime {
    match span.is_zero() {
        true => Lifetime::Forever,
        false => Lifetime::For(span),
    }
}

fn add_tags(policy: &mut Policy, tags: &Value) -> Result<(), Error> {
    let no_tags = || {
        let cure = "use a list of texts: tags=[\"product:7\"]";
        wrong(format!("tags={tags:?} are no tags ({cure})"))
    };
    if tags.kind() != ValueKind::Seq {
        return Err(no_tags());
    }
    for tag in tags.try_iter()? {
        let name = tag.as_str().ok_or_else(no_tags)?;
        policy.tags = policy.tags.with(Tag::new(name));
    }
    Ok(())
}

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
