//! Several secrets.

use std::time::Duration;

use larder_core::codec::{Envelope, Packing, Plain, Safe, Unreadable};
use larder_core::{Entry, ErrorKind, Fence, Key, Kind, Policy, Timestamp};

fn key() -> Key {
    Key::new(Kind::User, "greeting")
}

fn entry(value: Plain) -> Entry<Plain> {
    let policy = Policy::new(Duration::from_secs(60));
    let meta = policy.stamp(Timestamp::from_millis(1_000), Duration::ZERO);
    Entry::new(meta.unwrap(), value, Fence::default())
}

fn sealed_by(secrets: &[&str]) -> Envelope {
    Envelope::new("a_", Packing::new().secrets(secrets)).unwrap()
}

fn written(envelope: &Envelope) -> Vec<u8> {
    envelope
        .seal_entry(&key(), &entry(Plain::text("hello")), &Safe)
        .unwrap()
}

#[test]
fn the_first_secret_seals_and_any_opens() {
    let rotated = sealed_by(&["new", "old", "oldest"]);
    for known in ["new", "old", "oldest"] {
        let bytes = written(&sealed_by(&[known]));
        let opened = rotated.open(&key(), &bytes).unwrap();
        assert!(opened.sealed, "{known}");
    }
    assert_eq!(written(&rotated), written(&sealed_by(&["new"])));
    assert_ne!(written(&rotated), written(&sealed_by(&["old"])));
}

#[test]
fn a_secret_that_was_dropped_opens_nothing() {
    let rotated = sealed_by(&["new", "old"]);
    for stranger in [sealed_by(&["oldest"]), sealed_by(&["ol"])] {
        let refused = rotated.open(&key(), &written(&stranger)).unwrap_err();
        assert_eq!(refused, Unreadable::WrongSeal);
    }
    let unsealed = Envelope::new("a_", None).unwrap();
    let refused = rotated.open(&key(), &written(&unsealed)).unwrap_err();
    assert_eq!(refused, Unreadable::Unsealed);
}

#[test]
fn wrong_secrets_are_refused_and_none_is_printed() {
    let seventeen = (0..17).map(|number| format!("secret {number}"));
    for (wrong, says) in [
        (Packing::new().secrets([""]), "the secret is empty"),
        (
            Packing::new().secrets(["hidden", ""]),
            "the secret is empty",
        ),
        (Packing::new().secrets(seventeen), "there are 17 secrets"),
    ] {
        let error = Envelope::new("a_", wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().starts_with(says), "{error}");
        assert!(!error.to_string().contains("hidden"));
    }
    let sixteen = (0..16).map(|number| number.to_string());
    assert!(Envelope::new("a_", Packing::new().secrets(sixteen)).is_ok());
    let shown = format!("{:?}", Packing::new().secrets(["hidden"]));
    assert_eq!(shown, "Packing { secrets: 1, compress: None }");
}
