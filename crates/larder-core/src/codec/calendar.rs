//! Dates and times as plain fields: what a calendar says, with no arithmetic.
//!
//! The fields and their ranges are those of Python's `datetime`, so that either face can make its own
//! value of them without a check that can fail.

/// A day of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the length of the month.
    pub day: u8,
}

/// What a time is relative to. `S` is the text type: owned in a value, borrowed in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone<S> {
    /// Nothing: a naive time.
    Naive,
    /// A fixed offset from UTC in seconds, less than a day either way.
    Offset(i32),
    /// A zone of the tz database, by its name.
    Named(S),
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time<S> {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub microsecond: u32,
    /// Whether this is the second of two equal times, when a clock is set back.
    pub fold: bool,
    /// What the time is relative to.
    pub zone: Zone<S>,
}

/// A time of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime<S> {
    /// The day.
    pub date: Date,
    /// The time of day.
    pub time: Time<S>,
}

/// A span of time; only the days carry a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeDelta {
    /// -999,999,999 to 999,999,999.
    pub days: i32,
    /// 0 to 86,399.
    pub seconds: u32,
    /// 0 to 999,999.
    pub microseconds: u32,
}

pub(super) const DAY: u32 = 86_400;
pub(super) const SECOND: u32 = 1_000_000;
const MOST_DAYS: i32 = 999_999_999;

impl Date {
    /// Whether the calendar has this day.
    pub const fn is_valid(&self) -> bool {
        self.year >= 1 && self.year <= 9999 && self.day >= 1 && self.day <= self.month_length()
    }

    /// The days of the month; none when there is no such month.
    const fn month_length(&self) -> u8 {
        match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if self.is_leap_year() => 29,
            2 => 28,
            _ => 0,
        }
    }

    const fn is_leap_year(&self) -> bool {
        self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)
            || self.year.is_multiple_of(400)
    }
}

impl<S: AsRef<str>> Time<S> {
    /// Whether every field is in its range.
    pub fn is_valid(&self) -> bool {
        let zone = match &self.zone {
            Zone::Naive => true,
            Zone::Offset(seconds) => seconds.unsigned_abs() < DAY,
            Zone::Named(name) => !name.as_ref().is_empty(),
        };
        zone && self.hour < 24 && self.minute < 60 && self.second < 60 && self.microsecond < SECOND
    }

    /// The same time with the name of its zone in another text type.
    pub fn map_zone<T>(self, name: impl FnOnce(S) -> T) -> Time<T> {
        let Self {
            hour,
            minute,
            second,
            microsecond,
            fold,
            zone,
        } = self;
        let zone = match zone {
            Zone::Naive => Zone::Naive,
            Zone::Offset(seconds) => Zone::Offset(seconds),
            Zone::Named(text) => Zone::Named(name(text)),
        };
        Time {
            hour,
            minute,
            second,
            microsecond,
            fold,
            zone,
        }
    }
}

impl<S: AsRef<str>> DateTime<S> {
    /// Whether the calendar has this day, and every field is in its range.
    pub fn is_valid(&self) -> bool {
        self.date.is_valid() && self.time.is_valid()
    }

    /// The same time with the name of its zone in another text type.
    pub fn map_zone<T>(self, name: impl FnOnce(S) -> T) -> DateTime<T> {
        DateTime {
            date: self.date,
            time: self.time.map_zone(name),
        }
    }
}

impl TimeDelta {
    /// Whether every field is in its range.
    pub const fn is_valid(&self) -> bool {
        self.days.unsigned_abs() <= MOST_DAYS.unsigned_abs()
            && self.seconds < DAY
            && self.microseconds < SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_knows_its_leap_years() {
        let leap = |year| {
            Date {
                year,
                month: 2,
                day: 29,
            }
            .is_valid()
        };
        assert_eq!(
            [1900, 2000, 2023, 2024].map(leap),
            [false, true, false, true]
        );
    }

    #[test]
    fn days_outside_a_month_are_no_days() {
        for (month, day) in [(0, 1), (13, 1), (1, 0), (1, 32), (4, 31)] {
            assert!(
                !Date {
                    year: 2026,
                    month,
                    day
                }
                .is_valid(),
                "{month}-{day}"
            );
        }
        assert!(
            !Date {
                year: 0,
                month: 1,
                day: 1
            }
            .is_valid()
        );
        assert!(
            !Date {
                year: 10_000,
                month: 1,
                day: 1
            }
            .is_valid()
        );
    }
}
