//! What is said to a node, before it is known which life of it will hear it.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use larder_net::LEASE;

use super::life::Life;
use super::slot::slot;

/// A script, and the digest by which it is called.
pub(super) struct Lua {
    code: &'static str,
    digest: LazyLock<String>,
}

macro_rules! lua {
    ($file:literal) => {
        Lua {
            code: include_str!(concat!("../scripts/cluster/", $file)),
            digest: LazyLock::new(|| {
                let code = include_str!(concat!("../scripts/cluster/", $file));
                sha1_smol::Sha1::from(code).digest().to_string()
            }),
        }
    };
}

/// Stores where nothing stands, or nothing of this life; answers what stands there.
static ADD: Lua = lua!("add.lua");
/// Stores where exactly the old bytes stand.
static SWAP: Lua = lua!("swap.lua");
/// Lets a lease live longer, or go, where it still has its token.
static LEASED: Lua = lua!("leased.lua");

/// One word of a command.
enum Word<'a> {
    Text(Cow<'a, [u8]>),
    /// Bytes with the stamp of the life that they are written in.
    Stamped(Cow<'a, [u8]>),
    /// The stamp alone.
    Stamp,
}

/// One command. All of its names lie in one slot.
pub(super) struct Command<'a> {
    pub(super) slot: u16,
    /// Whether it may be sent again when nobody knows whether it was carried out.
    pub(super) repeatable: bool,
    script: Option<&'static Lua>,
    words: Vec<Word<'a>>,
}

fn text(text: impl ToString) -> Word<'static> {
    Word::Text(Cow::Owned(text.to_string().into_bytes()))
}

impl<'a> Command<'a> {
    fn new(command: &'static str, names: &[&'a [u8]]) -> Self {
        let mut words = Vec::with_capacity(names.len() + 5);
        words.push(Word::Text(Cow::Borrowed(command.as_bytes())));
        words.extend(names.iter().map(|&name| Word::Text(Cow::Borrowed(name))));
        Self {
            slot: names.first().map_or(0, |name| slot(name)),
            repeatable: true,
            script: None,
            words,
        }
    }

    fn call(script: &'static Lua, name: &'a [u8], words: Vec<Word<'a>>) -> Self {
        let mut call = Self::new("", &[name]);
        call.script = Some(script);
        call.words.remove(0);
        call.words.extend(words);
        // A second time it might undo what somebody else has done in between.
        call.repeatable = false;
        call
    }

    /// Reads names of one slot.
    pub(super) fn read(names: &[&'a [u8]]) -> Self {
        match names {
            [name] => Self::new("GET", &[*name]),
            names => Self::new("MGET", names),
        }
    }

    /// Reads a name and deletes it.
    pub(super) fn take(name: &'a [u8]) -> Self {
        Self::new("GETDEL", &[name])
    }

    /// Deletes a name.
    pub(super) fn delete(name: &'a [u8]) -> Self {
        Self::new("UNLINK", &[name])
    }

    /// Asks how long a name stays, in milliseconds.
    pub(super) fn left(name: &'a [u8]) -> Self {
        Self::new("PTTL", &[name])
    }

    /// Stores bytes.
    pub(super) fn set(name: &'a [u8], bytes: &'a [u8], life: Option<Duration>) -> Self {
        let mut set = Self::new("SET", &[name]);
        set.words.push(Word::Stamped(Cow::Borrowed(bytes)));
        if let Some(life) = life {
            set.words.extend([text("PX"), text(millis(life))]);
        }
        set.repeatable = false;
        set
    }

    /// Stores bytes where nothing stands. Answers nothing, else what stands there.
    pub(super) fn add(name: &'a [u8], bytes: &'a [u8], life: Option<Duration>) -> Self {
        let bytes = Word::Stamped(Cow::Borrowed(bytes));
        Self::call(
            &ADD,
            name,
            vec![bytes, text(life.map_or(0, millis)), Word::Stamp],
        )
    }

    /// Stores the second bytes where exactly the first ones stand. Answers 1, else 0.
    pub(super) fn swap(
        name: &'a [u8],
        (old, new): (&'a [u8], &'a [u8]),
        life: Option<Duration>,
    ) -> Self {
        let stamped = |bytes| Word::Stamped(Cow::Borrowed(bytes));
        let words = vec![stamped(old), stamped(new), text(life.map_or(0, millis))];
        Self::call(&SWAP, name, words)
    }

    /// Lets a lease live for its full time again, where it still has this token.
    pub(super) fn renew(name: &'a [u8], token: &'a [u8]) -> Self {
        let token = Word::Stamped(Cow::Borrowed(token));
        Self::call(&LEASED, name, vec![token, text(millis(LEASE))])
    }

    /// Ends a lease, where it still has this token.
    pub(super) fn give_up(name: &'a [u8], token: &'a [u8]) -> Self {
        let token = Word::Stamped(Cow::Borrowed(token));
        Self::call(&LEASED, name, vec![token, text(0)])
    }

    /// Whether it holds a stamp.
    pub(super) fn is_stamped(&self) -> bool {
        let mut words = self.words.iter();
        words.any(|word| !matches!(word, Word::Text(_)))
    }

    /// Writes it down for a node in this life; a script by its code, where the node does not have it.
    pub(super) fn write(&self, line: &mut Vec<u8>, life: Life, in_full: bool) {
        let head = if self.script.is_some() { 3 } else { 0 };
        begin(line, self.words.len() + head);
        if let Some(script) = self.script {
            match in_full {
                true => [&b"EVAL"[..], script.code.as_bytes(), b"1"],
                false => [b"EVALSHA", script.digest.as_bytes(), b"1"],
            }
            .iter()
            .for_each(|word| push(line, word, &[]));
        }
        for word in &self.words {
            match word {
                Word::Text(text) => push(line, text, &[]),
                Word::Stamped(bytes) => push(line, bytes, &life.stamp()),
                Word::Stamp => push(line, &life.stamp(), &[]),
            }
        }
    }
}

/// Writes down a command that concerns no slot.
pub(super) fn plain(line: &mut Vec<u8>, words: &[&[u8]]) {
    begin(line, words.len());
    words.iter().for_each(|word| push(line, word, &[]));
}

fn begin(line: &mut Vec<u8>, words: usize) {
    line.extend_from_slice(format!("*{words}\r\n").as_bytes());
}

fn push(line: &mut Vec<u8>, word: &[u8], behind: &[u8]) {
    line.extend_from_slice(format!("${}\r\n", word.len() + behind.len()).as_bytes());
    line.extend_from_slice(word);
    line.extend_from_slice(behind);
    line.extend_from_slice(b"\r\n");
}

/// A life in milliseconds as the server takes it: at least one, and none that it refuses.
fn millis(life: Duration) -> u64 {
    const MOST: u64 = i64::MAX as u64 / 4;
    u64::try_from(life.as_millis())
        .unwrap_or(MOST)
        .clamp(1, MOST)
}
