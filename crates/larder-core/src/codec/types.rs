//! The byte that each value of the safe codec begins with. `docs/FORMAT.md` lists them.

pub(super) const NONE: u8 = 0x00;
pub(super) const FALSE: u8 = 0x01;
pub(super) const TRUE: u8 = 0x02;
pub(super) const INT: u8 = 0x03;
pub(super) const BIG_INT: u8 = 0x04;
pub(super) const FLOAT: u8 = 0x05;
pub(super) const TEXT: u8 = 0x06;
pub(super) const BYTES: u8 = 0x07;
pub(super) const LIST: u8 = 0x08;
pub(super) const TUPLE: u8 = 0x09;
pub(super) const MAP: u8 = 0x0a;
pub(super) const SET: u8 = 0x0b;
pub(super) const FROZEN_SET: u8 = 0x0c;
pub(super) const WIDE_TEXT: u8 = 0x0d;
pub(super) const BYTE_ARRAY: u8 = 0x0e;
pub(super) const DATE: u8 = 0x0f;
pub(super) const TIME: u8 = 0x10;
pub(super) const DATE_TIME: u8 = 0x11;
pub(super) const TIME_DELTA: u8 = 0x12;
pub(super) const DECIMAL: u8 = 0x13;
pub(super) const UUID: u8 = 0x14;
pub(super) const MARKUP: u8 = 0x15;
pub(super) const PAGE: u8 = 0x16;
pub(super) const OPAQUE: u8 = 0x17;

/// A text of less than 64 bytes: this, plus its length.
pub(super) const SHORT_TEXT: u8 = 0x40;
/// The length from which on a text takes [`TEXT`].
pub(super) const LONG_TEXT: usize = 0x40;
/// An integer from 0 to 127: this, plus its value.
pub(super) const SMALL_INT: u8 = 0x80;

/// What a time is relative to: no zone, an offset, a name.
pub(super) const NAIVE: u8 = 0;
pub(super) const OFFSET: u8 = 1;
pub(super) const NAMED: u8 = 2;
/// Added to the byte of the zone for the second of two equal times.
pub(super) const FOLD: u8 = 4;
