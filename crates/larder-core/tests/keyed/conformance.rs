//! The suite that every store is run through.

use larder_core::codec::{Codec, Plain};
use larder_core::{Result, Value};
use larder_testkit::conformance::Suite;
use larder_testkit::store_conformance;

use crate::pairs::{Pairs, builder, number, over};

mod numbers {
    use super::*;

    store_conformance!(
        Suite::new(|clock| over(&Pairs::new(clock)), number)
            .no_counter(Plain::text("no number"))
            .sized(|bytes| Plain::text("x".repeat(bytes)))
    );
}

mod texts {
    use super::*;

    store_conformance!(Suite::new(
        |clock| over(&Pairs::new(clock)),
        |number| Plain::text(format!("value {number}"))
    ));
}

/// Words that are no counters, because swaps of two steps may lose what others add.
#[derive(Clone, Debug, PartialEq)]
struct Words(String);

impl Value for Words {}

#[derive(Debug)]
struct AsBytes;

impl Codec<Words> for AsBytes {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, value: &Words, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(value.0.as_bytes());
        Ok(())
    }

    fn decode(&self, payload: &[u8]) -> Result<Words> {
        Ok(Words(String::from_utf8_lossy(payload).into_owned()))
    }
}

/// Over a store whose swap is a read and a write.
mod swaps_of_two_steps {
    use super::*;

    store_conformance!(Suite::new(
        |clock| {
            let mut pairs = Pairs::new(clock);
            pairs.swaps = false;
            builder(&pairs)
                .build(AsBytes)
                .expect("the settings are right")
        },
        |number| Words(format!("value {number}"))
    ));
}
