//! The values of a template as parts of a key.

use std::collections::BTreeMap;

use larder_core::KeyWriter;
use minijinja::Value;
use minijinja::value::ValueKind;

/// Values that nest deeper make no key.
const NESTING: usize = 32;

/// Writes a value; in words why not, where no key can be made of it.
///
/// Two values have the same key only if they print the same text, as far as a template can tell: a text
/// that is safe already is not the one that is still to be escaped, and an integer is not the float.
pub(crate) fn write(key: &mut KeyWriter, value: &Value) -> Result<(), String> {
    write_within(key, value, NESTING)
}

fn write_within(key: &mut KeyWriter, value: &Value, depth: usize) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err("nests too deep".to_owned());
    };
    match value.kind() {
        ValueKind::None => {
            key.none();
        }
        ValueKind::Bool => {
            key.bool(value.is_true());
        }
        ValueKind::Number => write_number(key, value)?,
        ValueKind::String => {
            let key = if value.is_safe() {
                key.object("safe")
            } else {
                key
            };
            key.text(value.as_str().unwrap_or_default());
        }
        ValueKind::Bytes => {
            key.bytes(value.as_bytes().unwrap_or_default());
        }
        ValueKind::Seq => {
            let members = members(value)?;
            let key = match value.is_tuple() {
                true => key.tuple(members.len()),
                false => key.list(members.len()),
            };
            for member in &members {
                write_within(key, member, depth)?;
            }
        }
        ValueKind::Map => write_map(key, value, depth)?,
        ValueKind::Undefined => {
            return Err("is undefined (x | default(none) makes none of it)".into());
        }
        ValueKind::Iterable => {
            return Err("can be gone through only once (x | list makes a list of it)".into());
        }
        kind => return Err(format!("is of the kind {kind}, which makes no key")),
    }
    Ok(())
}

fn write_number(key: &mut KeyWriter, value: &Value) -> Result<(), String> {
    if !value.is_integer() {
        let number = f64::try_from(value.clone()).map_err(|error| error.to_string())?;
        key.float(number);
        return Ok(());
    }
    if let Some(number) = value.as_i64() {
        key.int(number);
    } else if let Ok(number) = i128::try_from(value.clone()) {
        key.big_int(number < 0, &number.unsigned_abs().to_be_bytes());
    } else {
        let number = u128::try_from(value.clone()).map_err(|error| error.to_string())?;
        key.big_int(false, &number.to_be_bytes());
    }
    Ok(())
}

fn write_map(key: &mut KeyWriter, value: &Value, depth: usize) -> Result<(), String> {
    let names = members(value)?;
    // An object that answers to names without listing them looks like an empty map, whatever it holds.
    if names.is_empty()
        && value
            .downcast_object_ref::<BTreeMap<Value, Value>>()
            .is_none()
    {
        return Err("is an object that does not list what it holds (use a value of it)".into());
    }
    let mut pairs = Vec::with_capacity(names.len());
    for name in &names {
        let mut pair = (KeyWriter::new(), KeyWriter::new());
        let member = value.get_item(name).map_err(|error| error.to_string())?;
        write_within(&mut pair.0, name, depth)?;
        write_within(&mut pair.1, &member, depth)?;
        pairs.push(pair);
    }
    key.map(pairs);
    Ok(())
}

fn members(value: &Value) -> Result<Vec<Value>, String> {
    let members = value.try_iter().map_err(|error| error.to_string())?;
    Ok(members.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use minijinja::value::Object;

    use super::*;

    fn key(value: impl Into<Value>) -> Result<Vec<u8>, String> {
        let mut writer = KeyWriter::new();
        write(&mut writer, &value.into()).map(|()| writer.into_bytes())
    }

    /// Answers to names and lists none of them.
    #[derive(Debug)]
    struct Hidden(u32);

    impl Object for Hidden {
        fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
            (name.as_str() == Some("id")).then(|| Value::from(self.0))
        }
    }

    #[test]
    fn values_that_print_differently_have_different_keys() {
        let keys: Vec<Vec<u8>> = [
            Value::from(1),
            Value::from(1.0),
            Value::from(true),
            Value::from("1"),
            Value::from_safe_string("1".into()),
            Value::from(()),
            Value::from(vec![1]),
            Value::from(vec![vec![1]]),
            Value::from_bytes(b"1".to_vec()),
            Value::from(u64::MAX),
            Value::from(i128::MIN),
            Value::from(u128::MAX),
            Value::from(BTreeMap::<Value, Value>::new()),
            Value::from(BTreeMap::from([("a", 1)])),
        ]
        .into_iter()
        .map(|value| key(value).unwrap())
        .collect();
        for (at, one) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_makes_no_key() {
        let once = Value::make_one_shot_iterator([1, 2].into_iter());
        let mut deep = Value::from(1);
        for _ in 0..40 {
            deep = Value::from(vec![deep]);
        }
        let undefined = Value::UNDEFINED;
        for (value, why) in [
            (undefined, "is undefined"),
            (once.clone(), "only once"),
            (Value::from_object(Hidden(7)), "does not list"),
            (Value::from_function(|| 1), "of the kind plain object"),
            (deep, "nests too deep"),
        ] {
            let reason = key(value.clone()).unwrap_err();
            assert!(reason.contains(why), "{value:?}: {reason}");
            assert!(key(vec![value]).is_err());
        }
        // Nobody has looked into it.
        assert_eq!(once.try_iter().unwrap().count(), 2);
    }
}
