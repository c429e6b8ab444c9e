//! The notation of `tests/golden/*.json`: JSON, in which everything that JSON lacks is an object with
//! one member, named after the type.

use std::sync::Arc;

use larder_core::codec::{Date, DateTime, Opaque, Page, Plain, Time, TimeDelta, Zone};
use larder_core::{Fence, Key, KeyWriter, Kind, Meta, Tag, Timestamp};
use serde_json::Value as Json;

pub(crate) fn cases(file: &str) -> Vec<Json> {
    let path = format!(
        "{}/../../tests/golden/{file}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let cases: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(!cases.is_empty());
    cases
}

pub(crate) fn hex(text: &Json) -> Vec<u8> {
    let text = text.as_str().expect("hex is a text");
    assert!(text.len().is_multiple_of(2), "{text}");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number<T: TryFrom<i64>>(json: &Json) -> T {
    let value = json
        .as_i64()
        .unwrap_or_else(|| panic!("{json} is no integer"));
    T::try_from(value).unwrap_or_else(|_| panic!("{json} is out of range"))
}

fn single(json: &Json) -> (&str, &Json) {
    let object = json
        .as_object()
        .unwrap_or_else(|| panic!("{json} is no object"));
    assert_eq!(object.len(), 1, "{json}");
    object
        .iter()
        .next()
        .map(|(word, content)| (word.as_str(), content))
        .unwrap()
}

fn array(json: &Json) -> &[Json] {
    json.as_array()
        .unwrap_or_else(|| panic!("{json} is no array"))
}

/// A decimal text as a sign and a big-endian magnitude.
fn integer(json: &Json) -> (bool, Vec<u8>) {
    let text = json.as_str().unwrap();
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let mut magnitude = vec![0_u8];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in magnitude.iter_mut().rev() {
            carry += u32::from(*byte) * 10;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry > 0 {
            magnitude.insert(0, u8::try_from(carry).unwrap());
        }
    }
    (negative, magnitude)
}

fn float(json: &Json) -> f64 {
    json.as_str().unwrap().parse().unwrap()
}

pub(crate) fn plain(json: &Json) -> Plain {
    match json {
        Json::Null => Plain::None,
        Json::Bool(value) => Plain::Bool(*value),
        Json::String(text) => Plain::text(text.as_str()),
        _ => {
            let (word, content) = single(json);
            container(word, content).unwrap_or_else(|| tagged(word, content))
        }
    }
}

fn container(word: &str, content: &Json) -> Option<Plain> {
    let members = || array(content).iter().map(plain).collect();
    Some(match word {
        "list" => Plain::List(members()),
        "tuple" => Plain::Tuple(members()),
        "set" => Plain::Set(members()),
        "frozenset" => Plain::FrozenSet(members()),
        "map" => Plain::map(
            array(content)
                .iter()
                .map(|pair| (plain(&pair[0]), plain(&pair[1]))),
        ),
        "nest" => {
            let inner = Plain::list([]);
            (1..number::<u32>(content)).fold(inner, |inner, _| Plain::list([inner]))
        }
        _ => return None,
    })
}

fn tagged(word: &str, content: &Json) -> Plain {
    let text = || Arc::from(content.as_str().unwrap());
    match word {
        "int" => {
            let (negative, magnitude) = integer(content);
            content.as_str().unwrap().parse().map_or_else(
                |_| Plain::BigInt {
                    negative,
                    magnitude: magnitude.into(),
                },
                Plain::Int,
            )
        }
        "float" => Plain::Float(float(content)),
        "float_bits" => Plain::Float(f64::from_bits(u64::from_be_bytes(
            hex(content).try_into().unwrap(),
        ))),
        "wide" => Plain::WideText(array(content).iter().flat_map(code_point).collect()),
        "bytes" => Plain::bytes(hex(content)),
        "bytearray" => Plain::ByteArray(hex(content).into()),
        "date" => Plain::Date(date(content)),
        "time" => Plain::Time(Arc::new(time(content))),
        "datetime" => {
            let (date, time) = (date(&content["date"]), time(content));
            Plain::DateTime(Arc::new(DateTime { date, time }))
        }
        "timedelta" => Plain::TimeDelta(TimeDelta {
            days: number(&content[0]),
            seconds: number(&content[1]),
            microseconds: number(&content[2]),
        }),
        "decimal" => Plain::Decimal(text()),
        "uuid" => {
            let digits = content.as_str().unwrap().replace('-', "");
            Plain::Uuid(hex(&Json::String(digits)).try_into().unwrap())
        }
        "markup" => Plain::Markup(text()),
        "page" => Plain::Page(Arc::new(page(content))),
        "opaque" => Plain::Opaque(Arc::new(Opaque {
            codec: content["codec"].as_str().unwrap().into(),
            bytes: hex(&content["bytes"]).into(),
        })),
        _ => panic!("unknown type {word}"),
    }
}

/// UTF-8, and three bytes for a surrogate.
fn code_point(json: &Json) -> Vec<u8> {
    let value = number::<u32>(json);
    char::from_u32(value).map_or_else(
        || {
            let low = |shift: u32| 0x80 | (value >> shift & 0x3f);
            [0xe0 | value >> 12, low(6), low(0)]
                .map(|byte| u8::try_from(byte).unwrap())
                .to_vec()
        },
        |c| c.to_string().into_bytes(),
    )
}

fn date(json: &Json) -> Date {
    Date {
        year: number(&json[0]),
        month: number(&json[1]),
        day: number(&json[2]),
    }
}

fn time(json: &Json) -> Time<Arc<str>> {
    let fields = &json["time"];
    Time {
        hour: number(&fields[0]),
        minute: number(&fields[1]),
        second: number(&fields[2]),
        microsecond: number(&fields[3]),
        fold: json.get("fold").is_some_and(|fold| fold.as_bool().unwrap()),
        zone: match &json["zone"] {
            Json::Null => Zone::Naive,
            Json::String(name) => Zone::Named(name.as_str().into()),
            seconds => Zone::Offset(number(seconds)),
        },
    }
}

fn page(json: &Json) -> Page {
    let bytes = |json: &Json| json.as_str().unwrap().as_bytes().to_vec();
    let headers = array(&json["headers"]).iter();
    Page {
        status: number(&json["status"]),
        headers: headers
            .map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
            .collect(),
        body: bytes(&json["body"]).into(),
    }
}

pub(crate) fn key(json: &Json) -> Key {
    let kind = match json["kind"].as_str().unwrap() {
        "user" => Kind::User,
        "view" => Kind::View,
        "memoize" => Kind::Memoize,
        "fragment" => Kind::Fragment,
        other => panic!("unknown kind {other}"),
    };
    let base = match &json["base"] {
        Json::String(text) => text.as_bytes().to_vec(),
        bytes => hex(&bytes["bytes"]),
    };
    let mut variant = KeyWriter::new();
    for value in json.get("variant").map(array).unwrap_or_default() {
        write_key(&mut variant, value);
    }
    Key::new(kind, base).with_variant(&variant)
}

fn write_key(out: &mut KeyWriter, json: &Json) {
    match json {
        Json::Null => drop(out.none()),
        Json::Bool(value) => drop(out.bool(*value)),
        Json::String(text) => drop(out.text(text)),
        _ => write_tagged_key(out, json),
    }
}

fn write_tagged_key(out: &mut KeyWriter, json: &Json) {
    let (word, content) = single(json);
    let written = |json: &Json| {
        let mut out = KeyWriter::new();
        write_key(&mut out, json);
        out
    };
    match word {
        "int" => {
            let (negative, magnitude) = integer(content);
            out.big_int(negative, &magnitude);
        }
        "float" => drop(out.float(float(content))),
        "bytes" => drop(out.bytes(&hex(content))),
        "list" | "tuple" => {
            let members = array(content);
            let head = if word == "list" {
                KeyWriter::list
            } else {
                KeyWriter::tuple
            };
            head(out, members.len());
            members.iter().for_each(|member| write_key(out, member));
        }
        "map" => {
            let pairs = array(content)
                .iter()
                .map(|pair| (written(&pair[0]), written(&pair[1])));
            out.map(pairs.collect());
        }
        "set" => drop(out.set(array(content).iter().map(written).collect())),
        "object" => {
            out.object(content[0].as_str().unwrap());
            write_key(out, &content[1]);
        }
        _ => panic!("unknown type {word}"),
    }
}

fn point(json: &Json) -> Timestamp {
    if json == "never" {
        return Timestamp::NEVER;
    }
    Timestamp::from_millis(json.as_u64().unwrap())
}

pub(crate) fn meta(json: &Json) -> Meta {
    let tag = |json: &Json| {
        let (space, name) = single(json);
        let name = name.as_str().unwrap();
        if space == "user" {
            Tag::new(name)
        } else {
            Tag::function(name)
        }
    };
    Meta {
        stored_at: point(&json["stored_at"]),
        fresh_until: point(&json["fresh_until"]),
        stale_until: point(&json["stale_until"]),
        spare_until: point(&json["spare_until"]),
        keep_until: point(&json["keep_until"]),
        retry_at: point(&json["retry_at"]),
        cost: std::time::Duration::from_nanos(json["cost_ns"].as_u64().unwrap()),
        tags: array(&json["tags"]).iter().map(tag).collect(),
        is_head: json["is_head"] == true,
    }
}

pub(crate) fn fence(json: &Json) -> Fence {
    let number = |json: &Json| json.as_u64().unwrap_or_else(|| panic!("{json} is no u64"));
    Fence {
        all: number(&json["all"]),
        base: number(&json["base"]),
        sequence: number(&json["sequence"]),
        order: 0,
        tags: array(&json["tags"]).iter().map(number).collect(),
    }
}
