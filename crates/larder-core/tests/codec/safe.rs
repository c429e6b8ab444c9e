//! What the safe codec refuses, on either side.

use std::sync::Arc;

use larder_core::codec::{
    Codec, Date, Item, NESTING, Opaque, Plain, Reader, Safe, Time, TimeDelta, Writer, Zone,
};
use larder_core::{ErrorKind, Result};

fn encoded(value: &Plain) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    Safe.encode(value, &mut out).map(|()| out)
}

fn decoded(bytes: &[u8]) -> Result<Plain> {
    Safe.decode(bytes)
}

fn nested(depth: usize) -> Plain {
    (0..depth).fold(Plain::None, |inner, _| Plain::list([inner]))
}

#[test]
fn nesting_ends_at_the_limit_on_both_sides() {
    let deepest = encoded(&nested(NESTING)).unwrap();
    assert_eq!(decoded(&deepest).unwrap(), nested(NESTING));
    let error = encoded(&nested(NESTING + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(
        error.detail(),
        "containers are nested more than 64 deep (store a flatter value)"
    );
    let deeper = [&[0x08, 0x01], &deepest[..]].concat();
    assert_eq!(decoded(&deeper).unwrap_err().detail(), error.detail());
}

#[test]
fn containers_side_by_side_are_not_nested() {
    let wide = Plain::list((0..1000).map(|_| Plain::map([(Plain::None, nested(60))])));
    assert_eq!(decoded(&encoded(&wide).unwrap()).unwrap(), wide);
}

#[test]
fn every_other_form_of_a_value_is_refused() {
    let refused: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("an unknown type", b"\x18"),
        ("the last unknown type", b"\x3f"),
        ("a small integer in the large form", b"\x03\x02"),
        ("a number in two bytes that fits in one", b"\x03\xff\x00"),
        ("a big integer that fits in 64 bits", b"\x04\x00\x01\x05"),
        (
            "a big integer with a leading zero",
            b"\x04\x00\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            "a sign that is none",
            b"\x04\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        ("a short text in the long form", b"\x06\x01a"),
        ("a text that is not utf-8", b"\x41\xff"),
        ("a surrogate in a text", b"\x43\xed\xa0\x80"),
        ("a wide text without a surrogate", b"\x0d\x01a"),
        ("a day that is not in the calendar", b"\x0f\x07\xe7\x02\x1d"),
        ("hour 24", b"\x10\x18\x00\x00\x00\x00"),
        ("second 60", b"\x10\x00\x00\x3c\x00\x00"),
        (
            "a million microseconds",
            b"\x10\x00\x00\x00\xc0\x84\x3d\x00",
        ),
        ("an unknown zone", b"\x10\x00\x00\x00\x00\x03"),
        (
            "an offset of a day",
            b"\x10\x00\x00\x00\x00\x01\x80\xc6\x0a",
        ),
        ("a zone without a name", b"\x10\x00\x00\x00\x00\x02\x00"),
        (
            "a timedelta of too many seconds",
            b"\x12\x00\x80\xa3\x05\x00",
        ),
        ("a decimal that is none", b"\x13\x01x"),
        ("a short uuid", b"\x14\x00\x00"),
        ("status 99", b"\x16\x00\x63\x00\x00"),
        ("two values", b"\x80\x80"),
        ("a list longer than the payload", b"\x08\x05\x00"),
        ("a list with a value too many", b"\x08\x01\x00\x00"),
        ("a map with half a pair", b"\x0a\x01\x00"),
    ];
    for (what, bytes) in refused {
        let error = decoded(bytes).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Codec, "{what}");
    }
}

#[test]
fn values_outside_their_ranges_are_not_written() {
    let time = Time {
        hour: 24,
        minute: 0,
        second: 0,
        microsecond: 0,
        fold: false,
        zone: Zone::Naive,
    };
    let refused = [
        Plain::Date(Date {
            year: 2023,
            month: 2,
            day: 29,
        }),
        Plain::Time(Arc::new(time)),
        Plain::TimeDelta(TimeDelta {
            days: 0,
            seconds: 86_400,
            microseconds: 0,
        }),
        Plain::Decimal("ten".into()),
        Plain::WideText(b"no surrogate"[..].into()),
    ];
    for value in refused {
        assert_eq!(
            encoded(&value).unwrap_err().kind(),
            ErrorKind::Codec,
            "{value:?}"
        );
    }
}

#[test]
fn a_big_integer_that_fits_is_a_plain_one() {
    let magnitude = Arc::from([0, 0, 5]);
    let bytes = encoded(&Plain::BigInt {
        negative: true,
        magnitude,
    })
    .unwrap();
    assert_eq!(decoded(&bytes).unwrap(), Plain::Int(-5));
    let magnitude = Arc::from(i64::MIN.unsigned_abs().to_be_bytes());
    let bytes = encoded(&Plain::BigInt {
        negative: true,
        magnitude,
    })
    .unwrap();
    assert_eq!(decoded(&bytes).unwrap(), Plain::Int(i64::MIN));
}

#[test]
fn a_container_that_changes_while_it_is_written_is_an_error() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    let list = writer.list(2).unwrap();
    writer.none();
    assert!(writer.close(list).is_err(), "one short");

    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    let map = writer.map(1).unwrap();
    writer.none();
    writer.none();
    writer.none();
    assert!(writer.close(map).is_err(), "one over");
}

#[test]
fn one_writer_writes_one_value() {
    let mut out = Vec::new();
    assert!(Writer::new(&mut out).finish().is_err(), "none");
    let mut writer = Writer::new(&mut out);
    writer.int(1);
    writer.int(2);
    assert!(writer.finish().is_err(), "two");
    let mut writer = Writer::new(&mut out);
    let _still_open = writer.list(0).unwrap();
    assert!(writer.finish().is_err(), "one that was not closed");
}

#[test]
fn a_reader_reads_one_value_whatever_follows() {
    let mut reader = Reader::new(b"\x81\x82");
    assert_eq!(reader.item().unwrap(), Item::Int(1));
    assert!(reader.item().is_err());
    assert!(reader.finish().is_err());
}

#[test]
fn a_pickle_is_carried_and_not_looked_into() {
    let pickle = &b"cos\nsystem\n(S'true'\ntR."[..];
    let value = Plain::Opaque(Arc::new(Opaque {
        codec: "pickle".into(),
        bytes: pickle.into(),
    }));
    let bytes = encoded(&value).unwrap();
    assert_eq!(decoded(&bytes).unwrap(), value);
    let item = Reader::new(&bytes).item().unwrap();
    assert_eq!(
        item,
        Item::Opaque {
            codec: "pickle",
            bytes: pickle
        }
    );
}

#[test]
fn headers_are_read_in_their_order_as_often_as_asked() {
    let mut out = Vec::new();
    let pairs = [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"a", b"2")];
    Writer::new(&mut out)
        .page(200, pairs.into_iter(), b"body")
        .unwrap();
    let Item::Page {
        status,
        headers,
        body,
    } = Reader::new(&out).item().unwrap()
    else {
        panic!("no page");
    };
    assert_eq!((status, body, headers.len()), (200, &b"body"[..], 3));
    assert!(headers.clone().eq(pairs) && headers.eq(pairs));
}
